"""The short answer inside a clause: the number, sum, date, name or title that the question asks for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from index.encoder import Vectors
from index.text.quantities import Quantity, counts_in, quantities
from index.types import Span
from qa.answering.clauses import Clause, Idf, concept_weights, overlap
from qa.understanding.question import Question

Encode = Callable[[Sequence[str]], Vectors]

_SEGMENT = re.compile("[^,，;；:：。!！?？\\n]+")
_ITEM_END = re.compile("[,，;；:：。!！?？、\\n()（）]")
_SUBSET = ("其中", "里面", "包括")
# What another figure beside a figure says of it: that it is the one asked for, or another one.
_LIMIT_BONUS = 0.3
_LIMIT_PENALTY = 0.3
_UNIT_BONUS = 0.1
_BOOK = re.compile("《[^》]{2,40}》")
_QUOTED = re.compile('[“"「『]([^”"」』]{2,30})[”"」』]')
_ASKS_TITLE = re.compile("文件|条例|办法|意见|通知|规定|计划|书|法律|法规|制度|刊物|报告|文章")
_ASKS_CALLED = re.compile("叫|名称|名字|品牌|口号|称号|招牌|写了什么|工程|主题")


def value_of(question: Question, clause: Clause, idf: Idf, encode: Encode) -> Span | None:
    """Where in the passage's text the short answer stands; None where none is asked for, or none is there."""
    if question.asks_quantity:
        return clause.original(*_best_quantity(question, clause, idf, encode).span) if clause.fitting else None
    if question.asks_list or question.kind == "place":
        return None
    text = clause.folded.text
    candidates = clause.fitting or [
        span for span in _titles(question, text) if text[slice(*span)] not in question.wanted
    ]
    if not candidates:
        return None
    known = [any(name in text[slice(*span)] for name in question.names) for span in candidates]
    weights = concept_weights(question.concepts, idf)
    near = [overlap(question.concepts, weights, text[slice(*_segment(text, span))]) for span in candidates]
    best = max(range(len(candidates)), key=lambda number: (not known[number], near[number], -number))
    return clause.original(*candidates[best])


def _best_quantity(question: Question, clause: Clause, idf: Idf, encode: Encode) -> Quantity:
    """The quantity whose own words fit the question best, then those around it."""
    text = clause.folded.text
    present = quantities(text)
    fitting = [quantity for quantity in present if quantity.span in clause.fitting]
    segments = [_segment(text, quantity.span) for quantity in fitting]
    items = [_item(text, quantity, present) for quantity in fitting]
    vectors = encode([question.topic, *(text[slice(*item)] for item in items)])
    scores = []
    weights = concept_weights(question.concepts, idf)
    for quantity, segment, item, vector in zip(fitting, segments, items, vectors[1:], strict=True):
        near = overlap(question.concepts, weights, text[slice(*item)]) + 0.5 * overlap(
            question.concepts, weights, text[slice(*segment)]
        )
        named = _LIMIT_BONUS * sum(
            other.text in question.mentioned for other in present if segment[0] <= other.span[0] < segment[1]
        )
        limits = _LIMIT_PENALTY * _foreign_limits(question, quantity, present, segment)
        unit = _UNIT_BONUS if question.unit and quantity.unit == question.unit else 0.0
        scores.append(near + float(vectors[0] @ vector) + unit + named - limits)
    for number, (quantity, segment) in enumerate(zip(fitting, segments, strict=True)):
        if text[slice(*segment)].startswith(_SUBSET) and _foreign_limits(question, quantity, present, segment):
            _lend_to_whole(fitting, scores, number, quantity)
    return fitting[max(range(len(fitting)), key=lambda number: (scores[number], -number))]


def _lend_to_whole(fitting: Sequence[Quantity], scores: list[float], number: int, part: Quantity) -> None:
    """Credit the whole with what speaks for its part.

    A figure under 其中 is a part of an earlier one; who doesn't name what limits it asks for the whole.
    """
    for earlier in range(number - 1, -1, -1):
        if counts_in(fitting[earlier].unit, part.unit):
            scores[earlier] = max(scores[earlier], scores[number] + 0.01)
            return


def _foreign_limits(question: Question, quantity: Quantity, present: Sequence[Quantity], segment: Span) -> int:
    """How many durations and dates limit this quantity (for four years, in 2007) without the question naming them."""
    others = [other for other in present if segment[0] <= other.span[0] < segment[1] and other != quantity]
    limiting = [other for other in others if other.kind in ("duration", "date")]
    return sum(other.text not in question.wanted for other in limiting)


def _segment(text: str, span: Span) -> Span:
    """The part between commas that holds a span."""
    for match in _SEGMENT.finditer(text):
        if match.start() <= span[0] < match.end():
            return match.span()
    return span


def _item(text: str, quantity: Quantity, present: Sequence[Quantity]) -> Span:
    """The words that belong to a quantity alone: from the figure or comma before it to the one after it."""
    start = max((other.span[1] for other in present if other.span[1] <= quantity.span[0]), default=0)
    start = max([start, *(match.end() for match in _ITEM_END.finditer(text, 0, quantity.span[0]))])
    end = min((other.span[0] for other in present if other.span[0] >= quantity.span[1]), default=len(text))
    stop = _ITEM_END.search(text, quantity.span[1])
    return start, min(end, stop.start() if stop else len(text))


def _titles(question: Question, text: str) -> Iterator[Span]:
    """Spans of titles of documents, or of what is called something, where the question asks for one."""
    if _ASKS_TITLE.search(question.wanted):
        yield from (match.span() for match in _BOOK.finditer(text))
    elif _ASKS_CALLED.search(question.wanted):
        yield from (match.span(1) for match in _QUOTED.finditer(text))
