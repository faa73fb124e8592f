"""Which passages are copies of which: clusters around a leader, derived from the database.

A passage joins the leader that it shares most with; what is a copy of no leader leads. Only leaders have keys, so that
a paragraph found in ten thousand files is compared with one passage and not with ten thousand.

    members     the leader of each passage that follows one
    meta        `through`: all passages up to this row have been assigned; `leaders`: how many have entries
    keys        for each range of keys, a bucket, its entries: the rest of the key, the leader, and about its length
    gone        leaders that are so no longer; their entries are thrown out when they are many

An entry takes 7 bytes and a leader has about 14 of them, in as many buckets. A small change reads and writes these few
small rows; a large batch goes through all rows once. A row for each key took 2.4 times as long.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.batches import batches
from index.dedup.sketches import (
    STAMP,
    Candidates,
    KeyedTexts,
    Lengths,
    Mask,
    Sketch,
    TextKeys,
    has_room,
    keys,
    length_steps,
    lengths_of,
    likely_copies,
    pairs_in,
    shared,
    sketches,
)
from index.errors import IndexDamagedError
from index.sqlite import SqliteFile

# The texts of passages by row, as they are read; rows that are gone are left out.
Texts = Callable[[Iterable[int]], Mapping[int, str]]

# So many passages are compared in one transaction, in about 200 MB: a batch goes through all keys once.
_BATCH = 1 << 17
# So many texts are read at a time, and so many are compared with their candidates.
_KEYED = 400
_COMPARED = 1000
# A leader that covers less of a longer copy than this makes way for it, so that the fullest version leads.
_COVERS = 0.8
_FOLLOWERS = "SELECT passage FROM members WHERE leader = ? ORDER BY passage LIMIT ?"
_THROUGH = "INSERT OR REPLACE INTO meta VALUES ('through', ?)"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS members (passage INTEGER PRIMARY KEY, leader INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS members_leader ON members (leader);
CREATE TABLE IF NOT EXISTS keys (bucket INTEGER PRIMARY KEY, entries BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS gone (leader INTEGER PRIMARY KEY);
"""
_REST_BITS = 15
_BUCKETS = 1 << (32 - _REST_BITS)
# Buckets are gone through in so many parts, so that not all are in memory.
_PARTS = 16
_ENTRY = np.dtype([("rest", "<u2"), ("leader", "<u4"), ("length", "u1")])
# So many of the leaders may be gone before their entries are thrown out.
_GONE_SHARE = 0.25


class Clusters(SqliteFile):
    """The clusters of an index and the generation they hold."""

    schema = SqliteFile.schema + _SCHEMA

    def __init__(self, path: Path) -> None:
        """Open the file at `path`.

        Raises:
            ValueError: it is missing, damaged or made by other rules; `reset` and derive it again.
        """
        super().__init__(path)
        if not path.exists():
            raise ValueError(f"{path}: is missing")
        try:
            if self.meta("stamp") != STAMP:
                raise ValueError(f"{path}: was made by other rules")
        except IndexDamagedError as exc:
            raise ValueError(str(exc)) from exc

    @classmethod
    def reset(cls, path: Path) -> Clusters:
        """Throw the file away and start empty."""
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        fresh = SqliteFile(path)
        fresh.schema = cls.schema
        fresh.create()
        fresh.set_meta("stamp", STAMP)
        fresh.close()
        return cls(path)

    @property
    def generation(self) -> int:
        return int(self.meta("generation") or 0)

    def leaders(self, rows: Iterable[int]) -> dict[int, int]:
        """The leader of each passage; a passage that is in no cluster leads itself."""
        wanted = list(rows)
        with self._reading() as connection:
            followed = connection.execute(
                "SELECT passage, leader FROM members WHERE passage IN (SELECT value FROM json_each(?))",
                (json.dumps(wanted),),
            ).fetchall()
        return {row: row for row in wanted} | dict(followed)

    def members(self, leaders: Iterable[int], limit: int) -> dict[int, list[int]]:
        """The first passages, by row, of the cluster of each leader, itself included."""
        with self._reading() as connection:
            following = {leader: connection.execute(_FOLLOWERS, (leader, limit)) for leader in set(leaders)}
            return {leader: sorted([leader, *(row for (row,) in rows)])[:limit] for leader, rows in following.items()}

    def update(self, removed: Sequence[int], added: Iterable[int], texts: Texts, generation: int) -> None:
        """Remove passages, add passages, and stamp the result. Doing it again changes nothing.

        Rows that are added are beyond all that were added before.
        """
        with self._writing() as connection:
            _assign(connection, _dissolve(connection, removed), texts)
            _KeyTable(connection).tidy()
        rows = np.unique(np.fromiter(added, np.int64))
        rows = rows[rows > int(self.meta("through") or 0)]
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            with self._writing() as connection:
                _assign(connection, batch.tolist(), texts)
                connection.execute(_THROUGH, (str(batch[-1]),))
        self.set_meta("generation", str(generation))
        self.checkpoint()


