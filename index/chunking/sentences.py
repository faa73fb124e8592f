"""Sentence boundaries, by punctuation, for Chinese and for languages with spaces."""

from __future__ import annotations

import re
from collections.abc import Iterator

from index.types import Span

_CLOSERS = "”’\"'」』》)）】〕\\]"
_STOPS = "。！？!?…｡।؟۔"


def _end(stops: str) -> re.Pattern[str]:
    """Stops with the quotes and brackets that they close, a full stop before white space, or line breaks.

    A full stop ends a sentence only there: 2.04, v1.2 and example.com go on. What is met first is one class of
    characters, which is looked for much faster than several ways to begin.
    """
    return re.compile(f"[{stops}.\\n](?:(?<=[{stops}])[{stops}]*[{_CLOSERS}]*|(?<=\\n)\\n*|(?<=[.])(?=\\s|$))")


_SENTENCE_END = _end(_STOPS)
_CLAUSE_END = _end(f"{_STOPS}；;")
_SOFT_END = re.compile("[，,、：:]|\\s")


def sentences(text: str) -> list[Span]:
    """Spans of the sentences of `text`, in order, without surrounding white space."""
    return list(_spans(text, _SENTENCE_END))


def clauses(text: str) -> list[Span]:
    """Like `sentences`, but also cut at semicolons: the units that are embedded and cited."""
    return list(_spans(text, _CLAUSE_END))


def chunks(text: str, max_chars: int) -> list[Span]:
    """Cut `text` into spans of about `max_chars` at most, at sentence ends where possible, else at softer places.

    The last span may be a fifth longer, so that no crumb of a sentence is left alone.
    """
    if len(text) <= max_chars:
        return [(0, len(text))]
    spans: list[Span] = []
    for start, end in _pieces(text, max_chars):
        if spans and end - spans[-1][0] <= max_chars:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    if len(spans) > 1 and spans[-1][1] - spans[-2][0] <= max_chars * 1.2:
        spans[-2:] = [(spans[-2][0], spans[-1][1])]
    return spans


def _pieces(text: str, max_chars: int) -> Iterator[Span]:
    for sentence in sentences(text):
        if sentence[1] - sentence[0] <= max_chars:
            yield sentence
            continue
        for clause in _offset(_spans(text[slice(*sentence)], _CLAUSE_END), sentence[0]):
            start, end = clause
            while end - start > max_chars:
                soft = [match.end() for match in _SOFT_END.finditer(text, start, start + max_chars)]
                cut = soft[-1] if soft else start + max_chars
                yield start, cut
                start = cut
            yield start, end


def _offset(spans: Iterator[Span], by: int) -> Iterator[Span]:
    return ((start + by, end + by) for start, end in spans)


def _spans(text: str, boundary: re.Pattern[str]) -> Iterator[Span]:
    start = 0
    for end in [*[match.end() for match in boundary.finditer(text)], len(text)]:
        piece = text[start:end]
        if stripped := piece.strip():
            left = start + (0 if piece[0] == stripped[0] else len(piece) - len(piece.lstrip()))
            yield left, left + len(stripped)
        start = end
