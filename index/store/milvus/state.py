"""What readers and writers go by on a server.

Which index is current, what it was made with, what was published of it last and in how many passages its tokens stand;
and a lease for the one writer, on a server that knows no locks.
"""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from index.errors import CitedQAError, IndexBusyError, IndexMismatchError
from index.store import Settings
from index.store.milvus.connection import FORMAT, STATE, Row, Server, Table, among, literal
from index.store.milvus.reading import Tables
from index.store.milvus.rows import Sparse, places_of

_CURRENT = "current"
_PUBLISHED = "published"
_SETTINGS = "settings"
# Replicas of a shard follow each other within this time, so that reads need not wait for all of them.
_SETTLED_S = 30.0
# So many tokens are counted at once, about 100 MB; and so many written.
_WAITING = 20_000_000
_WRITTEN = 20_000

_Places = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Published:
    """A generation that readers may see, with its totals; `at` is when, in seconds since 1970.

    `probe` is the place of a token that some passage holds.
    """

    generation: int = 0
    documents: int = 0
    passages: int = 0
    articles: int = 0
    units: int = 0
    passage_tokens: int = 0
    article_tokens: int = 0
    probe: int | None = None
    at: float = field(default_factory=time.time)

    @property
    def level(self) -> str:
        """The consistency that reads of it need: what was written long ago is everywhere."""
        return "Bounded" if time.time() - self.at > _SETTLED_S else "Strong"


@dataclass(frozen=True, slots=True)
class MadeWith:
    """What an index is made with. `averages` are the tokens of a passage and of an article that weights refer to."""

    encoder: str
    segmenter: str
    format: int
    dim: int
    vector_index: str
    averages: tuple[float, float] | None = None

    @classmethod
    def by(cls, settings: Settings, dim: int, vector_index: str) -> MadeWith:
        return cls(settings.encoder, settings.segmenter.fingerprint, FORMAT, dim, vector_index)

    def check(self, settings: Settings, where: str) -> None:
        """Raise IndexMismatchError when other settings are in use."""
        wanted = MadeWith.by(settings, self.dim, self.vector_index)
        for key in ("encoder", "segmenter", "format"):
            if getattr(self, key) != getattr(wanted, key):
                raise IndexMismatchError(
                    f"{where}: the index was made with {key} {getattr(self, key)!r}, but {getattr(wanted, key)!r} is"
                    " in use; run: qa index --rebuild"
                )


class State:
    """What all indexes with our prefix share."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.table = server.table("", STATE)

    def current(self, level: str = "Strong") -> str | None:
        """The name of the index that readers use; None before the first."""
        self.table.level = level
        return _value(self.table, _CURRENT)

    def make_current(self, name: str) -> None:
        self.table.write([{"key": _CURRENT, "value": name}], replace=True)


class Notes:
    """Settings of one index and small things that it keeps."""

    def __init__(self, server: Server, name: str) -> None:
        self.table = server.table(name, "notes")

    def get(self, key: str) -> str | None:
        return _value(self.table, key)

    def set(self, key: str, value: str) -> None:
        self.table.write([{"key": key, "value": value}], replace=True)

    def made(self) -> MadeWith | None:
        stored = self.get(_SETTINGS)
        if stored is None:
            return None
        values = json.loads(stored)
        if values["format"] != FORMAT:  # which is all that can be said of it
            return MadeWith(values["encoder"], values["segmenter"], values["format"], 0, "")
        return MadeWith(**(values | {"averages": tuple(values["averages"]) if values["averages"] else None}))

    def set_made(self, made: MadeWith) -> None:
        self.set(_SETTINGS, json.dumps(asdict(made)))

    def published(self, level: str = "Strong") -> Published | None:
        self.table.level = level
        stored = self.get(_PUBLISHED)
        return Published(**json.loads(stored)) if stored else None

    def publish(self, published: Published) -> None:
        self.set(_PUBLISHED, json.dumps(asdict(published)))


def _value(table: Table, key: str) -> str | None:
    rows = table.read(f"key == {literal(key)}", ["value"])
    return rows[0]["value"] if rows else None


_CLAIM = "claim/"
# A claim holds for so long after it was renewed; renewals are tried often enough to miss some.
_HOLDS_S = 30.0
_RENEW_S = 5.0
_TRIES = 4
_PAUSE_S = 0.3


class Lease:
    """The right to write, held while the block lasts, on a server that knows no locks.

    Who wants to write enters a claim and then looks: it writes only if there is no other. Two that enter at once see
    each other, both withdraw, and try again after a moment that is of other length for each. A claim is renewed while
    its holder lives; one that has not been for a while, or whose process is no more on this machine, counts for
    nothing. A holder that could not renew its claim in time stops writing. Clocks of machines that write may differ by
    a few seconds.

    Raises:
        IndexBusyError: someone else holds it.
    """

    def __init__(self, state: Table, where: str) -> None:
        self._state = state
        self._where = where
        self._key = f"{_CLAIM}{uuid4().hex}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="qa-lease", daemon=True)
        self._renewed = 0.0

    def __enter__(self) -> Lease:
        attempt = 0
        while True:
            self._claim()
            other = self._other()
            if other is None:
                self._thread.start()
                return self
            self._withdraw()
            attempt += 1
            if other["held"] or attempt == _TRIES:
                raise IndexBusyError(
                    f"{self._where}: another process is writing this index ({other['process']} on {other['host']}); "
                    "try again when it is done"
                )
            time.sleep(_PAUSE_S * random.uniform(0.2, 1) * 2**attempt)  # noqa: S311

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._withdraw()

    def check(self) -> None:
        """Raise IndexBusyError when the right may have gone to someone else."""
        if time.monotonic() - self._renewed > _HOLDS_S - _RENEW_S:
            raise IndexBusyError(
                f"{self._where}: the server could not be reached for {_HOLDS_S:.0f} s, and another process may be"
                " writing this index now; run qa index again"
            )

    def _claim(self, *, held: bool = False) -> None:
        asked = time.monotonic()
        claim = {
            "until": time.time() + _HOLDS_S,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "machine": _machine(),
            "held": held,
        }
        self._state.write([{"key": self._key, "value": json.dumps(claim)}], replace=True)
        self._renewed = asked

    def _withdraw(self) -> None:
        try:
            self._state.delete("key", [self._key])
        except CitedQAError:
            pass  # it ends by itself

    def _other(self) -> dict[str, object] | None:
        """The claim of someone else, one that is held first; claims of the dead are removed."""
        others: list[dict[str, object]] = []
        for row in self._state.read(f"key like {literal(_CLAIM + '%')}"):
            claim = json.loads(row["value"])
            if row["key"] == self._key:
                continue
            if claim["until"] < time.time() or _is_dead(claim):
                self._state.delete("key", [row["key"]])
            else:
                others.append(claim)
        return max(others, key=lambda claim: bool(claim["held"]), default=None)

    def _keep(self) -> None:
        is_renewed = False
        while not self._ended.wait(_RENEW_S if is_renewed else 0):
            try:
                self._claim(held=True)
                is_renewed = True
            except CitedQAError:  # `check` stops the writer when this lasts
                is_renewed = not self._ended.wait(1)


def _is_dead(claim: dict[str, object]) -> bool:
    """Whether a claim is of a process of this machine that is no more."""
    if claim["machine"] != _machine() or claim["process"] == os.getpid():
        return False
    try:
        os.kill(int(str(claim["process"])), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _machine() -> str:
    """What numbers of processes are unique within: this start of a machine, and within it a container."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


