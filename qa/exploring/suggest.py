"""Questions that the documents answer, made of their own sentences: a figure is taken out and asked for.

What is suggested has been asked: the engine gave the figure, quoted from the document that it was taken from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from index.text.fold import fold, fold_text
from index.text.quantities import Quantity, quantities
from index.text.scripts import HAN
from index.types import Passage
from qa.schemas import AskResponse

Ask = Callable[[str], AskResponse]

MAX_SUGGESTED = 6
# How many questions are tried for one document, and in all.
_TRIES_EACH = 3
_TRIES = 36
_MIN_CHARS, _BEST_CHARS, _MAX_CHARS = 9, 16, 30
_MIN_WORDS, _BEST_WORDS, _MAX_WORDS = 5, 9, 18
_SEGMENT = re.compile("[^,，;；:：。!！?？\\n|\t]+")
_SENTENCE = re.compile("[^;!?\\n|\t]+?(?:\\.(?=\\s|$)|[;!?\\n|\t]|$)")
# A part that leans on what stands before it is no question by itself.
_LEANING = re.compile(
    "[其该这那此并且但而则也又还均共仅达由以使为了等及和与至到]|同时|同比|比上|总计|累计|合计|今年|去年|前年|当年|近[一二三两]?年"
    "|(?:it|he|she|they|this|that|these|those|and|but|or|which|who|as|we|you|i|its|their) "
)
_UNASKABLE = re.compile("[“”\"'《》()（）\\[\\]【】/\\\\<>*#=]")
_HAN = re.compile(f"[{HAN}]")
# 每10人 and 第3批 say which, not how many.
_BOUND = ("每", "第", "前", "满")
_LEAST = 10


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A question, and the figure that answers it in the document."""

    question: str
    figure: str
    document_id: str


def suggest(documents: Iterable[Sequence[Passage]], ask: Ask) -> list[Suggestion]:
    """At most `MAX_SUGGESTED` questions, each from another document as far as there are so many.

    `documents` are lists of passages; only as many are taken as are needed.
    """
    firsts: list[Suggestion] = []
    others: list[Suggestion] = []
    tries = 0
    for passages in documents:
        if tries >= _TRIES or len(firsts) == MAX_SUGGESTED:
            break
        count = 0
        for candidate in islice(_candidates(passages), _TRIES_EACH):
            tries += 1
            if _is_answered(candidate, ask):
                (others if count else firsts).append(candidate)
                count += 1
    return [*firsts, *others][:MAX_SUGGESTED]


def _is_answered(candidate: Suggestion, ask: Ask) -> bool:
    response = ask(candidate.question)
    return (
        response.answer is not None
        and response.citations[0].document_id == candidate.document_id
        and response.answer.value is not None
        and fold_text(candidate.figure) in fold_text(response.answer.value)
    )


def _candidates(passages: Sequence[Passage]) -> list[Suggestion]:
    """The questions that a document's passages suggest, those of a good length first, each from another passage."""
    best: dict[str, tuple[float, Suggestion]] = {}
    for passage in passages:
        for distance, question, figure in _questions(passage.text):
            if passage.id not in best or distance < best[passage.id][0]:
                best[passage.id] = (distance, Suggestion(question, figure, passage.document_id))
    return [suggestion for _, suggestion in sorted(best.values(), key=lambda pair: (pair[0], pair[1].question))]


def _questions(text: str) -> Iterator[tuple[float, str, str]]:
    """How far from the best length, the question, and the figure it asks for."""
    folded = fold(text)
    is_chinese = bool(_HAN.search(text))
    present = quantities(folded.text)
    for segment in (_SEGMENT if is_chinese else _SENTENCE).finditer(folded.text):
        start, end = segment.span()
        inside = [quantity for quantity in present if start <= quantity.span[0] and quantity.span[1] <= end]
        part = segment.group().strip()
        if len(inside) != 1 or _LEANING.match(part) or _UNASKABLE.search(part):
            continue
        length, best, least, most = (
            (len(part), _BEST_CHARS, _MIN_CHARS, _MAX_CHARS)
            if is_chinese
            else (len(part.split()), _BEST_WORDS, _MIN_WORDS, _MAX_WORDS)
        )
        make = _chinese if is_chinese else _english
        (first, last) = inside[0].span
        before, after = text[slice(*folded.span(start, first))], text[slice(*folded.span(last, end))]
        if least <= length <= most and (question := make(before.lstrip(), inside[0], after.rstrip())):
            yield abs(length - best) / best, question, inside[0].text


def _chinese(before: str, figure: Quantity, after: str) -> str | None:
    """帮助1097名困难家庭子女圆了大学梦 becomes 帮助多少名困难家庭子女圆了大学梦."""
    is_figure = figure.kind in ("count", "money") and figure.unit and _is_told(figure)
    return f"{before}多少{figure.unit}{after}？" if is_figure and not before.endswith(_BOUND) else None


def _english(before: str, figure: Quantity, after: str) -> str | None:
    """The reading room holds 4321 books becomes The reading room holds how many books."""
    after = after.rstrip(".; ")
    if figure.kind == "count" and _is_told(figure) and re.match(" [a-z]", after):
        return f"{before}how many{after}?"
    if figure.kind == "money" and _is_told(figure):
        return f"{before}how much money{after}?"
    return None


def _is_told(figure: Quantity) -> bool:
    """Whether it is a figure that one would ask for: 1097名 is, 三级 and 第2批 are parts of names."""
    return figure.value is not None and figure.value >= _LEAST and figure.text[0].isdigit() and figure.text[0].isascii()
