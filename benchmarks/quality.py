"""Retrieval quality on SQuAD-style files: BM25 alone, dense alone, fused, and ranked by what answers as users get it.

    python benchmarks/quality.py ../shared/data/eval/xquad.zh.json ../shared/data/eval/drcd_dev.json
    python benchmarks/quality.py --encoder FOLDER --questions 300 FILE ...

Each context becomes a document, read, split and searched as a user's would be; documents rank by their best passage.
A file given as CORPUS.json+QUESTIONS.json asks the questions of the second of the contexts of the first (the files are
parallel), which measures search across languages. The table is printed and written to benchmarks/results/quality.json.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from index.encoder import Encoder, load_encoder
from index.indexing.build import sync
from index.retrieval.scoring import Weights, weights
from index.retrieval.search import retrieve, search
from index.store.local import LocalStore
from index.types import Filters, Hit
from qa.answering.ranking import rank_passages
from qa.understanding.question import Question

RESULTS = Path(__file__).parent / "results" / "quality.json"
# Enough passages that ten different documents are among them.
POOL = 60
Ranker = Callable[[LocalStore, Encoder, str], Sequence[Hit]]


@dataclass(frozen=True)
class Query:
    """A question and the name of the one document that answers it."""

    text: str
    relevant: str


def contexts(file: Path) -> list[str]:
    """The distinct contexts of a SQuAD-style file, in order."""
    data = json.loads(file.read_text(encoding="utf-8"))["data"]
    return list(dict.fromkeys(paragraph["context"] for article in data for paragraph in article["paragraphs"]))


def questions(file: Path) -> Iterator[Query]:
    """The questions of a SQuAD-style file; documents are named by the place of their context."""
    names = {context: f"{number:05}" for number, context in enumerate(contexts(file))}
    for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                yield Query(qa["question"], names[paragraph["context"]])


def build(texts: Sequence[str], encoder: Encoder, folder: Path) -> LocalStore:
    """Index texts as files named by their place."""
    documents = folder / "documents"
    documents.mkdir(parents=True)
    for number, text in enumerate(texts):
        (documents / f"{number:05}.txt").write_text(text, encoding="utf-8")
    return sync({"documents": documents}, folder / "data", encoder, base=folder)[0]


def by(of: Weights) -> Ranker:
    """Search with these weights alone."""
    return lambda store, encoder, text: search(store, encoder, text, top_k=POOL, weights=of)


def ranked(store: LocalStore, encoder: Encoder, text: str) -> Sequence[Hit]:
    """What `qa search` and `qa ask` show."""
    question = Question.of(text)
    retrieved = retrieve(store, encoder, question.query, question.names, question.places, top_k=POOL, filters=Filters())
    return rank_passages(question, retrieved).hits


RANKERS = {
    "BM25": by({"words": 1.0}),
    "dense": by({"meaning": 1.0}),
    "fused": by(weights("retrieval")),
    "ranked": ranked,
}


def measure(store: LocalStore, encoder: Encoder, queries: Sequence[Query], ranker: Ranker) -> dict[str, float]:
    """Means over the queries: nDCG@10, hit@1 and recall@10 of documents."""
    ranks = [_rank(ranker(store, encoder, query.text), query) for query in queries]
    return {
        "ndcg@10": fmean(1 / math.log2(rank + 1) if rank and rank <= 10 else 0.0 for rank in ranks),
        "hit@1": fmean(rank == 1 for rank in ranks),
        "recall@10": fmean(rank is not None and rank <= 10 for rank in ranks),
    }


def _rank(hits: Sequence[Hit], query: Query) -> int | None:
    names = list(dict.fromkeys(Path(hit.passage.path).stem for hit in hits if hit.score > 0))
    return names.index(query.relevant) + 1 if query.relevant in names else None


def main() -> None:
    """Measure every file given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="FILE.json, or CORPUS.json+QUESTIONS.json")
    parser.add_argument("--encoder", default="bundled")
    parser.add_argument("--questions", type=int, default=0, help="Only so many questions, evenly spread")
    arguments = parser.parse_args()
    encoder = load_encoder(arguments.encoder)
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for name in arguments.files:
        corpus, _, asked = name.partition("+")
        queries = list(questions(Path(asked or corpus)))
        if arguments.questions:
            queries = queries[:: max(1, len(queries) // arguments.questions)]
        with tempfile.TemporaryDirectory() as folder:
            store = build(contexts(Path(corpus)), encoder, Path(folder))
            label = "+".join(Path(part).stem for part in name.split("+"))
            rows[label] = {key: measure(store, encoder, queries, ranker) for key, ranker in RANKERS.items()}
        shown = "  ".join(f"{key} {value['ndcg@10']:.3f}" for key, value in rows[label].items())
        print(f"{label:24} {len(queries):5} questions  nDCG@10  {shown}", flush=True)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known[encoder.fingerprint] = {**known.get(encoder.fingerprint, {}), **rows}
    RESULTS.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