class FrequencyCounts:
    """How many more passages and articles each token stands in; `kind` is `passages` or `articles`.

    The frequency of a token is stored with the one before it and the generation that it is of. So it can be worked out
    again after a crash, and readers of the generation before have theirs.
    """

    def __init__(self) -> None:
        self._changes: dict[str, _Tally] = {"passages": _Tally(), "articles": _Tally()}

    def add(self, kind: str, words: Iterable[Sparse], by: int = 1) -> None:
        self._changes[kind].add(words, by)

    def add_stored(self, tables: Tables, documents: Iterable[int], by: int) -> None:
        """Count what is stored of documents."""
        for listed in among("document", documents):
            for kind, tally in self._changes.items():
                for row in tables[kind].read_all(listed, ["row", "words"]):
                    tally.add([row["words"]], by)

    def write(self, tables: Tables, published: int, generation: int) -> int | None:
        """Store the frequencies of a generation, where `published` is the one before; the place of a frequent token."""
        passages, articles = (tally.total() for tally in self._changes.values())
        places = sorted(passages.keys() | articles.keys())
        most, frequent = 0, None
        for start in range(0, len(places), _WRITTEN):
            part = places[start : start + _WRITTEN]
            stored = {row["place"]: row for row in tables["terms"].get("place", part)}
            rows: list[Row] = []
            for place in part:
                base = [_base(stored.get(place), kind, published) for kind in ("passages", "articles")]
                row = {
                    "place": place,
                    "generation": generation,
                    "passages_before": base[0],
                    "articles_before": base[1],
                    "passages": max(0, base[0] + passages.get(place, 0)),
                    "articles": max(0, base[1] + articles.get(place, 0)),
                }
                most, frequent = max((most, frequent or 0), (row["passages"], place))
                rows.append(row)
            tables["terms"].write(rows, replace=True)
        return frequent if most else None


def _base(row: Row | None, kind: str, published: int) -> int:
    """The frequency as it is published; a run that was cut short may have stored a later one."""
    if row is None:
        return 0
    return int(row[kind] if row["generation"] <= published else row[f"{kind}_before"])


class _Tally:
    """Changes by place, added up now and then."""

    def __init__(self) -> None:
        self._places: _Places = np.zeros(0, np.uint32)
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._waiting: list[tuple[_Places, int]] = []
        self._size = 0

    def add(self, words: Iterable[Sparse], by: int) -> None:
        places = np.array([place for own in words for place in places_of(own)], np.uint32)
        self._waiting.append((places, by))
        self._size += len(places)
        if self._size > _WAITING:
            self._add_up()

    def _add_up(self) -> None:
        places = np.concatenate([self._places, *(places for places, _ in self._waiting)])
        counts = np.concatenate([self._counts, *(np.full(len(places), by) for places, by in self._waiting)])
        self._places, inverse = np.unique(places, return_inverse=True)
        self._counts = np.zeros(len(self._places), np.int64)
        np.add.at(self._counts, inverse, counts)
        self._waiting, self._size = [], 0

    def total(self) -> dict[int, int]:
        self._add_up()
        changed = self._counts != 0
        return dict(zip(self._places[changed].tolist(), self._counts[changed].tolist(), strict=True))
