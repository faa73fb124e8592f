"""Which passages are copies of which: clusters around a leader, derived from the database.

A passage joins the leader that it shares most with; what is a copy of no leader leads. Only leaders have keys, so that
a paragraph found in ten thousand files is compared with one passage and not with ten thousand.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np

from index.duplicates import STAMP, Sketch, keys, keys_needed, shared
from index.errors import IndexDamagedError
from index.store.sqlite import SqliteFile

# The sketches of passages by row; rows that are gone are left out.
Sketches = Callable[[Iterable[int]], Mapping[int, Sketch]]

# So many passages are compared in one transaction; sorted together, their keys touch each page of the file once, which
# in a large index is every page. About 100 MB of sketches.
_BATCH = 32_000
# Numbers of grams are compared in steps of this share, which is exact enough to tell how many keys copies share.
_GRAMS_STEP = 1.1
# A leader that covers less of a longer copy than this makes way for it, so that the fullest version leads.
_COVERS = 0.8
# Forms that differ in their figures alone share most keys and are no copies. A key that so many leaders have tells
# nothing, so no more get it, and a passage is compared with the few leaders that share most keys with it.
_MAX_LEADERS_PER_KEY = 20
_MAX_COMPARED = 20
_MEMBERS = "SELECT passage FROM members WHERE leader = ? ORDER BY passage LIMIT ?"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS members (passage INTEGER PRIMARY KEY, leader INTEGER NOT NULL, keys BLOB);
CREATE INDEX IF NOT EXISTS members_leader ON members (leader);
CREATE TABLE IF NOT EXISTS keys (
    key INTEGER NOT NULL, leader INTEGER NOT NULL, grams INTEGER NOT NULL, PRIMARY KEY (key, leader)) WITHOUT ROWID;
"""


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
            found = connection.execute(
                "SELECT passage, leader FROM members WHERE passage IN (SELECT value FROM json_each(?))",
                (json.dumps(wanted),),
            ).fetchall()
        return {row: row for row in wanted} | dict(found)

    def members(self, leaders: Iterable[int], limit: int) -> dict[int, list[int]]:
        """The first passages, by row, of the cluster of each leader, itself included."""
        with self._reading() as connection:
            return {
                leader: [row for (row,) in connection.execute(_MEMBERS, (leader, limit))] for leader in set(leaders)
            }

    def update(self, removed: Sequence[int], added: Iterable[int], sketches: Sketches, generation: int) -> None:
        """Remove passages, add passages, and stamp the result. Doing it again changes nothing."""
        with self._writing() as connection:
            orphans = _dissolve(connection, removed)
            _assign(connection, orphans, sketches)
        rows = iter(added)
        while batch := list(islice(rows, _BATCH)):
            with self._writing() as connection:
                _assign(connection, batch, sketches)
        self.set_meta("generation", str(generation))
        self.checkpoint()


def _dissolve(connection: sqlite3.Connection, rows: Sequence[int]) -> list[int]:
    """Take passages out; those that followed them and are left without a leader are returned."""
    gone = json.dumps(rows)
    found = connection.execute(
        "SELECT passage, keys FROM members WHERE passage IN (SELECT value FROM json_each(?)) AND keys IS NOT NULL",
        (gone,),
    ).fetchall()
    connection.executemany(
        "DELETE FROM keys WHERE key = ? AND leader = ?",
        ((key, leader) for leader, own in found for key in np.frombuffer(own, "<i4").tolist()),
    )
    connection.execute("DELETE FROM members WHERE passage IN (SELECT value FROM json_each(?))", (gone,))
    leaders = json.dumps([leader for leader, _ in found])
    orphans = connection.execute(
        "SELECT passage FROM members WHERE leader IN (SELECT value FROM json_each(?)) ORDER BY passage", (leaders,)
    ).fetchall()
    connection.execute("DELETE FROM members WHERE leader IN (SELECT value FROM json_each(?))", (leaders,))
    return [row for (row,) in orphans]


def _assign(connection: sqlite3.Connection, rows: Sequence[int], sketches: Sketches) -> None:
    """Give each passage that has none its leader."""
    known = connection.execute(
        "SELECT passage FROM members WHERE passage IN (SELECT value FROM json_each(?))", (json.dumps(rows),)
    )
    fresh = set(rows).difference(row for (row,) in known)
    while fresh:
        assignment = _Assignment(connection, sketches, sorted(fresh))
        fresh = assignment.run()


