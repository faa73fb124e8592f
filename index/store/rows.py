"""Rows of the database as objects, and objects as they are asked for."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain
from operator import sub
from typing import Any

from index.types import Document, DocumentInfo, Notice, Passage, Span

# The columns that `info_of` and `passage_of` read; after a passage's come those of the piece that its text stands in.
INFO = """
id, file, collection, path, title, sha256, size, mtime_ns, read_at, encoding, notices, passages, generation
"""
PASSAGE = """
p.row, d.id, p.row - d.first_passage + 1, d.collection, d.path, a.title, p.headings, p.article, p.page, p.paragraph,
p.start, p."end", p.hidden, p.units, p.page_breaks, p.damaged, a.context, t.row, t.start, t.text
"""


@dataclass(frozen=True, slots=True)
class Units:
    """The embedded units of one passage: their spans within its text, and their vectors, see `index.store.codes`."""

    spans: tuple[Span, ...]
    codes: bytes


@dataclass(frozen=True, slots=True)
class PassageVectors:
    """The vectors of a passage's units, see `index.store.codes`, with the row ids of the passage and its article."""

    row: int
    article: int
    codes: bytes


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


def document_of(row: Sequence[Any], text: str) -> Document:
    """A document from its columns, in their order."""
    *columns, notices, generation = row
    columns.insert(5, text)
    return Document(*columns, notices=_notices(notices), generation=generation)  # type: ignore[misc]


def info_of(row: Sequence[Any]) -> DocumentInfo:
    """A document without its text."""
    *columns, notices, passages, generation = row
    return DocumentInfo(*columns, notices=_notices(notices), passages=passages, generation=generation)  # type: ignore[misc]


def _notices(stored: str) -> tuple[Notice, ...]:
    return tuple(Notice(**notice) for notice in json.loads(stored))


def passage_of(found: tuple[Any, ...], text: str) -> Passage:
    """A passage with what its document and article say of it."""
    row, document_id, number, collection, path, title, headings, article, page, paragraph, start, end, *rest = found
    return Passage(
        id=f"{document_id}-{number}",
        row=row,
        document_id=document_id,
        collection=collection,
        path=path,
        title=title,
        heading_path=strings_of(headings),
        article=article,
        page=page,
        paragraph=paragraph,
        start=start,
        end=end,
        text=text,
        hidden=spans_of(rest[0], start),
        units=spans_of(rest[1]),
        page_breaks=integers_of(rest[2], start),
        damaged=spans_of(rest[3], start),
        context=strings_of(rest[4]),
    )


@lru_cache(maxsize=1 << 12)
def strings_of(stored: str) -> tuple[str, ...]:
    """Headings and the like, from JSON; many passages share theirs."""
    return tuple(json.loads(stored))


@lru_cache(maxsize=1 << 12)
def strings(values: tuple[str, ...]) -> str:
    """As `strings_of` reads them."""
    return json.dumps(values, ensure_ascii=False)


# What `struct` calls numbers of 1, 2 and 4 bytes.
_WIDTHS = "Bhi"


def integers(values: Sequence[int], base: int = 0) -> bytes:
    """Offsets as the steps from `base` to the first and from each to the next: a letter for their width, and they."""
    if not values:
        return b""
    steps = list(map(sub, values, chain((base,), values)))
    for width in _WIDTHS:
        try:
            return struct.pack(f"<c{len(steps)}{width}", width.encode(), *steps)
        except struct.error:
            continue
    raise ValueError(f"an offset is beyond 32 bits: {max(values)}")


def integers_of(stored: bytes, base: int = 0) -> tuple[int, ...]:
    """Offsets, from what `integers` made of them."""
    return tuple(_offsets(stored, base)) if stored else ()


def spans(values: Sequence[Span], base: int = 0) -> bytes:
    """Spans as their offsets."""
    return integers([*chain.from_iterable(values)], base) if values else b""


def spans_of(stored: bytes, base: int = 0) -> tuple[Span, ...]:
    """Spans, from what `spans` made of them."""
    if not stored:
        return ()
    offsets = _offsets(stored, base)
    return tuple(zip(offsets, offsets, strict=True))


def _offsets(stored: bytes, base: int) -> Iterator[int]:
    width = chr(stored[0])
    steps = struct.unpack(f"<{(len(stored) - 1) // struct.calcsize(width)}{width}", stored[1:])
    found = accumulate(steps, initial=base)
    next(found)
    return found


def numbers(rows: Iterable[int]) -> str:
    """Row ids as JSON, for `json_each`."""
    return f"[{','.join(map(str, rows))}]"


def expanded(ranges: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Row ids that follow one another, from the first of them and how many they are."""
    return chain.from_iterable(range(first, first + count) for first, count in ranges)
