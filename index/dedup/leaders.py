"""The keys of leaders, two tables of the clusters' file: which passages may be copies of which.

    keys    for each range of keys, a bucket, its entries: the rest of the key, the leader, and about its length
    gone    leaders that are so no longer; their entries are thrown out when they are many

An entry takes 7 bytes and a leader has about 14 of them, in as many buckets. A small change reads and writes these few
small rows; a large batch goes through all rows once.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from index.dedup.duplicates import Keys, keys_needed

SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (bucket INTEGER PRIMARY KEY, entries BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS gone (leader INTEGER PRIMARY KEY);
"""
# A key that so many leaders have tells little, so no more get it; and a passage is compared with the few leaders that
# share most keys with it. Forms that differ in their figures alone share most keys and are no copies.
_MAX_LEADERS_PER_KEY = 20
_MAX_COMPARED = 20
_REST_BITS = 15
_BUCKETS = 1 << (32 - _REST_BITS)
# Buckets are gone through in so many parts, so that not all are in memory.
_PARTS = 16
_ENTRY = np.dtype([("rest", "<u2"), ("leader", "<u4"), ("length", "u1")])
# Lengths are kept in steps of this share.
_LENGTH_STEP = 1.05
# So many of the leaders may be gone before their entries are thrown out.
_GONE_SHARE = 0.25

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
# How a key speaks for a pair: few have it, many have it, or it is that of the whole text.
_RARE, _COMMON, _WHOLE = range(3)
_STORED = 1 << 32
# What a rare key counts for beside a common one, in choosing whom a text is compared with.
_RARE_WEIGHT = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """Different texts on their way to their leaders, long ones first: row ids, lengths, and keys in ascending order.

    `owners[i]` is the place in `rows` of the text that has the key `values[i]`; where `whole[i]` is set, only an equal
    text has that key too.
    """

    rows: Integers
    lengths: Integers
    values: NDArray[np.uint32]
    owners: Integers
    whole: Mask

    @classmethod
    def of(cls, rows: Integers, keys: Keys) -> tuple[Batch, dict[int, int]]:
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

    def parts(self) -> Iterator[tuple[slice, range]]:
        """Ranges of keys, each with the buckets where they belong."""
        size = _BUCKETS // _PARTS
        bounds = np.arange(0, _BUCKETS + 1, size).astype(np.uint64) << np.uint64(_REST_BITS)
        places = np.searchsorted(self.values, bounds).tolist()
        for number in range(_PARTS):
            yield slice(places[number], places[number + 1]), range(number * size, (number + 1) * size)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs that may be copies: a text's place in a batch, ascending, and the row id of the other.

    `stored` are leaders; the others are texts of the batch that come before.
    """

    texts: Integers
    others: Integers
    stored: Mask


@dataclass(frozen=True, slots=True)
class _Entries:
    keys: NDArray[np.uint32]
    leaders: Integers
    lengths: NDArray[np.uint8]

    @classmethod
    def unpack(cls, found: list[tuple[int, bytes]]) -> _Entries:
        packed = np.frombuffer(b"".join(entries for _, entries in found), _ENTRY)
        counts = [len(entries) // _ENTRY.itemsize for _, entries in found]
        buckets = np.repeat(np.array([bucket for bucket, _ in found], np.uint32), counts)
        keys = buckets << np.uint32(_REST_BITS) | packed["rest"]
        return cls(keys, packed["leader"].astype(np.int64), packed["length"])

    def pack(self) -> Iterator[tuple[int, bytes]]:
        """The rows of these entries, whose buckets ascend."""
        packed = np.empty(len(self.keys), _ENTRY)
        packed["rest"] = self.keys & np.uint32((1 << _REST_BITS) - 1)
        packed["leader"], packed["length"] = self.leaders, self.lengths
        buckets, starts = np.unique(self.keys >> np.uint32(_REST_BITS), return_index=True)
        data, size = packed.tobytes(), _ENTRY.itemsize
        bounds = pairwise([*starts.tolist(), len(packed)])
        for bucket, (start, end) in zip(buckets.tolist(), bounds, strict=False):
            yield bucket, data[start * size : end * size]

    def only(self, mask: Mask) -> _Entries:
        return _Entries(self.keys[mask], self.leaders[mask], self.lengths[mask])

    def with_(self, other: _Entries) -> _Entries:
        """Both, in ascending order of keys."""
        keys = np.concatenate([self.keys, other.keys])
        order = np.argsort(keys, kind="stable")
        leaders = np.concatenate([self.leaders, other.leaders])
        return _Entries(keys[order], leaders[order], np.concatenate([self.lengths, other.lengths])[order])


class Leaders:
    """The tables, within a transaction of the clusters' file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def candidates(self, batch: Batch) -> Candidates:
        """For each text of a batch the few texts and leaders that it may be a copy of."""
        common = np.zeros(len(batch.rows), np.int64)
        pairs, known = [], []
        for part, buckets in batch.parts():
            stored = self._read(buckets, batch.values[part])
            stored = stored.only(np.isin(stored.keys, batch.values[part]))
            found, is_common = _pairs(batch, part, stored)
            pairs.append(found)
            common += is_common
            known.append(stored)
        best = _likely(batch, np.concatenate(pairs), common, known)
        alive = ~(best.stored & np.isin(best.others, self._gone(best.others[best.stored])))
        return Candidates(best.texts[alive], best.others[alive], best.stored[alive])

    def enter(self, batch: Batch, leads: Mask) -> None:
        """Store the entries of those texts of a batch that lead."""
        back = self._gone(batch.rows[leads])  # their entries are still there
        self._connection.executemany("DELETE FROM gone WHERE leader = ?", ((row,) for row in back))
        leads = leads & ~np.isin(batch.rows, back)
        self._count(int(np.count_nonzero(leads)))
        many = len(np.unique(batch.values >> np.uint32(_REST_BITS))) > _BUCKETS // 2
        rows: list[tuple[int, bytes]] = []
        for part, buckets in batch.parts():
            owners = batch.owners[part]
            own = leads[owners]
            fresh = _Entries(batch.values[part][own], batch.rows[owners[own]], _steps(batch.lengths[owners[own]]))
            stored = self._read(buckets, None if many else fresh.keys)
            rows += stored.with_(fresh.only(_has_room(stored.keys, fresh.keys))).pack()
        self._write(rows, anew=many)

    def leave(self, leaders: Iterable[int]) -> None:
        """These lead no more."""
        self._connection.executemany("INSERT OR IGNORE INTO gone VALUES (?)", ((leader,) for leader in leaders))

    def tidy(self) -> None:
        """Throw out the entries of what is gone, when that is much."""
        (gone,) = self._connection.execute("SELECT count(*) FROM gone").fetchone()
        if gone <= _GONE_SHARE * self._count(0):
            return
        leaders = np.array([leader for (leader,) in self._connection.execute("SELECT leader FROM gone")], np.int64)
        rows: list[tuple[int, bytes]] = []
        size = _BUCKETS // _PARTS
        for start in range(0, _BUCKETS, size):
            stored = self._read(range(start, start + size), None)
            rows += stored.only(~np.isin(stored.leaders, leaders)).pack()
        self._write(rows, anew=True)
        self._connection.execute("DELETE FROM gone")
        self._count(-gone)

    def _gone(self, rows: Integers) -> list[int]:
        query = "SELECT leader FROM gone WHERE leader IN (SELECT value FROM json_each(?))"
        return [leader for (leader,) in self._connection.execute(query, (json.dumps(np.unique(rows).tolist()),))]

    def _count(self, more: int) -> int:
        """How many leaders have entries, with so many more."""
        found = self._connection.execute("SELECT value FROM meta WHERE key = 'leaders'").fetchone()
        count = max(0, (int(found[0]) if found else 0) + more)
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('leaders', ?)", (str(count),))
        return count

    def _read(self, buckets: range, keys: NDArray[np.uint32] | None) -> _Entries:
        """The entries of all buckets of a range, or of those that `keys` belong to."""
        wanted = buckets if keys is None else np.unique(keys >> np.uint32(_REST_BITS)).tolist()
        if len(wanted) * 2 > len(buckets):
            query = "SELECT bucket, entries FROM keys WHERE bucket BETWEEN ? AND ? ORDER BY bucket"
            found = self._connection.execute(query, (buckets[0], buckets[-1]))
        else:
            query = "SELECT bucket, entries FROM keys WHERE bucket IN (SELECT value FROM json_each(?)) ORDER BY bucket"
            found = self._connection.execute(query, (json.dumps(wanted),))
        return _Entries.unpack(found.fetchall())

    def _write(self, rows: list[tuple[int, bytes]], *, anew: bool) -> None:
        if anew:  # rows that are written in order fill their pages
            self._connection.execute("DELETE FROM keys")
        self._connection.executemany("INSERT OR REPLACE INTO keys VALUES (?, ?)", rows)


