"""What each part of the ranking gives on the shipped questions: hit@1 and hit@5, Chinese and English apart.

    python benchmarks/ablation.py

Prints a table and writes benchmarks/results/ablation.json.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from index.retrieval.scoring import Weights, weights
from index.retrieval.search import search
from qa.configuration.config import load_config
from qa.engine import Engine
from qa.evaluation.evaluate import EvalQuestion, load_questions, squeeze
from qa.understanding.question import Question

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "ablation.json"
POOL = 10
Ranker = Callable[[str], Sequence[str]]  # a question to the texts of its passages, best first


def rankers(engine: Engine) -> dict[str, Ranker]:
    """Each step with all before it."""

    def by(of: Weights, *, named: bool = False) -> Ranker:
        def rank(text: str) -> list[str]:
            question = Question.of(text)
            names = question.names if named else ()
            hits = search(engine.store, engine.encoder, question.wanted, top_k=POOL, weights=of, names=names)
            return [hit.passage.text for hit in hits]

        return rank

    full = weights("retrieval")
    return {
        "BM25 of the passage, title and headings": by({"words": full["words"]}),
        "+ BM25 of the article": by({"words": full["words"], "article": full["article"]}),
        "+ nearest clause in meaning": by(full),
        "+ names weigh more in the article": by(full, named=True),
        "+ the clause that answers": lambda text: [hit.text for hit in engine.ask(text, top_k=POOL).hits],
        "dense alone": by({"meaning": 1.0}),
    }


def hit_rates(questions: Sequence[EvalQuestion], rank: Ranker) -> tuple[float, float]:
    """hit@1 and hit@5."""
    ranks = []
    for question in questions:
        evidence = [squeeze(part) for part in question.evidence]
        holds = [any(part in squeeze(text) for part in evidence) for text in rank(question.question)]
        ranks.append(holds.index(True) + 1 if True in holds else POOL + 1)
    return fmean(rank == 1 for rank in ranks), fmean(rank <= 5 for rank in ranks)


def main() -> None:
    """Measure and keep."""
    questions = [q for q in load_questions(ROOT / "benchmarks" / "union_questions.jsonl") if q.evidence]
    groups = {
        "zh": [q for q in questions if q.kind != "english"],
        "en": [q for q in questions if q.kind == "english"],
    }
    rows: dict[str, dict[str, tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(load_config(ROOT / "config.yaml").model_copy(update={"data_dir": Path(folder)}))
        engine.index()
        for step, rank in rankers(engine).items():
            rows[step] = {name: hit_rates(group, rank) for name, group in groups.items()}
            shown = "  ".join(f"{name} {one:.3f} / {five:.3f}" for name, (one, five) in rows[step].items())
            print(f"{step:42} {shown}", flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({engine.encoder.fingerprint: rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
