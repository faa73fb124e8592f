"""Which passages say the same thing, and which of many may: sketches, keys, and pairs that share keys. Pure.

A passage is sketched as the set of its character 5-grams and the row of its figures, which tell exactly whether two are
copies. Keys find the few that may be: hashes of stretches of a text, a sample chosen by the hash itself, so that two
texts choose alike (Broder 1997; Manber 1994). Unlike MinHash that finds a piece of a text as surely as a whole one of
its length. Keys are made of hundreds of texts at a time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from index.text.fold import fold_many, text_of
from index.text.scripts import ONE_TO_TEN

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

# Without ○, which is a bullet as well.
_HAN_NUMBER = f"[零〇两{ONE_TO_TEN}百千万亿]+"
_FIGURE = re.compile(f"[0-9]+(?:[.,][0-9]+)*|{_HAN_NUMBER}")
# The number of a heading or list item says where a text stands, not what it says.
_ENUMERATOR = re.compile(f"[(]?第?(?:[0-9]+|{_HAN_NUMBER})[篇章节)、.:](?![0-9])")
# An odd constant that spreads neighbouring values over 64 bits (Fibonacci hashing).
_SPREAD = 0x9E3779B97F4A7C15
_SAMPLED_LONG = np.uint64((1 << 64) // _LONG_ONE_IN)

# A key that so many leaders have tells little, so no more get it; and a passage is compared with the few leaders that
# share most keys with it. Forms that differ in their figures alone share most keys and are no copies.
_MAX_LEADERS_PER_KEY = 20
_MAX_COMPARED = 20
# How a key speaks for a pair: few have it, many have it, or it is that of the whole text.
_RARE, _COMMON, _WHOLE = range(3)
_STORED = 1 << 32
# What a rare key counts for beside a common one, in choosing whom a text is compared with.
_RARE_WEIGHT = 3
_LENGTH_STEP = 1.05

Codes = NDArray[np.uint32]
Hashes = NDArray[np.uint64]
Lengths = NDArray[np.int64]
Shares = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Sketch:
    """`grams` are the sorted hashes of a text's distinct character 5-grams; `figures` its numbers in order."""

    def __init__(self, codes: Codes, grams: Hashes) -> None:
        self._codes = codes
        self.grams = grams

    @cached_property
    def figures(self) -> tuple[str, ...]:
        text = text_of(self._codes)
        enumerator = _ENUMERATOR.match(text)
        figures = _FIGURE.findall(text, enumerator.end() if enumerator else 0)
        return tuple(figure.replace(",", "") for figure in figures)


