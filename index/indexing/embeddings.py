"""Document text to vectors, batch by batch, with those that were made before read from a file.

    data_dir/embeddings.sqlite      vectors by model and text; may be deleted at any time

It is kept for slow encoders only. An interrupted run goes on where it stopped, a renamed file or a rebuild for another
reason costs no encoding, and going back to the model used before costs none either.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from index.encoder import Encoder, Vectors
from index.errors import IndexBusyError, IndexUnusableError

FILE = "embeddings.sqlite"

HalfVectors = NDArray[np.float16]

Advance = Callable[[int, int], None]
"""Told how many texts are done, and of how many."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS models (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS vectors (
    row INTEGER PRIMARY KEY, model INTEGER NOT NULL REFERENCES models, text BLOB NOT NULL, vector BLOB NOT NULL,
    UNIQUE (model, text));
CREATE TABLE IF NOT EXISTS sizes (day INTEGER PRIMARY KEY, vectors INTEGER NOT NULL);
"""
_NOTE_SIZE = "INSERT INTO sizes VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET vectors = max(vectors, excluded.vectors)"
# SQLite takes this many placeholders in every version that Python 3.11 allows.
_LOOKUP = 900
# Beyond twice what the index held within so many days, and this many, the oldest go: room for one other model, or for
# many changes. So vectors outlive an index that was emptied because a disk was not mounted.
_KEPT_PER_VECTOR = 2
_KEPT_AT_LEAST = 10_000
_KEPT_DAYS = 30
_DAY_S = 86_400


class Cache(Protocol):
    """Vectors of one encoder by the SHA-256 of their text."""

    def find(self, texts: Iterable[bytes]) -> dict[bytes, HalfVectors]:
        """The vectors `(dim,)` that are known, by digest of their text."""

    def add(self, vectors: Iterable[tuple[bytes, HalfVectors]]) -> None:
        """Keep vectors by digest of their text; they are safe when this returns."""


class KnownVectors:
    """Vectors in memory; `fresh` are those that were added."""

    def __init__(self, known: dict[bytes, HalfVectors]) -> None:
        self._known = known
        self.fresh: dict[bytes, HalfVectors] = {}

    def find(self, texts: Iterable[bytes]) -> dict[bytes, HalfVectors]:
        return {text: self._known[text] for text in texts if text in self._known}

    def add(self, vectors: Iterable[tuple[bytes, HalfVectors]]) -> None:
        added = dict(vectors)
        self._known |= added
        self.fresh |= added


class WantedTexts:
    """No vectors, but `texts` are those that vectors were asked for; none has to be made."""

    def __init__(self) -> None:
        self.texts: set[bytes] = set()

    def find(self, texts: Iterable[bytes]) -> dict[bytes, HalfVectors]:
        wanted = set(texts)
        self.texts |= wanted
        return dict.fromkeys(wanted, np.zeros(1, dtype=np.float16))

    def add(self, vectors: Iterable[tuple[bytes, HalfVectors]]) -> None:
        """Not called, as all is known."""


class EmbeddingCache:
    """Vectors in a file, as little-endian float16. One writer, one thread at a time.

    Raises:
        IndexBusyError, IndexUnusableError: from any method, when SQLite can't go on.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path = path
        self._one_at_a_time = threading.Lock()
        with self._meaning():
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)
            self._connection.execute("INSERT OR IGNORE INTO models (fingerprint) VALUES (?)", (fingerprint,))
            ids = self._connection.execute("SELECT id FROM models WHERE fingerprint = ?", (fingerprint,))
            self._model = int(ids.fetchone()[0])
            if not self._connection.execute("SELECT 1 FROM sizes").fetchone():  # new, or of a version without sizes
                (held,) = self._connection.execute("SELECT count(*) FROM vectors").fetchone()
                self._connection.execute(_NOTE_SIZE, (int(time.time() // _DAY_S), held // _KEPT_PER_VECTOR))

    def close(self) -> None:
        self._connection.close()

    def find(self, texts: Iterable[bytes]) -> dict[bytes, HalfVectors]:
        known: dict[bytes, HalfVectors] = {}
        with self._meaning():
            for some in _batches(texts, _LOOKUP):
                rows = self._connection.execute(
                    f"SELECT text, vector FROM vectors WHERE model = ? AND text IN ({','.join('?' * len(some))})",
                    (self._model, *some),
                )
                known.update((text, np.frombuffer(vector, dtype="<f2")) for text, vector in rows)
        return known

    def add(self, vectors: Iterable[tuple[bytes, HalfVectors]]) -> None:
        rows = [(self._model, text, vector.astype("<f2").tobytes()) for text, vector in vectors]
        with self._meaning():
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT OR REPLACE INTO vectors (model, text, vector) VALUES (?, ?, ?)", rows)
            self._connection.execute("COMMIT")

    def trim(self, indexed: int) -> None:
        """Drop the oldest beyond what an index of that many vectors, or of more until lately, has a use for.

        SQLite uses their room again.
        """
        today = int(time.time() // _DAY_S)
        with self._meaning():
            self._connection.execute(_NOTE_SIZE, (today, indexed))
            self._connection.execute("DELETE FROM sizes WHERE day < ?", (today - _KEPT_DAYS,))
            (most,) = self._connection.execute("SELECT max(vectors) FROM sizes").fetchone()
            kept = max(_KEPT_AT_LEAST, _KEPT_PER_VECTOR * most)
            self._connection.execute(
                "DELETE FROM vectors WHERE row <= (SELECT row FROM vectors ORDER BY row DESC LIMIT 1 OFFSET ?)", (kept,)
            )

    @contextmanager
    def _meaning(self) -> Iterator[None]:
        try:
            with self._one_at_a_time:
                yield
        except sqlite3.DatabaseError as exc:
            if ((getattr(exc, "sqlite_errorcode", None) or 0) & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise IndexBusyError(f"{self._path}: {exc}; try again when the other process is done") from exc
            hint = "look at the disk's space, or delete the file, which only saves time"
            raise IndexUnusableError(f"{self._path}: {exc}; {hint}") from exc


class Embedder:
    """Encodes document text for an index in `data_dir`, or with what another `cache` knows; else it keeps nothing."""

    def __init__(self, encoder: Encoder, data_dir: Path | None = None, cache: Cache | None = None) -> None:
        self._encoder = encoder
        self._file = EmbeddingCache(data_dir / FILE, encoder.fingerprint) if encoder.is_slow and data_dir else None
        self.cache = cache or self._file

    def close(self) -> None:
        """Let go of the file."""
        if self._file:
            self._file.close()

    def trim(self, indexed: int) -> None:
        """Keep the file within what an index that holds so many vectors has a use for."""
        if self._file:
            self._file.trim(indexed)

    def encode(self, texts: Sequence[str], advance: Advance | None = None) -> Vectors:
        """Vectors: float32 `(len(texts), dim)`, unit length or zero; `advance` is told how many of the texts are done.

        Raises:
            EncoderError: see `index.encoder`; what was encoded until then is kept.
        """
        if not self._encoder.is_slow:
            vectors = self._encoder.encode_documents(texts)
            if advance:
                advance(len(texts), len(texts))
            return vectors
        digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        places: dict[bytes, list[int]] = {}
        for place, digest in enumerate(digests):
            places.setdefault(digest, []).append(place)
        known = self.cache.find(places) if self.cache else {}
        # A model need not be loaded for what is all known.
        dim = len(next(iter(known.values()))) if known else self._encoder.dim
        vectors = np.zeros((len(texts), dim), dtype=np.float32)
        for digest, vector in known.items():
            vectors[places[digest]] = vector
        # Texts of like length waste least when a model pads them to the longest of a batch.
        missing = sorted(places.keys() - known.keys(), key=lambda digest: (len(texts[places[digest][0]]), digest))
        done = len(texts) - sum(len(places[digest]) for digest in missing)
        for batch in _batches(missing, self._encoder.batch_size):
            fresh = self._encoder.encode_documents([texts[places[digest][0]] for digest in batch])
            if self.cache:
                half = fresh.astype(np.float16)
                self.cache.add(zip(batch, half, strict=True))
                fresh = half.astype(np.float32)  # as it will be read the next time
            for digest, vector in zip(batch, fresh, strict=True):
                vectors[places[digest]] = vector
                done += len(places[digest])
            if advance:
                advance(done, len(texts))
        return vectors


def _batches(items: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
