"""An answer quoted from the passages, with the short answer in it, or the reason why they give none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from index.encoder import Encoder, Vectors
from index.retrieval import scoring
from index.store import Store
from index.text.quantities import Quantity, counts_in, quantities
from index.types import Span
from qa.answering.clauses import Clause, overlap
from qa.answering.lists import Quote, list_parts, prose
from qa.answering.ranking import ReadPassages, confidence
from qa.understanding.question import Question

Reason = Literal["no_hits", "low_confidence", "missing_terms", "no_quantity"]
Encode = Callable[[Sequence[str]], Vectors]

_SEGMENT = re.compile("[^,，;；:：。!！?？\\n]+")
_ITEM_END = re.compile("[,，;；:：。!！?？、\\n()（）]")
_SUBSET = ("其中", "里面", "包括")
_BOOK = re.compile("《[^》]{2,40}》")
_QUOTED = re.compile('[“"「『]([^”"」』]{2,30})[”"」』]')
_ASKS_TITLE = re.compile("文件|条例|办法|意见|通知|规定|计划|书|法律|法规|制度|刊物|报告|文章")
_ASKS_CALLED = re.compile("叫|名称|名字|品牌|口号|称号|招牌|写了什么|工程|主题")


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is verbatim; `quotes` are where it stands, as spans of each passage's text. `confidence` is 0 to 1."""

    text: str
    value: str | None
    confidence: float
    quotes: tuple[Quote, ...]


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why there is no answer. `missing_terms` are names in the question that no article brings together."""

    reason: Reason
    missing_terms: tuple[str, ...] = ()
    confidence: float = 0.0


def answer(question: Question, passages: ReadPassages, store: Store, encoder: Encoder) -> Answer | NoAnswer:
    """The answer that the passages give, or why they give none."""
    if not passages.clauses:
        return NoAnswer("no_hits")
    if passages.missing:
        return NoAnswer("missing_terms", passages.missing)
    best = passages.clauses[0]
    certainty = confidence(question, passages)
    if question.asks_quantity and not best.fitting:
        return NoAnswer("no_quantity", confidence=certainty)
    if certainty < scoring.weights("answering")["least confidence"]:
        return NoAnswer("low_confidence", confidence=certainty)
    passage = best.hit.passage
    value = value_of(question, best, passages.weights, encoder.encode_documents)
    shown = passage.text[slice(*value)] if value else None
    quotes = list_parts(question, best, store) or [
        (passage, best.span if question.asks_quantity or question.asks_name else prose(best))
    ]
    return Answer("\n".join(part.text[slice(*span)] for part, span in quotes), shown, certainty, tuple(quotes))


def value_of(question: Question, clause: Clause, weights: Sequence[float], encode: Encode) -> Span | None:
    """Where in the passage's text the short answer stands; None where none is asked for, or none is there."""
    if question.asks_quantity:
        return clause.original(*_best_quantity(question, clause, weights, encode).span) if clause.fitting else None
    if question.asks_list or question.kind == "place":
        return None
    text = clause.folded.text
    candidates = clause.fitting or [
        span for span in _titles(question, text) if text[slice(*span)] not in question.wanted
    ]
    if not candidates:
        return None
    known = [any(name in text[slice(*span)] for name in question.names) for span in candidates]
    near = [overlap(question.query.concepts, weights, text[slice(*_segment(text, span))]) for span in candidates]
    best = max(range(len(candidates)), key=lambda number: (not known[number], near[number], -number))
    return clause.original(*candidates[best])


def _best_quantity(question: Question, clause: Clause, weights: Sequence[float], encode: Encode) -> Quantity:
    """The quantity whose own words fit the question best, then those around it."""
    text = clause.folded.text
    present = quantities(text)
    fitting = [quantity for quantity in present if quantity.span in clause.fitting]
    segments = [_segment(text, quantity.span) for quantity in fitting]
    items = [_item(text, quantity, present) for quantity in fitting]
    vectors = encode([question.topic, *(text[slice(*item)] for item in items)])
    features = [
        {
            "own words": overlap(question.query.concepts, weights, text[slice(*item)]),
            "words around": overlap(question.query.concepts, weights, text[slice(*segment)]),
            "meaning": float(vectors[0] @ vector),
            "unit": float(bool(question.unit) and quantity.unit == question.unit),
            "named beside": sum(quantity.text in question.mentioned for quantity in _within(segment, present)),
            "limits": _foreign_limits(question, quantity, present, segment),
        }
        for quantity, segment, item, vector in zip(fitting, segments, items, vectors[1:], strict=True)
    ]
    worth = scoring.weights("figure")
    scores = [sum(points.values()) for points in scoring.points(features, worth)]
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
            scores[earlier] = max(scores[earlier], scores[number] + scoring.weights("figure")["part"])
            return


def _foreign_limits(question: Question, quantity: Quantity, present: Sequence[Quantity], segment: Span) -> int:
    """How many durations and dates limit this quantity (for four years, in 2007) without the question naming them."""
    others = [other for other in _within(segment, present) if other != quantity]
    limiting = [other for other in others if other.kind in ("duration", "date")]
    return sum(other.text not in question.wanted for other in limiting)


def _within(segment: Span, present: Sequence[Quantity]) -> list[Quantity]:
    return [quantity for quantity in present if segment[0] <= quantity.span[0] < segment[1]]


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