class _Assignment:
    """One batch of passages on their way to their leaders."""

    def __init__(self, connection: sqlite3.Connection, sketches: Sketches, rows: Sequence[int]) -> None:
        self._connection = connection
        self._sketches = dict(sketches(rows))
        # Long passages first: their pieces then find them.
        self._order = sorted(self._sketches, key=lambda row: (-len(self._sketches[row].grams), row))
        matrix = keys([self._sketches[row] for row in self._order]).tolist()
        self._keys: dict[int, list[int]] = dict(zip(self._order, matrix, strict=True))
        self._sizes = {row: _step(len(own.grams)) for row, own in self._sketches.items()}
        self._leaders = self._stored_leaders()
        stored = {row for own in self._order for row in self._candidates(own)}
        self._sketches |= sketches(stored)

    def _stored_leaders(self) -> defaultdict[int, list[int]]:
        """Leaders of earlier batches by key."""
        wanted = json.dumps(sorted({key for own in self._keys.values() for key in own}))
        found: defaultdict[int, list[int]] = defaultdict(list)
        for key, leader, grams in self._connection.execute(
            "SELECT key, leader, grams FROM keys WHERE key IN (SELECT value FROM json_each(?))", (wanted,)
        ):
            found[key].append(leader)
            self._sizes[leader] = grams
        return found

    def _candidates(self, row: int) -> list[int]:
        """The leaders that share most keys with `row`, and as many as copies do."""
        whole, *parts = self._keys[row]
        found = [self._leaders[key] for key in parts if key in self._leaders]
        counts = Counter(chain.from_iterable(found))
        # A key that was full may have been denied to a leader, and tells nothing against it.
        full = sum(len(leaders) >= _MAX_LEADERS_PER_KEY for leaders in found)
        own = self._sizes[row]
        counts = Counter({
            leader: count for leader, count in counts.items()
            if count >= keys_needed(own, self._sizes[leader], len(parts) - full)
        })  # fmt: skip
        # Equal texts share the key of the whole.
        counts.update(dict.fromkeys(self._leaders.get(whole, ()), len(parts)))
        return [leader for leader, _ in counts.most_common(_MAX_COMPARED)]

    def run(self) -> set[int]:
        """Store what was decided; the passages whose leader made way are returned, to be given another one."""
        leader_of: dict[int, int] = {}
        displaced: set[int] = set()
        keyed: list[tuple[int, int, int]] = []
        for row in self._order:
            copies = self._copies(row, displaced)
            lasting = {leader: common for leader, common in copies.items() if self._covers(leader, row)}
            if lasting:
                leader_of[row] = max(lasting, key=lambda leader: (lasting[leader], -leader))
                continue
            # Leaders of this batch are never displaced, as the longest came first.
            displaced.update(copies)
            leader_of[row] = row
            keyed.extend((key, row, self._sizes[row]) for key in set(self._keys[row]) if self._enter(key, row))
        self._store(leader_of, keyed)
        return displaced.union(_dissolve(self._connection, sorted(displaced)))

    def _copies(self, row: int, displaced: set[int]) -> dict[int, int]:
        """Leaders that `row` is a copy of, with how many grams they share."""
        known = [leader for leader in self._candidates(row) if leader in self._sketches and leader not in displaced]
        found = ((leader, shared(self._sketches[row], self._sketches[leader])) for leader in known)
        return {leader: common for leader, common in found if common}

    def _covers(self, leader: int, row: int) -> bool:
        return len(self._sketches[leader].grams) >= _COVERS * len(self._sketches[row].grams)

    def _enter(self, key: int, leader: int) -> bool:
        leaders = self._leaders[key]
        if len(leaders) < _MAX_LEADERS_PER_KEY:
            leaders.append(leader)
            return True
        return False

    def _store(self, leader_of: Mapping[int, int], keyed: Iterable[tuple[int, int, int]]) -> None:
        self._connection.executemany(
            "INSERT INTO members VALUES (?, ?, ?)",
            (
                (row, leader, np.array(self._keys[row], "<i4").tobytes() if row == leader else None)
                for row, leader in sorted(leader_of.items())
            ),
        )
        self._connection.executemany("INSERT INTO keys VALUES (?, ?, ?)", sorted(keyed))


def _step(grams: int) -> int:
    """A number of grams, rounded, so that few pairs of them differ."""
    return round(_GRAMS_STEP ** round(math.log(max(grams, 1), _GRAMS_STEP)))
