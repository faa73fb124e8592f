"""cited-qa itself, as it comes: files in a folder, `qa index`, `qa ask`, `qa serve`.

It reads and splits files, so passages that belong together are written into one. What it says of a question is what
`qa ask` says; its hits are ranked by the clause that answers. Documents rank by their best passage among so many as
`qa eval` looks at.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from index.chunking.passages import split
from peer import Found, Hit, Passage, Server
from qa.engine import Engine


class Adapter:
    """An engine over a folder of files."""

    splitter = "its own, 300 characters"

    def split(self, texts: Sequence[str]) -> list[Passage]:
        """Whole documents: `build` splits them."""
        return [Passage(number, text) for number, text in enumerate(texts)]

    def passages(self, texts: Sequence[str]) -> list[Passage]:
        """What documents are split into, for a peer that brings no splitter."""
        return [
            Passage(number, text[section.start : section.end])
            for number, text in enumerate(texts)
            for section in split(text)
        ]

    def build(self, folder: Path, passages: Sequence[Passage]) -> None:
        for document, parts in groupby(passages, key=lambda passage: passage.document):
            path = folder / "documents" / f"{document:06}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text("\n\n".join(part.text for part in parts), encoding="utf-8")
        (folder / "config.yaml").write_text("corpus: [documents]\n", encoding="utf-8")
        self.open(folder)
        self.engine.index()

    def open(self, folder: Path) -> None:
        self.engine = Engine.open(folder / "config.yaml")

    def search(self, question: str, top_k: int) -> Found:
        response = self.engine.ask(question, top_k=top_k, answer="extractive")
        hits = [Hit(int(Path(hit.path).stem), hit.text, hit.score) for hit in response.hits]
        return Found(hits, refused=response.status == "no_answer")

    def server(self, folder: Path, port: int, questions: Sequence[str]) -> Server | None:
        qa = str(Path(sys.executable).with_name("qa"))
        command = [qa, "serve", "--config", str(folder / "config.yaml"), "--port", str(port)]
        return Server(command, [("/v1/ask", {"query": question}) for question in questions], workers="--workers")
