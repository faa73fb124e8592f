"""Answers that are more than one clause: the whole sentence, what explains it, or every part of a list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from index.chunking.passages import clean
from index.chunking.sentences import sentences
from index.store import DocumentLookup
from index.text.fold import fold_text
from index.text.scripts import ONE_TO_TEN
from index.types import Passage, Span
from qa.answering.clauses import Clause, holds_list
from qa.understanding.question import Question

Quote = tuple[Passage, Span]

# An answer in prose is at most this long, and is continued while it is shorter than the other.
MAX_ANSWER_CHARS = 200
MIN_ANSWER_CHARS = 30
# So many clauses on from the one that answers are looked through for the parts of a list.
_REACH = 60
_NUMERALS = ONE_TO_TEN
_ORDINAL = re.compile(
    f"(?:第?([{_NUMERALS}]{{1,2}})(?:[、，,:：]|是)|[(（]([{_NUMERALS}]{{1,2}})[)）]|[(（]?([0-9]{{1,2}})[)）.、．](?![0-9])"
    "|(首先)|(其次)|(再次))"
)
_WORDS = {"首先": 1, "其次": 2, "再次": 3}
_SHORT_LEAD_CHARS = 12
_ALIKE_CHARS = 2


@dataclass(frozen=True, slots=True)
class _Unit:
    passage: Passage
    span: Span
    text: str


def prose(clause: Clause) -> Span:
    """The sentence that holds a clause, and the next one where it is too short to tell anything, as a span."""
    passage = clause.hit.passage
    spans = sentences(clean(passage.text, passage.start, passage.hidden))
    start, end = clause.span
    holding = [number for number, span in enumerate(spans) if span[0] < end and start < span[1]]
    if not holding:
        return clause.span
    first, last = spans[holding[0]][0], spans[holding[-1]][1]
    if last - first > MAX_ANSWER_CHARS:
        return clause.span
    after = spans[holding[-1] + 1 :]
    if last - first < MIN_ANSWER_CHARS and after and after[0][1] - first <= MAX_ANSWER_CHARS:
        last = after[0][1]
    return first, last


def list_parts(question: Question, clause: Clause, store: DocumentLookup) -> list[Quote]:
    """Every part of the list that is asked for, in order; empty where the clause itself holds it or there is none.

    Parts are clauses numbered alike (一是 … 二是 …), clauses that begin alike, or short openings that end in the word
    that the question counts (三种意识: 市场意识。… 创业意识。…). Where the question says how many there are, there
    must be as many.
    """
    if not question.asks_list or any(holds_list(question, clause.folded.text[slice(*span)]) for span in clause.fitting):
        return []
    units = list(_units(store.article_passages(clause.hit.passage.article)))
    at = next(
        (n for n, unit in enumerate(units) if unit.passage.row == clause.hit.passage.row and unit.span == clause.span),
        None,
    )
    if at is None:
        return []
    for run in (_numbered(units, at), _alike(units, at), _named(units, question.counted)):
        if len(run) > 1 and (question.how_many == len(run) or (question.how_many is None and question.kind == "list")):
            return [(unit.passage, unit.span) for unit in run]
    return []


def _units(article: Sequence[Passage]) -> Iterator[_Unit]:
    for passage in article:
        visible = clean(passage.text, passage.start, passage.hidden)
        for span in passage.units:
            yield _Unit(passage, span, fold_text(visible[slice(*span)]))


def _numbered(units: Sequence[_Unit], at: int) -> list[_Unit]:
    """The run 1, 2, 3 … that the unit at `at` belongs to or that follows it."""
    number = _ordinal(units[at].text)
    start = at
    if number and number > 1:
        start = next((n for n in range(at, max(-1, at - _REACH), -1) if _ordinal(units[n].text) == 1), at)
    run: list[_Unit] = []
    for unit in units[start : start + _REACH]:
        if _ordinal(unit.text) == len(run) + 1:
            run.append(unit)
        elif run and _ordinal(unit.text) == 1:
            break  # another list begins
    return run


def _ordinal(text: str) -> int | None:
    match = _ORDINAL.match(text)
    if not match:
        return None
    mark = next(group for group in match.groups() if group)
    if mark in _WORDS:
        return _WORDS[mark]
    if mark.isdigit():
        return int(mark)
    tens, _, ones = mark.rpartition("十")
    return (10 if "十" in mark and not tens else 10 * (_NUMERALS.find(tens) + 1) if tens else 0) + (
        _NUMERALS.find(ones) + 1 if ones else 0
    )


def _alike(units: Sequence[_Unit], at: int) -> list[_Unit]:
    """The run of neighbouring units that begin with the same characters as the unit at `at` or the one after it."""
    for start in (at, at + 1):
        if start >= len(units):
            break
        opening = units[start].text[:_ALIKE_CHARS]
        alike = [unit.text.startswith(opening) for unit in units]
        first = max((n + 1 for n in range(start) if not alike[n]), default=0)
        last = next((n for n in range(start, len(units)) if not alike[n]), len(units))
        if last - first > 1 and opening.isalpha():
            return list(units[first:last])
    return []


def _named(units: Sequence[_Unit], counted: str) -> list[_Unit]:
    """Units whose short first sentence ends in the counted word."""
    if not counted:
        return []
    parts = []
    for unit in units:
        start, end = (sentences(unit.text) or [(0, 0)])[0]
        lead = unit.text[start:end].rstrip("。.:：!！ ")
        if lead.endswith(counted) and len(counted) < len(lead) <= _SHORT_LEAD_CHARS:
            parts.append(unit)
    return parts