def _pairs(batch: Batch, part: slice, stored: _Entries) -> tuple[Integers, Integers]:
    """Pairs of a text and one that has a key of it and comes before, among the first that have it.

    They are codes: the text's place, the other's place or its row with `_STORED`, and how the key speaks for them. And
    for each text how many of its keys are common.
    """
    keys = np.concatenate([stored.keys, batch.values[part]])
    order = np.argsort(keys, kind="stable")
    texts = np.concatenate([np.full(len(stored.keys), -1), batch.owners[part]])[order]
    holders = np.concatenate([stored.leaders | _STORED, batch.owners[part]])[order]
    whole = np.concatenate([np.zeros(len(stored.keys), np.bool_), batch.whole[part]])[order]
    starts = np.flatnonzero(np.diff(keys[order].astype(np.int64), prepend=-1))
    sizes = np.diff(starts, append=len(keys))
    first, common = np.repeat(starts, sizes), np.repeat(sizes >= _MAX_LEADERS_PER_KEY, sizes) & ~whole
    rank = np.arange(len(keys)) - first
    kinds = np.where(whole, _WHOLE, np.where(common, _COMMON, _RARE))
    later = np.flatnonzero((texts >= 0) & (rank > 0))
    found = []
    for place in range(_MAX_LEADERS_PER_KEY):
        later = later[rank[later] > place]
        found.append(texts[later] << 36 | holders[first[later] + place] << 2 | kinds[later])
    return np.concatenate(found), np.bincount(texts[common & (texts >= 0)], minlength=len(batch.rows))


