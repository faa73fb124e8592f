"""Changes to the corpus that were asked for, and what became of them: a table that all server processes share.

    data_dir/jobs.sqlite        what is to be done, the last that was, and what of the corpus was uploaded

A job is entered before the first file moves and acknowledged after the last did, so a crash between the two leaves
what is needed to finish the moves.
"""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from index.errors import CitedQAError, DiskError, DiskFullError, IndexDamagedError, JobNotFoundError
from index.sqlite import SqliteFile

FILE = "jobs.sqlite"
Kind = Literal["upload", "delete", "undelete", "index"]
Status = Literal["queued", "running", "done", "failed"]
# So many finished jobs are kept, so that whoever asked for one can still see what became of it.
_KEPT = 1000
_COLUMNS = (
    "id, kind, status, progress, message, paths, document_ids, skipped, created_at, finished_at, generation, rebuild,"
    " steps, allow_empty"
)


@dataclass(frozen=True, slots=True)
class Step:
    """One file to put in place, from `staged`; or to take away, where that is None.

    `replaces` allows for a file that is there already. `identity` is inode, size and time stamp (ns) of a file to be
    taken away or replaced: another one that has come to its place since stays. `sha256` is that of what was uploaded.
    """

    target: str
    staged: str | None = None
    replaces: bool = False
    identity: tuple[int, int, int] | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that could not be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended."""

    status: Status
    message: str
    document_ids: Sequence[str] = ()
    skipped: Sequence[Refusal] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One change. `paths` are as users see them; times are ISO 8601, UTC."""

    id: str
    kind: Kind
    status: Status
    progress: float
    message: str
    paths: tuple[str, ...]
    document_ids: tuple[str, ...]
    skipped: tuple[Refusal, ...]
    created_at: str
    finished_at: str | None
    generation: int | None
    rebuild: bool
    steps: tuple[Step, ...]
    allow_empty: bool = False


