"""Which passages say the same thing. Pure.

A passage is sketched as the set of its character 5-grams and the row of its figures, which tell exactly whether two are
copies. Keys find the few that may be: hashes of stretches of a text, a sample chosen by the hash itself, so that two
texts choose alike (Broder 1997; Manber 1994). Unlike MinHash that finds a piece of a text as surely as a whole one of
its length. Keys are made of hundreds of texts at a time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from index.text.fold import SPECIAL, code_points, fold_codes, fold_text, text_of

# Two passages that share this much of the smaller one's character 5-grams say the same thing.
NEAR_DUPLICATE = 0.8
_GRAM_CHARS = 5
# Of the stretches of so many characters one in so many is a key: about 13 in a passage of 250 characters. A copy cut
# down to half, 125 characters, keeps all but some at its ends: one at least with probability 0.998, of a third 0.97.
# Longer stretches are fewer in common with strangers, shorter ones survive more changes.
_LONG_CHARS = 20
_LONG_ONE_IN = 18
# Shorter texts have about so many shorter stretches as keys beside these: all, where they have no more.
_SHORT_TEXT = 160
_SHORT_CHARS = 8
_SHORT_KEYS = 12
# Copies share this part of the keys that they can be expected to share, and where others have the same keys, this part.
_SHARED = 0.3
_SHARED_COMMON = 0.6
STAMP = f"3: {_LONG_CHARS} 1/{_LONG_ONE_IN}, {_SHORT_CHARS} {_SHORT_KEYS}/{_SHORT_TEXT}"

_HAN_NUMBER = "[〇零一二两三四五六七八九十百千万亿]+"
_FIGURE = re.compile(f"[0-9]+(?:[.,][0-9]+)*|{_HAN_NUMBER}")
# The number of a heading or list item says where a text stands, not what it says.
_ENUMERATOR = re.compile(f"[(]?第?(?:[0-9]+|{_HAN_NUMBER})[篇章节)、.:](?![0-9])")
# An odd constant that spreads neighbouring values over 64 bits (Fibonacci hashing).
_SPREAD = 0x9E3779B97F4A7C15
_SAMPLED_LONG = np.uint64((1 << 64) // _LONG_ONE_IN)

Codes = NDArray[np.uint32]
Hashes = NDArray[np.uint64]
Lengths = NDArray[np.int64]
Shares = NDArray[np.float64]


class Sketch:
    """`grams` are the sorted hashes of a text's distinct character 5-grams; `figures` its numbers in order."""

    def __init__(self, codes: Codes, grams: Hashes) -> None:
        self._codes = codes
        self.grams = grams

    @cached_property
    def figures(self) -> tuple[str, ...]:
        text = text_of(self._codes)
        enumerator = _ENUMERATOR.match(text)
        found = _FIGURE.findall(text, enumerator.end() if enumerator else 0)
        return tuple(figure.replace(",", "") for figure in found)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of texts: `values[i]` is one of text `texts[i]`, which ascend; no text has a key twice.

    `whole` has for each text the hash of all of it, `lengths` its characters. White space does not count.
    """

    values: NDArray[np.uint32]
    texts: NDArray[np.int64]
    whole: Hashes
    lengths: Lengths

    @classmethod
    def joined(cls, parts: Sequence[Keys]) -> Keys:
        """Those of the texts of all parts."""
        parts = parts or [keys([])]
        before = np.cumsum([0, *(len(part.lengths) for part in parts)])
        return cls(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.texts + start for part, start in zip(parts, before.tolist(), strict=False)]),
            np.concatenate([part.whole for part in parts]),
            np.concatenate([part.lengths for part in parts]),
        )


def _folded(texts: Sequence[str]) -> tuple[Codes, Lengths]:
    """The code points of all texts in a row, and how many each has: those of `"".join(fold_text(text).split())`."""
    codes, lengths = _codes(texts)
    folded = fold_codes(codes)
    if (folded == SPECIAL).any():
        special = set(np.searchsorted(np.cumsum(lengths), np.flatnonzero(folded == SPECIAL), "right").tolist())
        codes, lengths = _codes([fold_text(text) if place in special else text for place, text in enumerate(texts)])
        folded = fold_codes(codes)
        folded = np.where(folded == SPECIAL, codes, folded)  # folded is folded
    kept = (folded != ord(" ")) & (folded != ord("\n"))
    before = np.concatenate([[0], np.cumsum(kept)])
    return folded[kept], np.diff(before[np.concatenate([[0], np.cumsum(lengths)])])


def _codes(texts: Sequence[str]) -> tuple[Codes, Lengths]:
    return code_points("".join(texts)), np.fromiter(map(len, texts), np.int64, len(texts))


def sketches(texts: Sequence[str]) -> list[Sketch]:
    """The sketches of texts as they are read; white space does not count. A text shorter than a gram is one."""
    codes, lengths = _folded(texts)
    windows = _Windows(codes)
    hashes = windows.of(_GRAM_CHARS)
    found = []
    ends = np.cumsum(lengths)
    whole = windows.between(ends - lengths, ends)
    for place, (start, end) in enumerate(pairwise([0, *ends.tolist()])):
        own = hashes[start : end - _GRAM_CHARS + 1] if end - start > _GRAM_CHARS else whole[place : place + 1]
        found.append(Sketch(codes[start:end], _distinct(own)))
    return found


def keys(texts: Sequence[str]) -> Keys:
    """The keys of texts as they are read; some hundred at a time are fastest, as all fits the processor's cache."""
    codes, lengths = _folded(texts)
    windows = _Windows(codes)
    owner = np.repeat(np.arange(len(texts)), lengths)
    ends = np.cumsum(lengths)
    left = np.repeat(ends, lengths) - np.arange(len(codes))
    short = np.where(lengths < _SHORT_TEXT, np.minimum(_SHORT_KEYS / np.maximum(lengths, 1), 1.0), 0.0)
    # 2 ** 64 itself is no uint64.
    sampled_short = np.minimum(short * 2.0**64, 2.0**64 - 2.0**11).astype(np.uint64)
    found = []
    for size in (_LONG_CHARS, _SHORT_CHARS):
        hashes = windows.of(size)
        own = owner[: len(hashes)]
        bound = _SAMPLED_LONG if size == _LONG_CHARS else sampled_short[own]
        places = np.flatnonzero((hashes < bound) & (left[: len(hashes)] >= size))
        found.append(own[places].astype(np.uint64) << np.uint64(32) | _mix(hashes[places]) >> np.uint64(32))
    distinct = _distinct(np.concatenate(found))
    return Keys(
        (distinct & np.uint64(0xFFFFFFFF)).astype(np.uint32),
        (distinct >> np.uint64(32)).astype(np.int64),
        windows.between(ends - lengths, ends),
        lengths,
    )


