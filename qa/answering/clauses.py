"""Which clause of the passages answers: compared with the question by words, by meaning, and by what it asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from index.chunking.passages import clean
from index.retrieval import scoring
from index.text.fold import Folded, fold, fold_text
from index.text.names import organisations, people, places
from index.text.quantities import Quantity, counts_in, quantities
from index.text.scripts import HAN
from index.types import Hit, Span
from qa.understanding.question import Question

_PAIR_CREDIT = 0.5
_LABEL_CHARS = 40
# 一个, 一批 and the like are articles more often than figures.
_ONE = re.compile("一[个批种次项名位家条件支套类]")
_STOPS = '。.!！?？;；”"…'
_ITEMS = re.compile("[^、,，。;；:：]{1,25}(?:、[^、,，。;；:：]{1,25})+")
_PLAIN_LIST_ITEMS = 3
_HAN = re.compile(f"[{HAN}]")


@dataclass(frozen=True, slots=True)
class Clause:
    """A unit of a passage as a candidate answer.

    `coverage` is the share of the question's words, by weight, that stand in it; `cosine` its nearness in meaning.
    `fitting` are spans, in the folded text, of what could be the short answer; `fit` is what it is worth by that.
    `score` is comparable between clauses of all hits.
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
    question: Question, hits: Sequence[Hit], cosines: Mapping[int, Sequence[float]], weights: Sequence[float]
) -> list[Clause]:
    """Every clause of the hits, the likeliest answer first.

    `cosines` are each passage's, by row, of its units; `weights` those of the question's concepts.
    """
    top = max((hit.score for hit in hits), default=0.0) or 1.0
    read = [(hit, number, *unit) for hit in hits for number, unit in enumerate(_read_units(question, hit, weights))]
    features = {
        "words": np.array([coverage for *_, coverage, _, _ in read]),
        "meaning": np.array([cosines[hit.passage.row][number] for hit, number, *_ in read]),
        "kind": np.array([fit for *_, fit in read]),
        "passage": np.array([hit.score / top for hit, *_ in read]),
    }
    added = scoring.parts(features, scoring.weights("clause"))
    scores = sum(added.values(), np.zeros(len(read))).tolist()
    clauses = [
        Clause(hit, hit.passage.units[number], folded, coverage, cosine, fitting, fit, score)
        for (hit, number, folded, coverage, fitting, fit), cosine, score in zip(
            read, features["meaning"].tolist(), scores, strict=True
        )
    ]
    return in_order(clauses)


def in_order(clauses: Sequence[Clause]) -> list[Clause]:
    """Clauses by their scores, the best first."""
    return sorted(clauses, key=lambda clause: (-clause.score, clause.hit.rank, clause.span))


def _read_units(
    question: Question, hit: Hit, weights: Sequence[float]
) -> Iterator[tuple[Folded, float, tuple[Span, ...], float]]:
    """Each clause of a passage, folded, with its coverage, what in it could be the short answer, and its fit."""
    passage = hit.passage
    heading, heading_letters = _heading(passage.title, passage.heading_path)
    named = " ".join(name for name in question.names if name in heading)
    for folded in _folded_units(passage.text, passage.start, passage.hidden, passage.units):
        candidates = tuple(fitting(question, folded.text))
        coverage = overlap(question.query.concepts, weights, f"{folded.text} {named}")
        yield folded, coverage, candidates, _fit(question, folded.text, candidates, heading_letters)


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


def _fit(question: Question, text: str, candidates: Sequence[Span], heading_letters: str) -> float:
    """What a clause is worth by what stands in it: what is asked for, or only a label."""
    if lacks(question, text, candidates):
        kind = "missing"
    elif question.kind == "count" and all(_ONE.fullmatch(text[slice(*span)]) for span in candidates):
        kind = "one"
    elif question.asks_list and candidates:
        kind = "list" if question.how_many is None else "counted list"
    elif defines(question, text) or (question.kind == "place" and candidates):
        kind = "telling"
    else:
        kind = "there"
    worth = scoring.weights("kind")
    is_told_by_label = candidates and question.kind != "place"
    if is_told_by_label or not _is_label(text, heading_letters):
        return worth[kind]
    return worth[kind] + worth["label"]


def fitting(question: Question, folded: str) -> list[Span]:
    """Spans of what could be the short answer in a folded text: quantities, people, organisations or lists."""
    if question.asks_quantity:
        # Where words are spaced, what a number counts stands after it as a word that can't be compared.
        is_spaced = question.kind == "count" and not _HAN.search(folded)
        return [
            quantity.span
            for quantity in quantities(folded)
            if accepts(question, quantity) or (is_spaced and quantity.kind == "count" and not quantity.unit)
        ]
    if question.asks_list:
        return [match.span() for match in _ITEMS.finditer(folded) if holds_list(question, match.group())]
    if question.kind not in ("place", "person", "organisation"):
        return []
    find = {"place": places, "person": people}.get(question.kind, organisations)
    return [span for span in find(folded, question.segmenter) if folded[slice(*span)] not in question.wanted]


def accepts(question: Question, quantity: Quantity) -> bool:
    """Whether a quantity is of the kind, and counted in the unit, that the question asks for."""
    unit = question.unit
    if question.kind in ("money", "share", "date", "time", "duration"):
        is_counted_so = not unit or quantity.unit in (unit, f"个{unit}", "日" if unit == "天" else "")
        return quantity.kind == question.kind and quantity.text not in question.mentioned and is_counted_so
    if question.kind != "count" or quantity.text in question.mentioned:
        return False
    if quantity.kind in ("share", "money"):
        return question.is_open or unit == quantity.unit == "块"
    if quantity.kind == "ordinal":
        return question.asks_ordinal
    return quantity.kind == "count" and (not unit or counts_in(unit, quantity.unit))


def holds_list(question: Question, folded: str) -> bool:
    """Whether an enumeration in a folded text has as many items as asked for, or three where that isn't said."""
    items = folded.count("、") + 1
    return items == question.how_many if question.how_many else items >= _PLAIN_LIST_ITEMS


def defines(question: Question, folded: str) -> bool:
    """Whether a text says what the thing is that a definition is asked of: it opens with it."""
    subject = question.subject
    return question.kind == "definition" and len(subject) > 1 and folded.lstrip('“"「《').startswith(subject)


def lacks(question: Question, folded: str, candidates: Sequence[Span]) -> bool:
    """Whether a text can't answer because it holds nothing of the kind asked for.

    Names are told only in Chinese text; in another script their absence says nothing.
    """
    return not candidates and (
        question.asks_quantity or ((question.asks_name or question.kind == "place") and bool(_HAN.search(folded)))
    )


def overlap(concepts: Sequence[Sequence[str]], weights: Sequence[float], text: str) -> float:
    """Share of the concepts, by weight, that stand in a folded text in one way or another.

    A longer way's character pairs count half.
    """
    covered = 0.0
    for ways, weight in zip(concepts, weights, strict=True):
        for way in ways:
            if way in text:
                covered += weight
                break
        else:
            covered += weight * max([_share_of_pairs(way, text) for way in ways if len(way) > 2], default=0.0)
    return covered / (sum(weights) or 1.0)


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
