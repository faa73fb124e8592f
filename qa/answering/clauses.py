"""Which clause of the passages answers: compared with the question by words, by meaning, and by what it asks for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from index.chunking.passages import clean
from index.encoder import Vectors
from index.store import codes
from index.store.terms import inverse_frequency
from index.text.fold import Folded, fold, fold_text
from index.types import Hit, Span
from qa.understanding.question import Question

Idf = Callable[[str], float]

# Chosen on the union questions; benchmarks/README.md has the table.
COVERAGE_WEIGHT = 1.0
COSINE_WEIGHT = 1.2
FIT_WEIGHT = 0.4
# What the best clause of a passage adds to the passage's own score.
CLAUSE_WEIGHT = 3.0


_PAIR_CREDIT = 0.5
_LABEL_CHARS = 40
# 一个, 一批 and the like are articles more often than figures.
_ONE = re.compile("一[个批种次项名位家条件支套类]")
_ONE_FIT = 0.5
# By whether the question says how many items there are.
_LIST_FIT = (0.5, 1.5)
_TELLING_FIT = 0.5
_STOPS = '。.!！?？;；”"…'


@dataclass(frozen=True, slots=True)
class Clause:
    """A unit of a passage as a candidate answer.

    `coverage` is the share of the question's words, by weight, that stand in it; `cosine` its nearness in meaning.
    `fitting` are spans, in the folded text, of what could be the short answer. `score` is comparable between clauses
    of all hits.
    """

    hit: Hit
    span: Span
    folded: Folded
    coverage: float
    cosine: float
    fitting: tuple[Span, ...]
    fit: float
    score: float

    def original(self, start: int, end: int) -> Span:
        """The span of the passage's text behind a span of the clause's folded text."""
        first, last = self.folded.span(start, end)
        return self.span[0] + first, self.span[0] + last


def rank_clauses(
    question: Question, hits: Sequence[Hit], vectors: Mapping[int, bytes], wordings: Vectors, idf: Idf
) -> list[Clause]:
    """Every clause of the hits, the likeliest answer first.

    `vectors` are the codes of each passage's units, by row; `wordings`, `(n, dim)`, those of the question's wordings.
    """
    top = max((hit.score for hit in hits), default=0.0) or 1.0
    weights = concept_weights(question.concepts, idf)
    found: list[Clause] = []
    if not hits:
        return found
    nearest = iter(codes.cosines([vectors[hit.passage.row] for hit in hits], wordings).max(axis=1).tolist())
    for hit in hits:
        passage = hit.passage
        heading, heading_letters = _heading(passage.title, passage.heading_path)
        named = " ".join(name for name in question.names if name in heading)
        units = _folded_units(passage.text, passage.start, passage.hidden, passage.units)
        for span, folded, cosine in zip(passage.units, units, islice(nearest, len(units)), strict=True):
            coverage = overlap(question.concepts, weights, f"{folded.text} {named}")
            fitting = question.fitting(folded.text)
            fit = _fit(question, folded.text, fitting, heading_letters)
            score = COVERAGE_WEIGHT * coverage + COSINE_WEIGHT * cosine + FIT_WEIGHT * fit
            found.append(Clause(hit, span, folded, coverage, cosine, tuple(fitting), fit, score + hit.score / top))
    return sorted(found, key=lambda clause: (-clause.score, clause.hit.rank, clause.span))


@lru_cache(maxsize=4096)
def _folded_units(text: str, start: int, hidden: tuple[Span, ...], units: tuple[Span, ...]) -> list[Folded]:
    """The clauses of a passage, folded; remembered, as question after question compares them."""
    visible = clean(text, start, hidden)
    return [fold(visible[slice(*span)]) for span in units]


@lru_cache(maxsize=4096)
def _heading(title: str, heading_path: tuple[str, ...]) -> tuple[str, str]:
    """What stands above a passage, folded, and the letters and digits of it."""
    heading = fold_text(f"{title}\n{' '.join(heading_path)}")
    return heading, _letters(heading)


def _fit(question: Question, text: str, fitting: Sequence[Span], heading_letters: str) -> float:
    if question.lacks(text, fitting):
        fit = 0.0
    elif question.kind == "count" and all(_ONE.fullmatch(text[slice(*span)]) for span in fitting):
        fit = _ONE_FIT
    elif question.asks_list and fitting:
        fit = 1.0 + _LIST_FIT[question.how_many is not None]
    elif question.defines(text) or (question.kind == "place" and fitting):
        fit = 1.0 + _TELLING_FIT
    else:
        fit = 1.0
    is_told_by_label = fitting and question.kind != "place"
    return fit if is_told_by_label or not _is_label(text, heading_letters) else fit - 1.0


def rerank(pool: Sequence[Hit], clauses: Sequence[Clause], hits: Sequence[Hit]) -> list[Hit]:
    """All `hits` with new ranks and scores: those of the `pool` by passage and best clause together, then the rest."""
    top = max((hit.score for hit in pool), default=0.0) or 1.0
    best: dict[int, float] = {}
    for clause in clauses:
        row = clause.hit.passage.row
        best[row] = max(best.get(row, 0.0), clause.score - clause.hit.score / top)
    first = [
        hit.placed(hit.rank, hit.score + CLAUSE_WEIGHT * best[hit.passage.row])
        for hit in pool
        if hit.passage.row in best
    ]
    return put_first(first, [hit for hit in hits if hit.passage.row not in best])


def put_first(first: Sequence[Hit], rest: Sequence[Hit]) -> list[Hit]:
    """Hits with new ranks: `first` by their scores, then `rest`, scores of another scale, scaled to fit below."""
    ordered = sorted(first, key=lambda hit: (-hit.score, hit.rank))
    floor = ordered[-1].score if ordered else 1.0
    ceiling = max((hit.score for hit in rest), default=0.0) or 1.0
    scores = [hit.score for hit in ordered] + [floor * min(1.0, hit.score / ceiling) for hit in rest]
    placed = zip([*ordered, *rest], scores, strict=True)
    return [hit.placed(rank, score) for rank, (hit, score) in enumerate(placed, start=1)]


def idf_of(frequency: Callable[[str], int], passages: int) -> Idf:
    """The weight of a token, from how many of `passages` hold it; tokens of no passage weigh most."""
    known: dict[str, float] = {}

    def idf(token: str) -> float:
        if token not in known:
            known[token] = inverse_frequency(frequency(token), passages)
        return known[token]

    return idf


def concept_weights(concepts: Sequence[Sequence[str]], idf: Idf) -> list[float]:
    """What each concept weighs: as much as its commonest way."""
    return [min(map(idf, ways)) for ways in concepts]


def overlap(concepts: Sequence[Sequence[str]], weights: Sequence[float], text: str) -> float:
    """Share of the concepts, by weight, that stand in a folded text in one way or another.

    A longer way's character pairs count half.
    """
    found = 0.0
    for ways, weight in zip(concepts, weights, strict=True):
        if any(way in text for way in ways):
            found += weight
        elif max(map(len, ways)) > 2:
            found += weight * max(_share_of_pairs(way, text) for way in ways)
    return found / (sum(weights) or 1.0)


def _share_of_pairs(term: str, text: str) -> float:
    """What the character pairs of a longer term count for that stand in a text."""
    pairs = _pairs(term)
    return _PAIR_CREDIT * sum([pair in text for pair in pairs]) / len(pairs) if pairs else 0.0


@lru_cache(maxsize=1024)
def _pairs(term: str) -> list[str]:
    return [term[start : start + 2] for start in range(len(term) - 1)] if len(term) > 2 else []


def _is_label(clause: str, heading_letters: str) -> bool:
    """Whether a clause only names something: a line without a sentence in it, short or repeating the heading."""
    if clause[-1:] in _STOPS:
        return False
    return len(clause) <= max(_LABEL_CHARS, 2 * len(heading_letters)) and (
        len(clause) <= _LABEL_CHARS or _letters(clause) in heading_letters
    )


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))