def _dissolve(connection: sqlite3.Connection, rows: Sequence[int]) -> list[int]:
    """Take passages out; those that followed them and are left without a leader are returned."""
    gone = json.dumps(rows)
    followers = connection.execute(
        "DELETE FROM members WHERE passage IN (SELECT value FROM json_each(?)) RETURNING passage", (gone,)
    ).fetchall()
    orphans = connection.execute(
        "DELETE FROM members WHERE leader IN (SELECT value FROM json_each(?)) RETURNING passage", (gone,)
    ).fetchall()
    _KeyTable(connection).leave(set(rows).difference(row for (row,) in followers))
    return [row for (row,) in orphans]


def _assign(connection: sqlite3.Connection, rows: Sequence[int], texts: Texts) -> None:
    """Give passages, which have none, their leaders."""
    while rows:
        rows = _Assignment(connection, texts).run(rows)


class _Assignment:
    """One batch of passages on their way to their leaders."""

    def __init__(self, connection: sqlite3.Connection, texts: Texts) -> None:
        self._connection = connection
        self._texts = texts
        self._leader_of: dict[int, int] = {}
        self._displaced: set[int] = set()

    def run(self, rows: Sequence[int]) -> list[int]:
        """Store what was decided; the passages whose leader made way are returned, to be given another one."""
        batch, equal = KeyedTexts.of(*self._keys(rows))
        keyed = _KeyTable(self._connection)
        candidates = keyed.candidates(batch)
        # Long passages come first: their pieces then find them.
        starts = np.flatnonzero(np.diff(candidates.texts, prepend=-1))[::_COMPARED].tolist()
        for start, end in pairwise([*starts, len(candidates.texts)]):
            self._compare(batch, candidates, slice(start, end))
        follows = self._leader_of | {row: self._leader_of.get(first, first) for row, first in equal.items()}
        self._connection.executemany("INSERT INTO members VALUES (?, ?)", sorted(follows.items()))
        keyed.enter(batch, ~np.isin(batch.rows, list(self._leader_of)))
        return sorted(self._displaced.union(_dissolve(self._connection, sorted(self._displaced))))

    def _keys(self, rows: Sequence[int]) -> tuple[Lengths, TextKeys]:
        known: list[int] = []
        parts = []
        for start in range(0, len(rows), _KEYED):
            texts = self._texts(rows[start : start + _KEYED])
            parts.append(keys(list(texts.values())))
            known += texts
        return np.array(known, np.int64), TextKeys.joined(parts)

    def _compare(self, batch: KeyedTexts, candidates: Candidates, part: slice) -> None:
        """Find the leaders of those texts that have candidates in a part of all pairs."""
        rows, others = batch.rows[candidates.texts[part]].tolist(), candidates.others[part].tolist()
        known: dict[int, Sketch] = {}
        for some in batches({*rows, *others}, _KEYED):
            texts = self._texts(some)
            known.update(zip(texts, sketches(list(texts.values())), strict=True))
        stored = set(candidates.others[part][candidates.stored[part]].tolist())
        for row, pairs in groupby(zip(rows, others, strict=True), key=itemgetter(0)):
            copies = {other: common for _, other in pairs if (common := self._shared(row, other, known))}
            # Leaders of this batch cover what comes after them.
            lasting = {
                other: common
                for other, common in copies.items()
                if other not in stored or len(known[other].grams) >= _COVERS * len(known[row].grams)
            }
            if lasting:
                self._leader_of[row] = max(lasting, key=lambda leader: (lasting[leader], -leader))
            else:
                self._displaced.update(copies)

    def _shared(self, row: int, other: int, known: Mapping[int, Sketch]) -> int:
        """How many grams a passage shares with one that leads; 0 when it is none of its copies."""
        if other in self._leader_of or other in self._displaced or other not in known:
            return 0
        return shared(known[row], known[other])


