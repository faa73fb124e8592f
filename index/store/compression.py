"""A document's text as it is stored: in pieces, each compressed by itself, so that a passage is read from one of them.

A piece is zstd over UTF-16, which for Chinese is smaller and sooner packed than over UTF-8.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterator

import zstandard

from index.types import Span

# Longer pieces are smaller, 459 bytes for 290 characters where pieces of half the length make 490 and uncompressed text
# 580, and take longer to read: 9 microseconds.
PIECE_CHARS = 2000
_LEVEL = 3
_ENCODING = "utf-16-le"
# Text that was decoded by other programs may hold half of a surrogate pair.
_ERRORS = "surrogatepass"


class _Codec(threading.local):
    """Neither may be used by two threads at once, and making them costs as much as a piece."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_codec = _Codec()


def pieces(length: int, passages: Collection[Span]) -> Iterator[Span]:
    """Spans that cover a text of `length`, of about PIECE_CHARS each; a passage lies within one of them."""
    begun = last = 0
    for cut in _cuts(length, passages):
        if cut - begun > PIECE_CHARS and last > begun:
            yield begun, last
            begun = last
        last = cut
    yield begun, length


def _cuts(length: int, passages: Collection[Span]) -> Iterator[int]:
    """Where the text may be cut: at both ends of passages, and within what is long between them."""
    covered = 0
    for start, end in [*sorted(passages), (length, length)]:
        if start >= covered:
            yield from range(covered, start, PIECE_CHARS)
            yield start
        covered = max(covered, end)


def pack(text: str) -> bytes:
    """A piece as it is stored."""
    packed: bytes = _codec.compressor.compress(text.encode(_ENCODING, _ERRORS))
    return packed


def unpack(stored: bytes) -> str:
    """A piece's text.

    Raises:
        sqlite3.DatabaseError: it is damaged; the database that holds it says what to do.
    """
    try:
        return _codec.decompressor.decompress(stored).decode(_ENCODING, _ERRORS)
    except (zstandard.ZstdError, UnicodeDecodeError) as exc:
        raise sqlite3.DatabaseError(f"a text is damaged ({exc})") from exc


class Pieces:
    """Texts of passages as they are read one after the other: those of one piece unpack it once."""

    def __init__(self) -> None:
        self._row = 0
        self._text = ""

    def text(self, row: int, start: int, end: int, stored: bytes) -> str:
        """What stands from `start` to `end` in the piece of this row, which is `stored` so."""
        if row != self._row:
            self._row, self._text = row, unpack(stored)
        return self._text[start:end]
