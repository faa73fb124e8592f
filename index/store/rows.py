"""What is stored in the database's rows as objects, and the other way round: offsets, strings, text in blocks.

A document's text is stored in blocks, each compressed by itself, so that a passage is read from one of them: zstd over
UTF-16, which for Chinese is smaller and sooner packed than over UTF-8.
"""

from __future__ import annotations

import json
import sqlite3
import struct
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from operator import sub
from typing import Any, Generic, TypeVar

import zstandard

from index.types import Document, DocumentInfo, Notice, Passage, Span

T = TypeVar("T")

# The columns that `info_of` and `passage_of` read; after a passage's come those of the block that its text stands in.
INFO = """
id, file, collection, path, title, sha256, size, mtime_ns, read_at, encoding, notices, passages, generation
"""
PASSAGE = """
p.row, d.id, p.row - d.first_passage + 1, d.collection, d.path, a.title, p.headings, p.article, p.page, p.paragraph,
p.start, p."end", p.hidden, p.units, p.page_breaks, p.damaged, a.context, t.row, t.start, t.text
"""


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


def passage_of(columns: tuple[Any, ...], text: str) -> Passage:
    """A passage with what its document and article say of it."""
    row, document_id, number, collection, path, title, headings, article, page, paragraph, start, end, *rest = columns
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
    offsets = accumulate(steps, initial=base)
    next(offsets)
    return offsets


def numbers(rows: Iterable[int]) -> str:
    """Row ids as JSON, for `json_each`."""
    return f"[{','.join(map(str, rows))}]"


def expanded(ranges: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Row ids that follow one another, from the first of them and how many they are."""
    return chain.from_iterable(range(first, first + count) for first, count in ranges)


# Longer blocks are smaller, 459 bytes for 290 characters where blocks of half the length make 490 and uncompressed text
# 580, and take longer to read: 9 microseconds.
BLOCK_CHARS = 2000
_LEVEL = 3
_ENCODING = "utf-16-le"
# Text that was decoded by other programs may hold half of a surrogate pair.
_ERRORS = "surrogatepass"


class _Codec(threading.local):
    """Neither may be used by two threads at once, and making them costs as much as a block."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_codec = _Codec()


def blocks(length: int, passages: Collection[Span]) -> Iterator[Span]:
    """Spans that cover a text of `length`, of about BLOCK_CHARS each; a passage lies within one of them."""
    begun = last = 0
    for cut in _block_cuts(length, passages):
        if cut - begun > BLOCK_CHARS and last > begun:
            yield begun, last
            begun = last
        last = cut
    yield begun, length


def _block_cuts(length: int, passages: Collection[Span]) -> Iterator[int]:
    """Where the text may be cut: at both ends of passages, and within what is long between them."""
    covered = 0
    for start, end in [*sorted(passages), (length, length)]:
        if start >= covered:
            yield from range(covered, start, BLOCK_CHARS)
            yield start
        covered = max(covered, end)


def pack(text: str) -> bytes:
    """A block as it is stored."""
    packed: bytes = _codec.compressor.compress(text.encode(_ENCODING, _ERRORS))
    return packed


def unpack(stored: bytes) -> str:
    """A block's text.

    Raises:
        sqlite3.DatabaseError: it is damaged; the database that holds it says what to do.
    """
    try:
        return _codec.decompressor.decompress(stored).decode(_ENCODING, _ERRORS)
    except (zstandard.ZstdError, UnicodeDecodeError) as exc:
        raise sqlite3.DatabaseError(f"a text is damaged ({exc})") from exc


class TextBlocks:
    """Texts of passages as they are read one after the other: those of one block unpack it once."""

    def __init__(self) -> None:
        self._row = 0
        self._text = ""

    def text(self, row: int, start: int, end: int, stored: bytes) -> str:
        """What stands from `start` to `end` in the block of this row, which is `stored` so."""
        if row != self._row:
            self._row, self._text = row, unpack(stored)
        return self._text[start:end]


class RowCache(Generic[T]):
    """Values by row, those read last; for many threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: dict[int, T] = {}

    def find(self, rows: Iterable[int], read: Callable[[list[int]], Mapping[int, T]]) -> dict[int, T]:
        """Values of rows, in their order; those that are not at hand are `read`, and left out where that finds none."""
        wanted = list(dict.fromkeys(rows))
        known = self._values
        missing = [row for row in wanted if row not in known]
        fresh = read(missing) if missing else {}
        values = {row: known[row] if row in known else fresh[row] for row in wanted if row in known or row in fresh}
        if fresh:
            known.update(fresh)
            if len(known) > 2 * self._limit:
                # Another dictionary in the place of this one: other threads may be looking into it.
                self._values = dict(list(known.items())[-self._limit :])
        return values
