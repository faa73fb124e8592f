"""Which passages are copies of which: clusters around a leader, derived from the database.

A passage joins the leader that it shares most with; what is a copy of no leader leads. Only leaders have keys, so that
a paragraph found in ten thousand files is compared with one passage and not with ten thousand.

    members     the leader of each passage that follows one
    meta        `through`: all passages up to this row have been assigned
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

import numpy as np

from index.batches import batches
from index.dedup import leaders
from index.dedup.duplicates import STAMP, Keys, Sketch, keys, shared, sketches
from index.dedup.leaders import Batch, Candidates, Integers, Leaders
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
"""


class Clusters(SqliteFile):
    """The clusters of an index and the generation they hold."""

    schema = SqliteFile.schema + _SCHEMA + leaders.SCHEMA

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
            found = connection.execute(
                "SELECT passage, leader FROM members WHERE passage IN (SELECT value FROM json_each(?))",
                (json.dumps(wanted),),
            ).fetchall()
        return {row: row for row in wanted} | dict(found)

    def members(self, leaders: Iterable[int], limit: int) -> dict[int, list[int]]:
        """The first passages, by row, of the cluster of each leader, itself included."""
        with self._reading() as connection:
            found = {leader: connection.execute(_FOLLOWERS, (leader, limit)) for leader in set(leaders)}
            return {
                leader: sorted([leader, *(row for (row,) in followers)])[:limit] for leader, followers in found.items()
            }

    def update(self, removed: Sequence[int], added: Iterable[int], texts: Texts, generation: int) -> None:
        """Remove passages, add passages, and stamp the result. Doing it again changes nothing.

        Rows that are added are beyond all that were added before.
        """
        with self._writing() as connection:
            _assign(connection, _dissolve(connection, removed), texts)
            Leaders(connection).tidy()
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
    Leaders(connection).leave(set(rows).difference(row for (row,) in followers))
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
        batch, equal = Batch.of(*self._keys(rows))
        keyed = Leaders(self._connection)
        found = keyed.candidates(batch)
        # Long passages come first: their pieces then find them.
        starts = np.flatnonzero(np.diff(found.texts, prepend=-1))[::_COMPARED].tolist()
        for start, end in pairwise([*starts, len(found.texts)]):
            self._compare(batch, found, slice(start, end))
        follows = self._leader_of | {row: self._leader_of.get(first, first) for row, first in equal.items()}
        self._connection.executemany("INSERT INTO members VALUES (?, ?)", sorted(follows.items()))
        keyed.enter(batch, ~np.isin(batch.rows, list(self._leader_of)))
        return sorted(self._displaced.union(_dissolve(self._connection, sorted(self._displaced))))

    def _keys(self, rows: Sequence[int]) -> tuple[Integers, Keys]:
        found: list[int] = []
        parts = []
        for start in range(0, len(rows), _KEYED):
            texts = self._texts(rows[start : start + _KEYED])
            parts.append(keys(list(texts.values())))
            found += texts
        return np.array(found, np.int64), Keys.joined(parts)

    def _compare(self, batch: Batch, found: Candidates, part: slice) -> None:
        """Find the leaders of those texts that have candidates in a part of all pairs."""
        rows, others = batch.rows[found.texts[part]].tolist(), found.others[part].tolist()
        known: dict[int, Sketch] = {}
        for some in batches({*rows, *others}, _KEYED):
            texts = self._texts(some)
            known.update(zip(texts, sketches(list(texts.values())), strict=True))
        stored = set(found.others[part][found.stored[part]].tolist())
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