class Jobs(SqliteFile):
    """The table of jobs. Made when the first job is entered.

    Raises:
        DiskError, IndexBusyError, IndexDamagedError: from any method, when SQLite can't go on.
    """

    # What was acknowledged survives a power cut too.
    synchronous = "FULL"
    schema = (
        SqliteFile.schema
        + """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, status TEXT NOT NULL,
    progress REAL NOT NULL, message TEXT NOT NULL, paths TEXT NOT NULL, document_ids TEXT NOT NULL,
    skipped TEXT NOT NULL, created_at TEXT NOT NULL, finished_at TEXT, generation INTEGER, rebuild INTEGER NOT NULL,
    steps TEXT NOT NULL, placed INTEGER NOT NULL, allow_empty INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS jobs_status ON jobs (status);
CREATE TABLE IF NOT EXISTS uploads (file TEXT PRIMARY KEY, sha256 TEXT NOT NULL) WITHOUT ROWID;
"""
    )

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir / FILE)
        self._has_table = False

    @property
    def exists(self) -> bool:
        """Whether a job has ever been entered; a crash or a full disk may leave a file without a table."""
        if not self._has_table and self.path.exists():
            with self._reading() as connection:
                table = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'jobs'").fetchone()
            self._has_table = bool(table)
            if table and "allow_empty" not in table[0]:
                self._widen()
        return self._has_table

    def _widen(self) -> None:
        """Give a table of before 2026-12 the column that it lacks."""
        with suppress(DiskError, DiskFullError), self._writing() as connection:
            columns = {row[1] for row in connection.execute("PRAGMA table_info(jobs)")}
            if "allow_empty" not in columns:  # another process may have been first
                connection.execute("ALTER TABLE jobs ADD COLUMN allow_empty INTEGER NOT NULL DEFAULT 0")

    def add(
        self,
        kind: Kind,
        paths: Sequence[str],
        steps: Sequence[Step],
        *,
        rebuild: bool = False,
        allow_empty: bool = False,
    ) -> Job:
        """Enter a job whose files have not been moved yet: `place` it when they have been."""
        self.create()
        job = Job(
            id=uuid.uuid4().hex,
            kind=kind,
            status="queued",
            progress=0.0,
            message="",
            paths=tuple(paths),
            document_ids=(),
            skipped=(),
            created_at=_now(),
            finished_at=None,
            generation=None,
            rebuild=rebuild,
            steps=tuple(steps),
            allow_empty=allow_empty,
        )
        row = _row(job)
        with self._writing() as connection:
            connection.execute(f"INSERT INTO jobs ({_COLUMNS}, placed) VALUES ({', '.join('?' * len(row))}, 0)", row)
        return job

    def place(self, job_id: str, uploads: Mapping[str, str] = MappingProxyType({})) -> None:
        """Note that a job's files have been moved; from now on it is one.

        `uploads` has the SHA-256 of what was uploaded, by the file's id; empty for a file that is gone.
        """
        with self._writing() as connection:
            connection.execute("UPDATE jobs SET placed = 1 WHERE id = ?", (job_id,))
            connection.executemany("INSERT OR REPLACE INTO uploads VALUES (?, ?)", uploads.items())
            connection.execute("DELETE FROM uploads WHERE sha256 = ''")

    def uploaded(self, file_id: str) -> str:
        """The SHA-256 of what was uploaded as this file; empty where nothing was."""
        self.create()
        with self._reading() as connection:
            row = connection.execute("SELECT sha256 FROM uploads WHERE file = ?", (file_id,)).fetchone()
        return row[0] if row else ""

    def discard(self, job_id: str) -> None:
        """Forget a job whose files could not be moved."""
        with self._writing() as connection:
            connection.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def unplaced(self) -> list[Job]:
        """Jobs whose files have not all been moved, the oldest first."""
        return self._select("WHERE NOT placed ORDER BY number")

    def is_any_left(self) -> bool:
        """Whether there is something to do, or being done."""
        return self.exists and bool(self._select("WHERE status IN ('queued', 'running') LIMIT 1"))

    def count_left(self) -> int:
        """How many jobs are not finished."""
        with self._reading() as connection:
            left = connection.execute("SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')").fetchone()
        return int(left[0])

    def claim(self) -> list[Job]:
        """Take all that is to be done, the oldest first; what is `running` was left by a process that is gone.

        The caller holds the lock that says that no other process runs jobs.
        """
        with self._writing() as connection:
            connection.execute(
                "UPDATE jobs SET status = 'running', progress = 0, message = '' WHERE placed AND status IN"
                " ('queued', 'running')"
            )
        return self._select("WHERE status = 'running' ORDER BY number")

    def advance(self, jobs: Iterable[Job], progress: float, message: str) -> None:
        """Note how far running jobs are."""
        self._update(jobs, "progress = ?, message = ?", (progress, message))

    def put_back(self, jobs: Iterable[Job], message: str) -> None:
        """Leave jobs to be done later."""
        self._update(jobs, "status = 'queued', progress = 0, message = ?", (message,))

    def finish(self, outcomes: Iterable[tuple[Job, JobResult]], generation: int | None) -> None:
        """Note how jobs ended, and forget the oldest that ended long ago."""
        with self._writing() as connection:
            connection.executemany(
                "UPDATE jobs SET status = ?, progress = 1, message = ?, document_ids = ?, skipped = ?, finished_at = ?,"
                " generation = ? WHERE id = ?",
                (
                    (
                        end.status,
                        end.message,
                        json.dumps(end.document_ids),
                        json.dumps([asdict(refusal) for refusal in end.skipped]),
                        _now(),
                        generation,
                        job.id,
                    )
                    for job, end in outcomes
                ),
            )
            connection.execute(
                "DELETE FROM jobs WHERE number <= (SELECT number FROM jobs WHERE finished_at IS NOT NULL ORDER BY"
                " number DESC LIMIT 1 OFFSET ?) AND finished_at IS NOT NULL",
                (_KEPT,),
            )

    def job(self, job_id: str) -> Job:
        """The job of this id; raises JobNotFoundError."""
        jobs = self._select("WHERE id = ? AND placed", (job_id,)) if self.exists else []
        if not jobs:
            raise JobNotFoundError(f"no job has the id {job_id!r}; list them with GET /v1/jobs")
        return jobs[0]

    def newest(self, limit: int, before: str = "") -> list[Job]:
        """Jobs, the newest first, those before the job of the id `before`."""
        if not self.exists:
            return []
        older = "number < (SELECT number FROM jobs WHERE id = ?)" if before else "? = ''"
        return self._select(f"WHERE placed AND {older} ORDER BY number DESC LIMIT ?", (before, limit))

    def set_aside(self) -> Path:
        """Put a damaged file away, so that a new one can be made; where it is now."""
        self._has_table = False
        aside = self.path.with_name(f"{FILE}.damaged")
        self.close()
        for suffix in ("-wal", "-shm"):
            self.path.with_name(FILE + suffix).unlink(missing_ok=True)
        os.replace(self.path, aside)
        return aside

    def _select(self, clauses: str, values: Sequence[object] = ()) -> list[Job]:
        with self._reading() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM jobs {clauses}", values).fetchall()
        return [_job(row) for row in rows]

    def _update(self, jobs: Iterable[Job], assignments: str, values: Sequence[object]) -> None:
        with self._writing() as connection:
            connection.executemany(
                f"UPDATE jobs SET {assignments} WHERE id = ? AND status = 'running'",
                ((*values, job.id) for job in jobs),
            )

    def _meaning(self, error: sqlite3.DatabaseError) -> CitedQAError:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return DiskFullError(f"{self.path}: {error}; make room on the disk")
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
            return DiskError(f"{self.path}: {error}; look at the disk's space and permissions")
        meaning = super()._meaning(error)
        if isinstance(meaning, IndexDamagedError):
            return IndexDamagedError(f"{self.path}: {error}; restart the server, which sets it aside")
        return meaning


def _row(job: Job) -> tuple[object, ...]:
    """A job in the order of the columns."""
    stored = asdict(job)
    lists = {name: json.dumps(stored[name]) for name in ("paths", "document_ids", "skipped", "steps")}
    return tuple({**stored, **lists}[name.strip()] for name in _COLUMNS.split(","))


def _job(row: tuple[Any, ...]) -> Job:
    *first, paths, ids, skipped, created_at, finished_at, generation, rebuild, steps, allow_empty = row
    return Job(
        *first,
        paths=tuple(json.loads(paths)),
        document_ids=tuple(json.loads(ids)),
        skipped=tuple(Refusal(**refusal) for refusal in json.loads(skipped)),
        created_at=created_at,
        finished_at=finished_at,
        generation=generation,
        rebuild=bool(rebuild),
        steps=tuple(_step(step) for step in json.loads(steps)),
        allow_empty=bool(allow_empty),
    )  # type: ignore[misc]


def _step(stored: dict[str, Any]) -> Step:
    return Step(**{**stored, "identity": tuple(stored["identity"]) if stored["identity"] else None})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
