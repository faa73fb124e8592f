"""Which of what a peer found is right, by the rules of `qa eval`: `python -m peer.judge FOLDER NAME`.

It runs in cited-qa's environment on what measure.py left there, and leaves judge.json.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from qa.evaluation.evaluate import EvalQuestion, load_questions, squeeze

QUESTIONS = Path(__file__).parents[1] / "union_questions.jsonl"


def main(folder: Path, name: str) -> None:
    """Judge, and leave the figures."""
    found = json.loads((folder / name / "quality.json").read_text())
    figures = {"splitter": found["splitter"], **union(found["union"], load_questions(QUESTIONS))}
    if "xquad" in found:
        figures |= xquad(found["xquad"], json.loads((folder / "input/relevant.json").read_text()))
    (folder / name / "judge.json").write_text(json.dumps(figures))


def union(found: Sequence[dict[str, Any]], questions: Sequence[EvalQuestion]) -> dict[str, Any]:
    """Hits that hold the evidence, among the first and the first five, and refusals."""
    answerable = [one for one in found if questions[one["number"]].is_answerable]
    unanswerable = [one for one in found if not questions[one["number"]].is_answerable]
    ranks = [rank_of_evidence(one["hits"], questions[one["number"]].evidence) for one in answerable]
    scores = [hit["score"] for one in unanswerable for hit in one["hits"] if hit["score"] is not None]
    return {
        "union_hit_at_1": round(fmean(rank == 1 for rank in ranks), 3),
        "union_hit_at_5": round(fmean(rank is not None and rank <= 5 for rank in ranks), 3),
        "union_unanswerable": len(unanswerable),
        "union_refused_right": sum(one["refused"] for one in unanswerable),
        "union_refused_wrong": sum(one["refused"] for one in answerable),
        "union_hits_of_score_0": sum(score <= 0 for score in scores),
    }


def rank_of_evidence(hits: Sequence[dict[str, Any]], evidence: Sequence[str]) -> int | None:
    """The rank of the first hit that holds one of these strings, white space and script variants aside."""
    parts = [squeeze(part) for part in evidence]
    texts = (squeeze(hit["text"]) for hit in hits)
    return next((rank for rank, text in enumerate(texts, start=1) if any(part in text for part in parts)), None)


def xquad(found: Sequence[dict[str, Any]], relevant: Sequence[int]) -> dict[str, Any]:
    """nDCG@10 and hit@1 of documents, each at its best passage."""
    ranks = []
    for one in found:
        documents = list(dict.fromkeys(hit["document"] for hit in one["hits"]))[:10]
        wanted = relevant[one["number"]]
        ranks.append(documents.index(wanted) + 1 if wanted in documents else None)
    return {
        "xquad_questions": len(ranks),
        "xquad_ndcg_at_10": round(fmean(1 / math.log2(rank + 1) if rank else 0.0 for rank in ranks), 3),
        "xquad_hit_at_1": round(fmean(rank == 1 for rank in ranks), 3),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
