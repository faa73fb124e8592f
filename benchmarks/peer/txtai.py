"""txtai: hybrid search, dense and BM25 over character n-grams, served by its own API.

`hybrid: true` and `content: true`: docs/embeddings/configuration/general.md. Its default tokenizer gives one token a
Chinese character; `scoring.tokenizer` takes the n-grams of docs/pipeline/data/tokenizer.md, and 1 to 2 characters found
more on XQuAD. A normalised BM25 is what `hybrid` itself sets. Documents are split by
paragraphs (docs/pipeline/data/segmentation.md): the chunkers that know Chinese fetch their rules from the network.
The server: docs/api/index.md. https://github.com/neuml/txtai
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from txtai import Embeddings
from txtai.pipeline import Segmentation

from peer import ENCODER, Found, Hit, Passage, Server

BM25 = {"method": "bm25", "terms": True, "normalize": True, "tokenizer": {"ngrams": {"nmin": 1, "nmax": 2}}}


class Adapter:
    """A hybrid `txtai.Embeddings` with content."""

    splitter = "its Segmentation, by paragraphs"

    def __init__(self) -> None:
        self.index = Embeddings(
            path=ENCODER, method="sentence-transformers", hybrid=True, content=True, scoring=BM25, gpu=False
        )

    def split(self, texts: Sequence[str]) -> list[Passage]:
        segmented = Segmentation(paragraphs=True)(list(texts))
        return [Passage(number, text) for number, found in enumerate(segmented) for text in found]

    def build(self, folder: Path, passages: Sequence[Passage]) -> None:
        # The document's number is in the id, behind the passage's own.
        rows = ((f"{number}-{passage.document}", passage.text, None) for number, passage in enumerate(passages))
        self.index.index(rows)
        self.index.save(str(folder / "index"))

    def open(self, folder: Path) -> None:
        self.index.load(str(folder / "index"))

    def search(self, question: str, top_k: int) -> Found:
        found = self.index.search(question, top_k)
        return Found([Hit(int(hit["id"].partition("-")[2]), hit["text"], hit["score"]) for hit in found])

    def server(self, folder: Path, port: int, questions: Sequence[str]) -> Server | None:
        config = folder / "api.yml"
        config.write_text(f"path: {folder / 'index'}\nwritable: false\nembeddings:\n")
        command = [sys.executable, "-m", "uvicorn", "txtai.api:app", "--port", str(port), "--no-access-log"]
        asked = [("/search?" + urlencode({"query": question, "limit": 5}), None) for question in questions]
        return Server(command, asked, {"CONFIG": str(config)}, "--workers")
