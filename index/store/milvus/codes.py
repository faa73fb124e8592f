"""What is written to a server and read from it: tokens as weights, long values in pieces, vectors as text.

Lexical search is an inner product over the server's inverted index for sparse vectors. A passage's vector holds for
each token the part of BM25 that is the passage's own, a question's the rest, so that their product is BM25 (Robertson
and Zaragoza 2009, as tantivy computes it). The server's own BM25 takes no weights for words, counts words within a
shard or segment and has another length limit; this ranks alike on every server.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

# tantivy's.
_K1, _B = 1.2, 0.75
# The highest is the server's own. The one below stands for "no token": a vector must not be empty.
_DIMENSIONS = (1 << 32) - 2
NOTHING = {_DIMENSIONS: 1.0}
# A VARCHAR holds 65,535 bytes at most.
MAX_BYTES = 60_000
# So many pieces, and so many long values, a row.
_PIECES_PER_ROW = 1 << 20
_PIECES_PER_VALUE = 1 << 16

# Halves of surrogate pairs, which can't be sent.
_HALVES = re.compile("[\ud800-\udfff]")

Sparse = dict[int, float]


def dimension(token: str) -> int:
    """The place of a token in sparse vectors. Some in a million tokens share theirs with another one."""
    return zlib.crc32(token.encode("utf-8", "surrogatepass")) % _DIMENSIONS


def weigh(tokens: Sequence[str], average: float) -> Sparse:
    """The passage's part of BM25 for each token, beside passages of `average` tokens."""
    norm = _K1 * (1 - _B + _B * _rounded(len(tokens)) / max(average, 1.0))
    counts = Counter(map(dimension, tokens))
    return {place: count * (_K1 + 1) / (count + norm) for place, count in counts.items()} or dict(NOTHING)


def _rounded(length: int) -> int:
    """A length as tantivy keeps it in one byte: beyond 40, its 4 leading binary digits above 24."""
    beyond = max(0, length - 24)
    shift = max(0, beyond.bit_length() - 4)
    return min(length, 24) + (beyond >> shift << shift)


def places_of(words: Iterable[int]) -> list[int]:
    """The places of the tokens in a sparse vector."""
    return [place for place in words if place != _DIMENSIONS]


def sketch_vector(keys: Iterable[int]) -> Sparse:
    """The keys of a passage's sketch, so that the product of two is how many they share."""
    return {(key & 0xFFFFFFFF) % _DIMENSIONS: 1.0 for key in keys}


class Pieces:
    """Long values of a row on their way into the collection of pieces; short ones stay where they are."""

    def __init__(self, row: int, document: int) -> None:
        self._row = row
        self._document = document
        self._values = 0
        self.rows: list[dict[str, object]] = []

    def put(self, value: str, *, apart: bool = False) -> str:
        """What is to be stored in the row itself; with `apart` never the value."""
        data = value.encode("utf-8", "surrogatepass")
        if not apart and len(data) <= MAX_BYTES and value[:1] != "#" and not _HALVES.search(value):
            return value
        packed = base64.b64encode(zlib.compress(data)).decode()
        first = self._row * _PIECES_PER_ROW + self._values * _PIECES_PER_VALUE
        self._values += 1
        cuts = range(0, len(packed), MAX_BYTES)
        self.rows += [
            {"piece": first + number, "document": self._document, "value": packed[start : start + MAX_BYTES]}
            for number, start in enumerate(cuts)
        ]
        return f"#{first} {len(cuts)}"


def pieces_of(stored: str) -> range:
    """The pieces that hold a value; none when it is stored as it is."""
    if not stored.startswith("#"):
        return range(0)
    first, count = map(int, stored[1:].split())
    return range(first, first + count)


def whole(stored: str, pieces: Mapping[int, str]) -> str:
    """A value from its pieces, or as it was stored."""
    places = pieces_of(stored)
    if not places:
        return stored
    return zlib.decompress(base64.b64decode("".join(pieces[place] for place in places))).decode(
        "utf-8", "surrogatepass"
    )


def codes_text(codes: bytes) -> str:
    """The codes of vectors, see `index.store.codes`, as text: base 64."""
    return base64.b64encode(codes).decode()


def codes_of(text: str) -> bytes:
    """The codes of vectors from their text."""
    return base64.b64decode(text)
