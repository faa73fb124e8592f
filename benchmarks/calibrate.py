"""Fit the confidence of answers (index/retrieval/weights.json) and show what it is worth.

    python benchmarks/calibrate.py [--write] ../shared/data/eval/drcd_dev.json ../shared/data/eval/cmrc_trial.json

Of each SQuAD-style file every second context is indexed; questions on the others have no answer there. The shipped
union questions join them, and each set is also asked of the other's documents, which know nothing of it. An answer
counts as right when its clause holds an accepted answer. Prints the weights, which --write keeps, what each threshold
refuses, and a reliability table by tenths, weighted as the fit is, the last two for five-fold held-out predictions.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from quality import build, contexts
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from index.encoder import Encoder, load_encoder
from index.retrieval import scoring
from index.retrieval.search import retrieve
from index.store.local import LocalStore
from index.types import Filters
from qa.answering.ranking import confidence_features, rank_passages
from qa.evaluation.evaluate import load_questions, squeeze
from qa.understanding.question import Question

ROOT = Path(__file__).parent.parent
PER_FILE = 600
UNION_SHARE = 0.5
FEATURES = [name for name in scoring.weights("confidence") if name != "one"]
Row = tuple[list[float], bool, bool]  # features, right, answerable
Asked = tuple[str, list[str]]  # question, accepted answers


def rows(store: LocalStore, encoder: Encoder, asked: Sequence[Asked]) -> Iterator[Row]:
    """Features of the best clause for each question, and whether it is right."""
    for text, answers in asked:
        question = Question.of(text)
        retrieved = retrieve(
            store, encoder, question.query, question.names, question.places, top_k=30, filters=Filters()
        )
        passages = rank_passages(question, retrieved)
        if passages.clauses and not passages.missing:
            said = squeeze(passages.clauses[0].folded.text)
            features = confidence_features(question, passages)
            is_right = any(squeeze(answer) in said for answer in answers)
            yield [features[name] for name in FEATURES], is_right, bool(answers)


def asked_in(file: Path, kept: set[str]) -> list[Asked]:
    """Questions of a SQuAD-style file, spread evenly; those on contexts that are not kept have no answers."""
    asked = [
        (qa["question"], [answer["text"] for answer in qa["answers"]] if paragraph["context"] in kept else [])
        for article in json.loads(file.read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]
    return asked[:: max(1, len(asked) // PER_FILE)]


def collect(files: Sequence[Path], encoder: Encoder) -> dict[str, list[Row]]:
    """Rows by group: each set of questions on its own documents, and on documents that have nothing to do with it."""
    seeds = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "seeds").glob("*.txt"))]
    shipped = [(q.question, q.answers) for q in load_questions(ROOT / "benchmarks" / "union_questions.jsonl")]
    groups: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = build(seeds, encoder, Path(folder))
        groups["union"] = list(rows(store, encoder, shipped))
        groups["strangers"] = [row for file in files for row in rows(store, encoder, asked_in(file, set())[::3])]
    for file in files:
        kept = set(contexts(file)[::2])
        with tempfile.TemporaryDirectory() as folder:
            store = build(sorted(kept), encoder, Path(folder))
            groups[file.stem] = list(rows(store, encoder, asked_in(file, kept)))
            groups[f"union on {file.stem}"] = list(rows(store, encoder, [(text, []) for text, _ in shipped]))
    return groups


def report(name: str, chances: np.ndarray, right: np.ndarray, answerable: np.ndarray, threshold: float) -> None:
    """Print what refusing below the threshold gives."""
    refused = chances < threshold
    shares = [refused[part].mean() if part.any() else np.nan for part in (~answerable, answerable)]
    print(
        f"{name:20} {len(right):5} questions, best clause right {right.mean():.3f}; refused: unanswerable "
        f"{shares[0]:.3f}, answerable {shares[1]:.3f}"
    )


def main() -> None:
    """Fit on everything, report on held-out folds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help="Put what was fitted in the place of what is there")
    arguments = parser.parse_args()
    encoder = load_encoder()
    groups = collect(arguments.files, encoder)
    everything = [row for group in groups.values() for row in group]
    x, right, answerable = (np.array([row[part] for row in everything]) for part in range(3))
    # The shipped questions are few beside the rest and nearest to what users ask.
    shares = {name: UNION_SHARE if name == "union" else (1 - UNION_SHARE) / (len(groups) - 1) for name in groups}
    weight = np.concatenate([np.full(len(group), shares[name] / len(group)) for name, group in groups.items()]) * len(x)
    model = LogisticRegression(C=10.0, max_iter=500)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    chances = cross_val_predict(model, x, right, cv=folds, method="predict_proba", params={"sample_weight": weight})[
        :, 1
    ]
    model.fit(x, right, sample_weight=weight)
    values = [*model.intercept_, *model.coef_[0]]
    fitted = {name: round(float(value), 3) for name, value in zip(["one", *FEATURES], values, strict=True)}
    print(json.dumps(fitted, indent=1))
    if arguments.write:
        scoring.write("confidence", fitted)
    for threshold in (0.1, 0.15, 0.2, 0.25, 0.3):
        print(f"threshold {threshold}")
        start = 0
        for name, group in groups.items():
            part = slice(start, start + len(group))
            report(name, chances[part], right[part], answerable[part], threshold)
            start += len(group)
    for low in np.arange(0, 1, 0.1):
        bucket = (chances >= low) & (chances < low + 0.1)
        if bucket.any():
            said, was = (np.average(values[bucket], weights=weight[bucket]) for values in (chances, right))
            print(f"said {said:.2f}  was {was:.2f}  ({bucket.sum()} answers)")


if __name__ == "__main__":
    main()