class _KeyTable:
    """The keys of leaders, within a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def candidates(self, batch: KeyedTexts) -> Candidates:
        """For each text of a batch the few texts and leaders that it may be a copy of."""
        common = np.zeros(len(batch.rows), np.int64)
        pairs, known = [], []
        for part, buckets in _parts(batch.values):
            stored = self._read(buckets, batch.values[part])
            stored = stored.only(np.isin(stored.keys, batch.values[part]))
            sharing, is_common = pairs_in(batch, part, stored.keys, stored.leaders)
            pairs.append(sharing)
            common += is_common
            known.append(stored)
        leaders = np.concatenate([entries.leaders for entries in known])
        lengths = lengths_of(np.concatenate([entries.steps for entries in known]))
        best = likely_copies(batch, np.concatenate(pairs), common, leaders, lengths)
        alive = ~(best.stored & np.isin(best.others, self._gone(best.others[best.stored])))
        return Candidates(best.texts[alive], best.others[alive], best.stored[alive])

    def enter(self, batch: KeyedTexts, leads: Mask) -> None:
        """Store the entries of those texts of a batch that lead."""
        back = self._gone(batch.rows[leads])  # their entries are still there
        self._connection.executemany("DELETE FROM gone WHERE leader = ?", ((row,) for row in back))
        leads = leads & ~np.isin(batch.rows, back)
        self._count(int(np.count_nonzero(leads)))
        many = len(np.unique(batch.values >> np.uint32(_REST_BITS))) > _BUCKETS // 2
        rows: list[tuple[int, bytes]] = []
        for part, buckets in _parts(batch.values):
            owners = batch.owners[part]
            own = leads[owners]
            fresh = _Entries(batch.values[part][own], batch.rows[owners[own]], length_steps(batch.lengths[owners[own]]))
            stored = self._read(buckets, None if many else fresh.keys)
            rows += stored.with_(fresh.only(has_room(stored.keys, fresh.keys))).pack()
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

    def _gone(self, rows: Lengths) -> list[int]:
        query = "SELECT leader FROM gone WHERE leader IN (SELECT value FROM json_each(?))"
        return [leader for (leader,) in self._connection.execute(query, (json.dumps(np.unique(rows).tolist()),))]

    def _count(self, more: int) -> int:
        """How many leaders have entries, with so many more."""
        before = self._connection.execute("SELECT value FROM meta WHERE key = 'leaders'").fetchone()
        count = max(0, (int(before[0]) if before else 0) + more)
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('leaders', ?)", (str(count),))
        return count

    def _read(self, buckets: range, keys: NDArray[np.uint32] | None) -> _Entries:
        """The entries of all buckets of a range, or of those that `keys` belong to."""
        wanted = list(buckets) if keys is None else np.unique(keys >> np.uint32(_REST_BITS)).tolist()
        query = "SELECT bucket, entries FROM keys WHERE bucket IN (SELECT value FROM json_each(?)) ORDER BY bucket"
        return _Entries.unpack(self._connection.execute(query, (json.dumps(wanted),)).fetchall())

    def _write(self, rows: list[tuple[int, bytes]], *, anew: bool) -> None:
        if anew:  # rows that are written in order fill their pages
            self._connection.execute("DELETE FROM keys")
        self._connection.executemany("INSERT OR REPLACE INTO keys VALUES (?, ?)", rows)


@dataclass(frozen=True, slots=True)
class _Entries:
    """Keys in ascending order, each with a leader that has it, and about its length; see `length_steps`."""

    keys: NDArray[np.uint32]
    leaders: Lengths
    steps: NDArray[np.uint8]

    @classmethod
    def unpack(cls, rows: list[tuple[int, bytes]]) -> _Entries:
        packed = np.frombuffer(b"".join(entries for _, entries in rows), _ENTRY)
        counts = [len(entries) // _ENTRY.itemsize for _, entries in rows]
        buckets = np.repeat(np.array([bucket for bucket, _ in rows], np.uint32), counts)
        keys = buckets << np.uint32(_REST_BITS) | packed["rest"]
        return cls(keys, packed["leader"].astype(np.int64), packed["length"])

    def pack(self) -> Iterator[tuple[int, bytes]]:
        """The rows of these entries, whose buckets ascend."""
        packed = np.empty(len(self.keys), _ENTRY)
        packed["rest"] = self.keys & np.uint32((1 << _REST_BITS) - 1)
        packed["leader"], packed["length"] = self.leaders, self.steps
        buckets, starts = np.unique(self.keys >> np.uint32(_REST_BITS), return_index=True)
        data, size = packed.tobytes(), _ENTRY.itemsize
        bounds = pairwise([*starts.tolist(), len(packed)])
        for bucket, (start, end) in zip(buckets.tolist(), bounds, strict=False):
            yield bucket, data[start * size : end * size]

    def only(self, mask: Mask) -> _Entries:
        return _Entries(self.keys[mask], self.leaders[mask], self.steps[mask])

    def with_(self, other: _Entries) -> _Entries:
        """Both, in ascending order of keys."""
        keys = np.concatenate([self.keys, other.keys])
        order = np.argsort(keys, kind="stable")
        leaders = np.concatenate([self.leaders, other.leaders])
        return _Entries(keys[order], leaders[order], np.concatenate([self.steps, other.steps])[order])


def _parts(values: NDArray[np.uint32]) -> Iterator[tuple[slice, range]]:
    """Ranges of ascending keys, each with the buckets where they belong."""
    size = _BUCKETS // _PARTS
    bounds = np.arange(0, _BUCKETS + 1, size).astype(np.uint64) << np.uint64(_REST_BITS)
    places = np.searchsorted(values, bounds).tolist()
    for number in range(_PARTS):
        yield slice(places[number], places[number + 1]), range(number * size, (number + 1) * size)