def _likely(batch: Batch, pairs: Integers, common: Integers, known: Sequence[_Entries]) -> Candidates:
    """The pairs that share as many keys as copies do, and of these for each text the few that share most.

    `known` has the entries of all leaders among them.
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
    leaders, places = np.unique(np.concatenate([entries.leaders for entries in known]), return_index=True)
    steps = np.concatenate([entries.lengths for entries in known])[places]
    long[stored] = _unsteps(steps[np.searchsorted(leaders, others[stored] - _STORED)])
    needed, needed_of_all = keys_needed(batch.lengths[texts], long, held[texts], common[texts])
    likely = np.flatnonzero((whole > 0) | (rare >= needed) | (of_all >= needed_of_all))
    score = of_all + _RARE_WEIGHT * rare + whole * np.iinfo(np.int32).max
    likely = likely[np.lexsort((-score[likely], texts[likely]))]
    rank = np.arange(len(likely)) - np.searchsorted(texts[likely], texts[likely])
    likely = likely[rank < _MAX_COMPARED]
    rows = np.where(stored, others & (_STORED - 1), batch.rows[np.where(stored, 0, others)])
    return Candidates(texts[likely], rows[likely], stored[likely])


def _has_room(stored: NDArray[np.uint32], fresh: NDArray[np.uint32]) -> Mask:
    """Which of the keys, both in ascending order, are not those of too many leaders yet."""
    held = np.searchsorted(stored, fresh, "right") - np.searchsorted(stored, fresh, "left")
    rank = np.arange(len(fresh)) - np.searchsorted(fresh, fresh, "left")
    room: Mask = held + rank < _MAX_LEADERS_PER_KEY
    return room


def _steps(lengths: Integers) -> NDArray[np.uint8]:
    return np.minimum(np.rint(np.log(np.maximum(lengths, 1)) / math.log(_LENGTH_STEP)), 255).astype(np.uint8)


def _unsteps(steps: NDArray[np.uint8]) -> Integers:
    return np.rint(np.power(_LENGTH_STEP, steps.astype(np.float64))).astype(np.int64)
