"""A SQLite file that several threads and processes read while one writes."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from index.errors import CitedQAError, IndexBusyError, IndexDamagedError, IndexUnusableError

# Pages that a transaction changes stay in memory until it ends.
_CACHE_BYTES = 32 << 20
# A page that many transactions change is moved from the log into the file once and not for each of them.
_LOG_BYTES = 64 << 20
# What SQLite says where it can't write.
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)


class SqliteFile:
    """One SQLite file with a `meta` table, one connection a thread.

    Raises:
        IndexDamagedError, IndexBusyError, IndexUnusableError: from any method, when SQLite can't go on.
    """

    # NORMAL: a power cut may undo the last transactions, a crash of the process none. FULL: neither undoes one.
    synchronous = "NORMAL"
    # Of a new file.
    page_bytes = 4096
    # So much is mapped into memory and not copied; a file that another program cuts short then ends the process.
    mapped_bytes = 0
    schema = "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        # One stays open although its thread ends: the last to close removes files that readers share with writers, and
        # a disk that has become full has no room to make them anew.
        self._first: sqlite3.Connection | None = None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = getattr(self._local, "connection", None) or self._shared()
            if connection is not None:
                yield connection
                return
            # As a file that nobody changes. Not kept: who knows for how long that is so.
            with closing(self._opened(f"{self.path.resolve().as_uri()}?immutable=1")) as connection:
                yield connection
        except sqlite3.DatabaseError as exc:
            raise self._meaning(exc) from exc

    def _shared(self) -> sqlite3.Connection | None:
        """A connection for this thread, which sees what others write.

        None where the disk is full or read-only, so that SQLite can't make the files that readers and writers share,
        and no log says that someone wrote what is not in the file itself.
        """
        try:
            if self._is_on_read_only_disk():
                return None
            connection = self._opened(self.path.absolute().as_uri())
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("SELECT 1 FROM sqlite_master").fetchone()
            except sqlite3.DatabaseError:
                connection.close()
                raise
        except sqlite3.DatabaseError as exc:
            if _code(exc) in _NO_ROOM and _size(self.path) and not _size(self._log):
                return None
            raise
        self._local.connection = connection
        self._first = self._first or connection
        return connection

    @property
    def _log(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    def _is_on_read_only_disk(self) -> bool:
        return not os.access(self.path.parent, os.W_OK) and self.path.exists() and not self._log.exists()

    def _opened(self, address: str) -> sqlite3.Connection:
        connection = sqlite3.connect(address, timeout=30, isolation_level=None, uri=True)
        connection.execute(f"PRAGMA synchronous={self.synchronous}")
        connection.execute(f"PRAGMA page_size={self.page_bytes}")
        connection.execute(f"PRAGMA mmap_size={self.mapped_bytes}")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_BYTES >> 10}")
        connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_BYTES // self.page_bytes}")
        self._prepare(connection)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """What each new connection needs."""

    def _meaning(self, error: sqlite3.DatabaseError) -> CitedQAError:
        if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return IndexBusyError(f"{self.path}: {error}; try again when the other process is done")
        if _code(error) in _NO_ROOM:
            return IndexUnusableError(f"{self.path}: {error}; look at the disk's space and permissions")
        return IndexDamagedError(f"{self.path}: {error}; run: qa index --rebuild")

    @contextmanager
    def _at_once(self) -> Iterator[sqlite3.Connection]:
        """What is read in the block is of one moment, whatever others write meanwhile."""
        with self._reading() as connection:
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection:
            if connection.in_transaction:  # see `together`
                yield connection
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that this thread writes in the block is one transaction."""
        with self._writing():
            yield

    def create(self) -> None:
        """Make the tables where they are missing."""
        with self._reading() as connection:
            connection.executescript(self.schema)

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            del self._local.connection
            self._first = None if self._first is connection else self._first

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file itself, as far as readers let it, so that opening need not read it."""
        with self._reading() as connection:
            connection.execute("PRAGMA busy_timeout=1000")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA busy_timeout=30000")

    def check(self) -> str:
        """SQLite's own verdict on the file: `ok`, or what is wrong."""
        with self._reading() as connection:
            return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])

    def meta(self, key: str) -> str | None:
        with self._reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def set_meta(self, key: str, value: str) -> None:
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _code(error: sqlite3.DatabaseError) -> int:
    """The primary code, which is the low byte, whatever the extended one adds."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _size(path: Path) -> int:
    """A file's bytes; 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
