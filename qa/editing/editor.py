"""Changes to the corpus that are asked for while a server runs: files come and go at once, the index follows as a job.

    data_dir/changes.lock       held while files move, by one process at a time

Until a job is entered nothing has happened; from then on a crash is made good by `recover`. What was acknowledged is
on disk.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import BinaryIO

from filelock import FileLock, Timeout

from index.errors import CitedQAError, ConflictError, DiskError, IndexDamagedError, QueryError
from index.indexing.folders import check_folders
from index.parsing.formats import check_suffix
from index.types import DocumentInfo
from qa.configuration.config import Config
from qa.editing.corpus import Corpus, check_name, identity, perform, taken
from qa.editing.jobs import Job, Jobs, Kind, Step
from qa.editing.staging import Staging, disk_error, disk_errors, settle, sweep, sync_folder

logger = logging.getLogger(__name__)

# Moving files takes milliseconds; longer means that a disk hangs.
_LOCK_TIMEOUT_S = 30.0


class CorpusEditor:
    """Takes uploads, deletions and requests to index; from many threads and processes over one data folder."""

    def __init__(self, config: Config) -> None:
        self.corpus = Corpus(config)
        self.data_dir = config.index_dir
        self.jobs = Jobs(config.index_dir)
        self.news = Event()
        """Set when there is a new job."""

    def start(self) -> None:
        """Make good what a crash left behind. What can't be done is logged: the server answers all the same."""
        try:
            with self._lock():
                self._set_aside_damaged()
                self._recover()
                sweep(self.corpus.roots.values())
        except CitedQAError as exc:
            logger.warning("uploads and deletions that were cut short are left as they are: %s", exc)

    def recover(self) -> None:
        """Finish what a process that is gone had begun to move."""
        if self.jobs.exists and self.jobs.unplaced():
            with self._lock():
                self._recover()

    def upload(self) -> Upload:
        """Begin an upload; use it as a context manager."""
        return Upload(self)

    def delete(self, info: DocumentInfo) -> Job:
        """Remove a document's file, and have it taken out of the index. A file that is gone already stays gone.

        Raises:
            ConflictError: it can't be removed by itself.
            DiskError: it can't be removed.
        """
        path = self.corpus.file_of(info)
        return self.commit("delete", [Step(str(path), identity=identity(path))])

    def index(self, *, rebuild: bool = False, allow_empty: bool = False) -> Job:
        """Have the whole corpus synced; see `index.indexing.build.sync`.

        Raises:
            EmptyCorpusError: a folder is empty, or another, and its documents would leave the index.
        """
        if not allow_empty:
            check_folders(self.corpus.roots, self.data_dir)
        return self.commit("index", [], rebuild=rebuild, allow_empty=allow_empty)

    def commit(self, kind: Kind, steps: Sequence[Step], *, rebuild: bool = False, allow_empty: bool = False) -> Job:
        """Move files and enter a job; all of it, or nothing when an error is raised."""
        targets = [Path(step.target) for step in steps]
        with self._lock():
            self._recover()
            for step, target in zip(steps, targets, strict=True):
                if step.staged and (target.is_dir() or not step.replaces) and identity(target):
                    raise taken(target)
            paths = [self.corpus.shown(target) for target in targets]
            job = self.jobs.add(kind, paths, steps, rebuild=rebuild, allow_empty=allow_empty)
            try:
                with disk_errors(targets[0].parent if targets else self.data_dir):
                    perform(steps)
            except BaseException:
                with suppress(CitedQAError):
                    self.jobs.discard(job.id)
                raise
            self.jobs.place(job.id)
        self.news.set()
        return job

    def stage(self, root: Path) -> Staging:
        """A folder for an upload into the collection at `root`."""
        with self._lock(), disk_errors(root):
            return Staging(root)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        lock = FileLock(self.data_dir / "changes.lock", timeout=_LOCK_TIMEOUT_S, thread_local=False)
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as exc:
            raise DiskError(f"{lock.lock_file}: another process does not let go of it; try again") from exc
        except OSError as exc:
            raise disk_error(exc, self.data_dir) from exc
        try:
            yield
        finally:
            lock.release()

    def _recover(self) -> None:
        for job in self.jobs.unplaced() if self.jobs.exists else ():
            try:
                perform(job.steps)
            except (OSError, ConflictError) as exc:
                logger.warning("%s of %s was cut short and is given up: %s", job.kind, ", ".join(job.paths), exc)
                self.jobs.discard(job.id)
            else:
                self.jobs.place(job.id)

    def _set_aside_damaged(self) -> None:
        """Start a new table where the old one can't be read; a sync of all finds what it held."""
        try:
            if not self.jobs.exists or self.jobs.check() == "ok":
                return
            problem = "is damaged"
        except IndexDamagedError as exc:
            problem = str(exc).partition(": ")[2]
        aside = self.jobs.set_aside()
        logger.warning("%s: %s; it is now %s, and the whole corpus is synced instead", self.jobs.path, problem, aside)
        self.jobs.place(self.jobs.add("index", [], []).id)


class Upload:
    """The files of one request, written aside as they come, put in place by `commit`."""

    def __init__(self, editor: CorpusEditor) -> None:
        self._editor = editor
        self._staging: Staging | None = None
        self._file: BinaryIO | None = None
        self._files: list[tuple[Path, str]] = []
        self.collection = ""
        self.folder = ""
        self.replace = False

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            with suppress(OSError):  # a full disk refuses what was not written yet
                self._file.close()
        if self._staging:
            self._staging.close()

    def begin(self, name: str) -> None:
        """The next file.

        Raises:
            QueryError, FileTypeError: the name is not acceptable, or of a type that is not read.
            ConfigError, DiskError: it can't be written.
        """
        checked = check_name(name)
        check_suffix(Path(checked))
        root = self._editor.corpus.root(self.collection)
        self._staging = self._staging or self._editor.stage(root)
        self._path = self._staging.path()
        with disk_errors(root):
            self._file = self._path.open("xb")
        self._files.append((self._path, checked))

    def write(self, data: bytes) -> None:
        """More of the file that was begun last."""
        assert self._file is not None
        with disk_errors(self._path):
            self._file.write(data)

    def end(self) -> None:
        """All of the file has been written."""
        assert self._file is not None
        with disk_errors(self._path):
            settle(self._file)
        self._file = None

    def commit(self) -> Job:
        """Put the files in place, all or none, and have them indexed.

        Raises:
            ConflictError: a file of such a name is there, and `replace` is off.
            QueryError: there are no files.
            DiskError: they can't be put there.
        """
        if not self._staging:
            raise QueryError("file: is missing; send at least one part with this name and a filename")
        with disk_errors(self._staging.folder):
            sync_folder(self._staging.folder)
            sync_folder(self._staging.folder.parent)
        return self._editor.commit("upload", self._steps(self._staging.folder))

    def _steps(self, staging: Path) -> list[Step]:
        corpus = self._editor.corpus
        root = corpus.root(self.collection)
        if root.stat().st_dev != staging.stat().st_dev:
            raise QueryError("collection: is on another disk than the first one; send this field before the files")
        steps = [
            Step(str(corpus.place(root, self.folder, name)), str(staged), self.replace) for staged, name in self._files
        ]
        if len({step.target for step in steps}) < len(steps):
            raise QueryError("file: two parts have the same filename; send each name once")
        return steps
