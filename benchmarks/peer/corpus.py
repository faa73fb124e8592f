"""What every peer is given, written as JSON by cited-qa's environment: `python -m peer.corpus FOLDER PASSAGES [XQUAD]`.

For speed: recombined.py's documents, 12 passages of about 290 characters each, and the questions planted in them. For
quality: the shipped documents and questions, and XQuAD's contexts, each a passage, where its file is given.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from quality import contexts, questions
from recombined import Recombined

from peer.cited_qa import Adapter

ROOT = Path(__file__).parents[2]


def main(folder: Path, passages: int, xquad: Path | None) -> None:
    """Write the inputs into `folder`."""
    made = Recombined(passages)
    asked = [planted.question for planted in made.questions]
    write(folder, "speed", [row for number, text in enumerate(made.texts()) for row in cut(number, text)], asked)
    seeds = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "seeds").glob("*.txt"))]
    lines = (ROOT / "benchmarks/union_questions.jsonl").read_text(encoding="utf-8").splitlines()
    write(folder, "union", list(enumerate(seeds)), [json.loads(line)["question"] for line in lines])
    ours = [(passage.document, passage.text) for passage in Adapter().passages(seeds)]
    (folder / "ours.json").write_text(json.dumps(ours, ensure_ascii=False))
    if xquad:
        queries = list(questions(xquad))
        write(folder, "xquad", list(enumerate(contexts(xquad))), [query.text for query in queries])
        (folder / "relevant.json").write_text(json.dumps([int(query.relevant) for query in queries]))


def cut(number: int, text: str) -> list[tuple[int, str]]:
    """A document's passages, the title with the first of them."""
    title, *paragraphs = text.strip().split("\n\n")
    return [(number, f"{title}\n\n{paragraphs[0]}"), *((number, paragraph) for paragraph in paragraphs[1:])]


def write(folder: Path, name: str, texts: list[tuple[int, str]], asked: list[str]) -> None:
    """Keep texts with their documents' numbers, and the questions asked of them."""
    found = {"texts": texts, "questions": asked}
    (folder / f"{name}.json").write_text(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