@dataclass(frozen=True, slots=True)
class TextKeys:
    """The keys of texts: `values[i]` is one of text `texts[i]`, which ascend; no text has a key twice.

    `whole` has for each text the hash of all of it, `lengths` its characters. White space does not count.
    """

    values: NDArray[np.uint32]
    texts: NDArray[np.int64]
    whole: Hashes
    lengths: Lengths

    @classmethod
    def joined(cls, parts: Sequence[TextKeys]) -> TextKeys:
        """Those of the texts of all parts."""
        parts = parts or [keys([])]
        before = np.cumsum([0, *(len(part.lengths) for part in parts)])
        return cls(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.texts + start for part, start in zip(parts, before.tolist(), strict=False)]),
            np.concatenate([part.whole for part in parts]),
            np.concatenate([part.lengths for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class KeyedTexts:
    """Different texts on their way to their leaders, long ones first: row ids, lengths, and keys in ascending order.

    `owners[i]` is the place in `rows` of the text that has the key `values[i]`; where `whole[i]` is set, only an equal
    text has that key too.
    """

    rows: Lengths
    lengths: Lengths
    values: NDArray[np.uint32]
    owners: Lengths
    whole: Mask

    @classmethod
    def of(cls, rows: Lengths, keys: TextKeys) -> tuple[KeyedTexts, dict[int, int]]:
        """The batch of texts with these row ids and keys; and for those left out the row of the first equal one."""
        order = np.lexsort((rows, -keys.lengths))
        _, first, same = np.unique(keys.whole[order], return_index=True, return_inverse=True)
        equal = first[same]
        is_first = equal == np.arange(len(rows))
        copies = dict(zip(rows[order[~is_first]].tolist(), rows[order[equal[~is_first]]].tolist(), strict=True))
        order = order[is_first]
        place = np.full(len(rows), -1)
        place[order] = np.arange(len(order))
        values = np.concatenate([keys.values, (keys.whole[order] >> np.uint64(32)).astype(np.uint32)])
        owners = np.concatenate([place[keys.texts], np.arange(len(order))])
        sorting = np.lexsort((owners, values))
        sorting = sorting[owners[sorting] >= 0]
        return cls(
            rows[order], keys.lengths[order], values[sorting], owners[sorting], sorting >= len(keys.values)
        ), copies


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs that may be copies: a text's place in a batch, ascending, and the row id of the other.

    `stored` are leaders; the others are texts of the batch that come before.
    """

    texts: Lengths
    others: Lengths
    stored: Mask


def _folded(texts: Sequence[str]) -> tuple[Codes, Lengths]:
    """The code points of all texts in a row, and how many each has: those of `"".join(fold_text(text).split())`."""
    codes, ends = fold_many(texts, "\n")
    is_written = (codes != ord(" ")) & (codes != ord("\n"))
    before = np.concatenate([[0], np.cumsum(is_written)])
    return codes[is_written], np.diff(before[ends], prepend=0)


def sketches(texts: Sequence[str]) -> list[Sketch]:
    """The sketches of texts as they are read; white space does not count. A text shorter than a gram is one."""
    codes, lengths = _folded(texts)
    windows = _Windows(codes)
    hashes = windows.of(_GRAM_CHARS)
    sketched = []
    ends = np.cumsum(lengths)
    whole = windows.between(ends - lengths, ends)
    for place, (start, end) in enumerate(pairwise([0, *ends.tolist()])):
        own = hashes[start : end - _GRAM_CHARS + 1] if end - start > _GRAM_CHARS else whole[place : place + 1]
        sketched.append(Sketch(codes[start:end], _distinct(own)))
    return sketched


def keys(texts: Sequence[str]) -> TextKeys:
    """The keys of texts as they are read; some hundred at a time are fastest, as all fits the processor's cache."""
    codes, lengths = _folded(texts)
    windows = _Windows(codes)
    owner = np.repeat(np.arange(len(texts)), lengths)
    ends = np.cumsum(lengths)
    left = np.repeat(ends, lengths) - np.arange(len(codes))
    short = np.where(lengths < _SHORT_TEXT, np.minimum(_SHORT_KEYS / np.maximum(lengths, 1), 1.0), 0.0)
    # 2 ** 64 itself is no uint64.
    sampled_short = np.minimum(short * 2.0**64, 2.0**64 - 2.0**11).astype(np.uint64)
    placed = []
    for size in (_LONG_CHARS, _SHORT_CHARS):
        hashes = windows.of(size)
        own = owner[: len(hashes)]
        bound = _SAMPLED_LONG if size == _LONG_CHARS else sampled_short[own]
        places = np.flatnonzero((hashes < bound) & (left[: len(hashes)] >= size))
        placed.append(own[places].astype(np.uint64) << np.uint64(32) | _mix(hashes[places]) >> np.uint64(32))
    distinct = _distinct(np.concatenate(placed))
    return TextKeys(
        (distinct & np.uint64(0xFFFFFFFF)).astype(np.uint32),
        (distinct >> np.uint64(32)).astype(np.int64),
        windows.between(ends - lengths, ends),
        lengths,
    )


def _keys_needed(own: Lengths, other: Lengths, held: Lengths, common: Lengths) -> tuple[Shares, Shares]:
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


def pairs_in(batch: KeyedTexts, part: slice, stored: NDArray[np.uint32], leaders: Lengths) -> tuple[Lengths, Lengths]:
    """Pairs of a text and one that has a key of it and comes before, among the first that have it.

    `part` are keys of the batch, `stored` such that `leaders` have.

    They are codes: the text's place, the other's place or its row with `_STORED`, and how the key speaks for them. And
    for each text how many of its keys are common.
    """
    keys = np.concatenate([stored, batch.values[part]])
    order = np.argsort(keys, kind="stable")
    texts = np.concatenate([np.full(len(stored), -1), batch.owners[part]])[order]
    holders = np.concatenate([leaders | _STORED, batch.owners[part]])[order]
    whole = np.concatenate([np.zeros(len(stored), np.bool_), batch.whole[part]])[order]
    starts = np.flatnonzero(np.diff(keys[order].astype(np.int64), prepend=-1))
    sizes = np.diff(starts, append=len(keys))
    first, common = np.repeat(starts, sizes), np.repeat(sizes >= _MAX_LEADERS_PER_KEY, sizes) & ~whole
    rank = np.arange(len(keys)) - first
    kinds = np.where(whole, _WHOLE, np.where(common, _COMMON, _RARE))
    later = np.flatnonzero((texts >= 0) & (rank > 0))
    pairs = []
    for place in range(_MAX_LEADERS_PER_KEY):
        later = later[rank[later] > place]
        pairs.append(texts[later] << 36 | holders[first[later] + place] << 2 | kinds[later])
    return np.concatenate(pairs), np.bincount(texts[common & (texts >= 0)], minlength=len(batch.rows))


def likely_copies(batch: KeyedTexts, pairs: Lengths, common: Lengths, leaders: Lengths, lengths: Lengths) -> Candidates:
    """The pairs that share as many keys as copies do, and of these for each text the few that share most.

    `leaders`, which may stand more than once, are all those among them, with about their `lengths`.
    """
    pairs = np.sort(pairs)
    starts = np.flatnonzero(np.diff(pairs >> 2, prepend=-1))
    kinds = pairs & 3
    rare, of_all, whole = (
        np.add.reduceat(mask, starts, dtype=np.int64) if len(starts) else starts
        for mask in (kinds == _RARE, kinds != _WHOLE, kinds == _WHOLE)
    )
    texts, others = pairs[starts] >> 36, pairs[starts] >> 2 & (2 * _STORED - 1)
    stored = others >= _STORED
    held = np.bincount(batch.owners[~batch.whole], minlength=len(batch.rows))
    long = batch.lengths[np.where(stored, 0, others)]
    leaders, places = np.unique(leaders, return_index=True)
    long[stored] = lengths[places][np.searchsorted(leaders, others[stored] - _STORED)]
    needed, needed_of_all = _keys_needed(batch.lengths[texts], long, held[texts], common[texts])
    likely = np.flatnonzero((whole > 0) | (rare >= needed) | (of_all >= needed_of_all))
    score = of_all + _RARE_WEIGHT * rare + whole * np.iinfo(np.int32).max
    likely = likely[np.lexsort((-score[likely], texts[likely]))]
    rank = np.arange(len(likely)) - np.searchsorted(texts[likely], texts[likely])
    likely = likely[rank < _MAX_COMPARED]
    rows = np.where(stored, others & (_STORED - 1), batch.rows[np.where(stored, 0, others)])
    return Candidates(texts[likely], rows[likely], stored[likely])


def has_room(stored: NDArray[np.uint32], fresh: NDArray[np.uint32]) -> Mask:
    """Which of the keys, both in ascending order, are not those of too many leaders yet."""
    held = np.searchsorted(stored, fresh, "right") - np.searchsorted(stored, fresh, "left")
    rank = np.arange(len(fresh)) - np.searchsorted(fresh, fresh, "left")
    room: Mask = held + rank < _MAX_LEADERS_PER_KEY
    return room


def length_steps(lengths: Lengths) -> NDArray[np.uint8]:
    """Lengths in steps of a twentieth, for one byte each."""
    return np.minimum(np.rint(np.log(np.maximum(lengths, 1)) / math.log(_LENGTH_STEP)), 255).astype(np.uint8)


def lengths_of(steps: NDArray[np.uint8]) -> Lengths:
    """About the lengths that `length_steps` was given."""
    return np.rint(np.power(_LENGTH_STEP, steps.astype(np.float64))).astype(np.int64)


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
