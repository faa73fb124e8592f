"""How likely it is that the best clause answers.

A logistic regression over a few features of the best clause, fitted by `benchmarks/calibrate.py` on questions with
and without an answer in the documents; its figures and a reliability table are in benchmarks/README.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from index.tokens import HAN
from qa.clauses import Clause
from qa.question import Question

_HAN = re.compile(f"[{HAN}]")

FEATURES = ("coverage", "cosine", "unfit", "margin", "label", "foreign", "foreign cosine")
INTERCEPT = -4.055
COEFFICIENTS = (3.132, 4.63, -2.19, 2.514, -3.115, 0.52, 0.182)
# Below this an answer is more likely wrong than it is worth showing; chosen by the same script.
MIN_CONFIDENCE = 0.15


def confidence(question: Question, clauses: Sequence[Clause]) -> float:
    """Chance, 0 to 1, that the first of `clauses` answers."""
    total = INTERCEPT + sum(a * b for a, b in zip(COEFFICIENTS, features(question, clauses), strict=True))
    return 1 / (1 + math.exp(-total))


def features(question: Question, clauses: Sequence[Clause]) -> list[float]:
    """The values of FEATURES for the first of `clauses`, which are ranked.

    `unfit` is 1 when a quantity or name is asked for and none stands there, `margin` the lead over the best clause of
    another passage, `label` 1 when the clause is a heading or the like, `foreign` 1 when question and clause are in
    different scripts and share no word, so that coverage tells nothing; `foreign cosine` is then the cosine again.
    """
    best = clauses[0]
    other = next((clause.score for clause in clauses if clause.hit is not best.hit), 0.0)
    foreign = not best.coverage and bool(_HAN.search(question.topic)) != bool(_HAN.search(best.folded.text))
    return [
        best.coverage,
        best.cosine,
        float(question.lacks(best.folded.text, list(best.fitting))),
        min(1.0, best.score - other),
        float(best.fit < 0),
        float(foreign),
        best.cosine if foreign else 0.0,
    ]