def keys_needed(own: Lengths, other: Lengths, held: Lengths, common: Lengths) -> tuple[Shares, Shares]:
    """How many keys texts of `own` and `other` characters share, were they copies: of rare ones, and of all.

    The first holds so many keys, of which so many are `common`: many texts have them, and they tell little.
    """
    small, large = np.minimum(own, other), np.maximum(own, other)
    rate = np.where(large < _SHORT_TEXT, np.minimum(_SHORT_KEYS / np.maximum(large, 1), 1.0), 0.0)
    expected = np.maximum(small - _SHORT_CHARS + 1, 0) * rate + np.maximum(small - _LONG_CHARS + 1, 0) / _LONG_ONE_IN
    expected = np.minimum(expected, held)
    rare = expected * (1 - common / np.maximum(held, 1))
    return np.maximum(np.floor(_SHARED * rare), 1), np.maximum(_SHARED_COMMON * expected, 1)


def shared(first: Sketch, second: Sketch) -> int:
    """How many grams two copies share; 0 when neither is a copy of the other.

    A piece of a text counts as its copy. Texts that name other figures, or the same ones in another order, are none.
    """
    small, large = (first, second) if len(first.grams) <= len(second.grams) else (second, first)
    both = np.concatenate([small.grams, large.grams])
    both.sort()
    common = int(np.count_nonzero(both[1:] == both[:-1]))
    if common < NEAR_DUPLICATE * len(small.grams):
        return 0
    # Figures last: most texts that are compared are no copies, and it takes longer to find them.
    remaining = iter(large.figures)
    return common if all(figure in remaining for figure in small.figures) else 0


class _Windows:
    """Hashes of the stretches of a row of code points: a polynomial in `_SPREAD`, from its sums up to each place."""

    def __init__(self, codes: Codes) -> None:
        self._sums = np.zeros(len(codes) + 1, np.uint64)
        np.cumsum(codes * _powers(_SPREAD, len(codes)), out=self._sums[1:])
        self._inverse = _powers(pow(_SPREAD, -1, 1 << 64), len(codes) + 1)

    def between(self, starts: Lengths, ends: Lengths) -> Hashes:
        return _mix((self._sums[ends] - self._sums[starts]) * self._inverse[starts])

    def of(self, size: int) -> Hashes:
        """Of each stretch of `size` code points."""
        sums = self._sums[size:] - self._sums[: max(len(self._sums) - size, 0)]
        return _mix(sums * self._inverse[: len(sums)])


def _powers(base: int, count: int) -> Hashes:
    powers = np.full(count, base, np.uint64)
    powers[:1] = 1
    return np.cumprod(powers, out=powers)


def _distinct(hashes: Hashes) -> Hashes:
    """In ascending order; `np.unique` takes three times as long."""
    hashes = np.sort(hashes)
    return hashes[np.concatenate([[True], hashes[1:] != hashes[:-1]])] if len(hashes) else hashes


def _mix(values: Hashes) -> Hashes:
    mixed: Hashes = (values ^ (values >> np.uint64(32))) * np.uint64(_SPREAD)
    return mixed ^ (mixed >> np.uint64(29))
