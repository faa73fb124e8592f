"""Rows of the database as objects, and objects as they are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.types import Document, DocumentInfo, Notice, Passage, Span

HalfVectors = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Units:
    """The embedded units of one passage: their spans within its text, and their vectors `(len(spans), dim)`."""

    spans: tuple[Span, ...]
    vectors: HalfVectors


@dataclass(frozen=True, slots=True)
class PassageVectors:
    """The vectors of a passage's units, `(units, dim)`, with the row ids of the passage and its article."""

    row: int
    article: int
    vectors: HalfVectors


@dataclass(frozen=True, slots=True)
class PassageText:
    """A passage as lexical search indexes it."""

    row: int
    document_row: int
    article: int
    title: str
    heading_path: tuple[str, ...]
    context: tuple[str, ...]
    text: str
    start: int
    hidden: tuple[Span, ...]


def document_of(row: tuple[Any, ...]) -> Document:
    """A document from its columns, in their order."""
    *columns, notices, generation = row
    return Document(*columns, notices=_notices(notices), generation=generation)  # type: ignore[misc]


def info_of(row: tuple[Any, ...]) -> DocumentInfo:
    """A document without its text."""
    *columns, notices, passages, generation = row
    return DocumentInfo(*columns, notices=_notices(notices), passages=passages, generation=generation)  # type: ignore[misc]


def _notices(stored: str) -> tuple[Notice, ...]:
    return tuple(Notice(**notice) for notice in json.loads(stored))


def passage_of(found: tuple[Any, ...]) -> Passage:
    """A passage with what its document and article say of it."""
    row, document_id, number, collection, path, title, headings, article, page, paragraph, start, end, *rest = found
    return Passage(
        id=f"{document_id}-{number}", row=row, document_id=document_id, collection=collection, path=path, title=title,
        heading_path=strings_of(headings), article=article, page=page, paragraph=paragraph, start=start, end=end,
        text=rest[0], hidden=spans_of(rest[1]), units=spans_of(rest[2]),
        page_breaks=integers_of(rest[3]), damaged=spans_of(rest[4]), context=strings_of(rest[5]),
    )  # fmt: skip


@lru_cache(maxsize=1 << 12)
def strings_of(stored: str) -> tuple[str, ...]:
    """Headings and the like, from JSON; many passages share theirs."""
    return tuple(json.loads(stored))


def integers_of(stored: str) -> tuple[int, ...]:
    """Offsets, from JSON."""
    return () if stored == "[]" else tuple(json.loads(stored))


def spans_of(stored: str) -> tuple[Span, ...]:
    """Spans, from JSON."""
    # Most have none, and parsing is the most of what a passage costs.
    return () if stored == "[]" else tuple((start, end) for start, end in json.loads(stored))


def numbers(rows: Iterable[int]) -> str:
    """Row ids as JSON, for `json_each`."""
    return f"[{','.join(map(str, rows))}]"
