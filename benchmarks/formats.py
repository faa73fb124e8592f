"""The seeds as other people would have them: hit@1 on the union questions for each format, against the plain files.

    python -m benchmarks.formats

The converted files come from the makers that the tests use, so the extra `test` must be installed. The table is
printed and written to benchmarks/results/formats.json.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from qa.configuration.config import load_config
from qa.engine import Engine
from qa.evaluation.evaluate import evaluate, load_questions
from tests.index.parsing.seeds import FORMATS, write_seeds

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "formats.json"


def main() -> None:
    """Measure every format."""
    questions = load_questions(HERE / "union_questions.jsonl")
    rows: dict[str, dict[str, object]] = {}
    for name in FORMATS:
        with tempfile.TemporaryDirectory() as folder:
            base = Path(folder)
            write_seeds(base / "seeds", name)
            (base / "config.yaml").write_text("corpus: [seeds]\n", encoding="utf-8")
            engine = Engine(load_config(base / "config.yaml"))
            report = engine.index()
            total = evaluate(engine, questions).total
        rows[name] = {
            "documents": report.documents,
            "passages": report.passages,
            "hit@1": round(total.hit_at_1 or 0, 4),
            "hit@5": round(total.hit_at_5 or 0, 4),
            "answer": round(total.answer_accuracy or 0, 4),
        }
        print(f"{name:10} {rows[name]}", flush=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
