"""How likely it is that the best clause answers.

A logistic regression over a few features of the best clause, fitted by `benchmarks/calibrate.py` on questions with
and without an answer in the documents; its figures and a reliability table are in benchmarks/README.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from index.text.tokens import HAN
from qa.answering.clauses import Clause
from qa.understanding.question import Question

_HAN = re.compile(f"[{HAN}]")

FEATURES = ("coverage", "cosine", "unfit", "margin", "label", "foreign", "foreign cosine", "named", "foreign named")
INTERCEPT = -5.712
COEFFICIENTS = (2.719, 5.447, -1.697, 2.288, -3.901, 2.166, 4.822, 2.016, -2.439)
# Below this an answer is more likely wrong than it is worth showing; chosen by the same script.
MIN_CONFIDENCE = 0.2


def confidence(question: Question, clauses: Sequence[Clause], named: Mapping[int, float]) -> float:
    """Chance, 0 to 1, that the first of `clauses` answers. `named` is each article's share of the question's names."""
    total = INTERCEPT + sum(a * b for a, b in zip(COEFFICIENTS, features(question, clauses, named), strict=True))
    return 1 / (1 + math.exp(-total))


def features(question: Question, clauses: Sequence[Clause], named: Mapping[int, float]) -> list[float]:
    """The values of FEATURES for the first of `clauses`, which are ranked.

    `unfit` is 1 when a quantity or name is asked for and none stands there, `margin` the lead over the best clause of
    another passage, `label` 1 when the clause is a heading or the like, `foreign` 1 when question and clause are in
    different scripts and share no word, so that coverage tells nothing; `foreign cosine` is then the cosine again.
    `named` is the share of the question's names that the article mentions, 0 where it has none.
    """
    best = clauses[0]
    other = next((clause.score for clause in clauses if clause.hit is not best.hit), 0.0)
    share = named.get(best.hit.passage.article, 0.0)
    foreign = not best.coverage and bool(_HAN.search(question.topic)) != bool(_HAN.search(best.folded.text))
    return [
        best.coverage,
        best.cosine,
        float(question.lacks(best.folded.text, list(best.fitting))),
        min(1.0, best.score - other),
        float(best.fit < 0),
        float(foreign),
        best.cosine if foreign else 0.0,
        share,
        share if foreign else 0.0,
    ]
