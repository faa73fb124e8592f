"""Changes to the corpus that are asked for while a server runs: files come and go at once, the index follows as a job.

    data_dir/changes.lock       held while files move, by one process at a time

Until a job is entered nothing has happened; from then on a crash is made good by `recover`. What was acknowledged is
on disk.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import BinaryIO

from filelock import FileLock, Timeout

from index.errors import (
    CitedQAError,
    ConflictError,
    DiskError,
    DocumentNotFoundError,
    IndexDamagedError,
    NotUploadedError,
    QueryError,
)
from index.indexing.folders import check_folders
from index.parsing.formats import check_suffix
from index.types import DocumentInfo
from qa.configuration.config import Config
from qa.editing.corpus import Corpus, check_name, identity, perform, taken
from qa.editing.jobs import Job, Jobs, Kind, Step
from qa.editing.staging import Staging, disk_errors, settle, sweep, sweep_restores, sync_folder
from qa.editing.trash import Trash, TrashedFile, copy_file
from qa.errors import disk_error

logger = logging.getLogger(__name__)

# Moving files takes milliseconds; longer means that a disk hangs.
_LOCK_TIMEOUT_S = 30.0
# How often what is kept too long or too much is let go, when there is more of it and when there may be older.
_PRUNE_EVERY_S, _LOOK_EVERY_S = 60.0, 3600.0


class CorpusEditor:
    """Takes uploads, deletions and requests to index; from many threads and processes over one data folder."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.corpus = Corpus(config)
        self.data_dir = config.index_dir
        self.jobs = Jobs(config.index_dir)
        self.trash = Trash(config.index_dir, config.trash)
        self.news = Event()
        """Set when there is a new job."""
        self._pruned_at, self._has_kept = time.monotonic(), False

    def start(self) -> None:
        """Make good what a crash left behind. What can't be done is logged: the server answers all the same."""
        try:
            with self._lock():
                self._set_aside_damaged()
                self._recover()
                sweep(self.corpus.roots.values())
                sweep_restores(self._config)
                with disk_errors(self.trash.folder):
                    self.trash.prune()
        except CitedQAError as exc:
            logger.warning("uploads and deletions that were cut short are left as they are: %s", exc)

    def recover(self) -> None:
        """Finish what a process that is gone had begun to move; now and then, let go what was kept long enough."""
        if self.jobs.exists and self.jobs.unplaced():
            with self._lock():
                self._recover()
        if time.monotonic() - self._pruned_at > (_PRUNE_EVERY_S if self._has_kept else _LOOK_EVERY_S):
            self._pruned_at, self._has_kept = time.monotonic(), False
            with self._lock(), disk_errors(self.trash.folder):
                self.trash.prune()

    def upload(self, *, anything: bool = True) -> Upload:
        """Begin an upload; use it as a context manager. Unless `anything` may, only what was uploaded is replaced."""
        return Upload(self, anything)

    def delete(self, info: DocumentInfo, *, anything: bool = True) -> Job:
        """Move a document's file to the trash, and have it taken out of the index. A file that is gone stays gone.

        Raises:
            ConflictError: it can't be removed by itself.
            NotUploadedError: it was not uploaded, and not `anything` may be deleted.
            DiskError: it can't be removed.
        """
        path = self.corpus.file_of(info)
        return self.commit("delete", [Step(str(path), identity=identity(path))], anything=anything)

    def trashed(self) -> list[tuple[TrashedFile, Path]]:
        """What can be brought back, the newest first, and where to; a collection that is no more has no folder."""
        return [
            (entry, self.corpus.roots.get(entry.collection, Path(entry.collection)) / entry.path)
            for entry in self.trash.files()
        ]

    def undelete(self, wanted: str, *, force: bool = False) -> Job:
        """Bring back what is kept under an id, or the newest under a path, and have it indexed.

        Raises:
            DocumentNotFoundError: nothing is kept under that name.
            ConflictError: another file has come to its place, and `force` is off.
            QueryError, ConfigError: its collection is no more, or its folder is not there.
        """
        names = {wanted, str(Path(wanted).absolute())}
        entries = ((e, file) for e, file in self.trashed() if names & {e.id, self.corpus.shown(file), str(file)})
        entry, target = next(entries, (None, Path()))
        if entry is None:
            raise _not_kept(wanted)
        root = self.corpus.root(entry.collection)
        if target.parent.resolve() != target.parent or not target.is_relative_to(root):
            raise ConflictError(f"{wanted}: a folder above it has become a link; copy {self.trash.folder / entry.id}")
        staging = self.stage(root)
        try:
            staged = staging.path()
            with disk_errors(target):
                try:
                    copy_file(self.trash.folder / entry.id, staged)
                except FileNotFoundError as exc:  # another process was first
                    raise _not_kept(wanted) from exc
            job = self.commit("undelete", [Step(str(target), str(staged), force, sha256=entry.sha256)])
            with self._lock(), disk_errors(self.trash.folder):
                self.trash.drop(entry)
        finally:
            staging.close()
        return job

    def index(self, *, rebuild: bool = False, allow_empty: bool = False) -> Job:
        """Have the whole corpus synced; see `index.indexing.build.sync`.

        Raises:
            EmptyCorpusError: a folder is empty, or another, and its documents would leave the index.
        """
        if not allow_empty:
            check_folders(self.corpus.roots, self.data_dir)
        return self.commit("index", [], rebuild=rebuild, allow_empty=allow_empty)

    def commit(
        self,
        kind: Kind,
        steps: Sequence[Step],
        *,
        rebuild: bool = False,
        allow_empty: bool = False,
        anything: bool = True,
    ) -> Job:
        """Move files and enter a job; all of it, or nothing when an error is raised. What goes is kept before."""
        targets = [Path(step.target) for step in steps]
        paths = [self.corpus.shown(target) for target in targets]
        with self._lock(), ExitStack() as undo:
            self._recover()
            steps = [self._checked(step, kind, anything) for step in steps]
            with disk_errors(self.trash.folder):
                for step in steps:
                    self._keep(step, undo)
            job = self.jobs.add(kind, paths, steps, rebuild=rebuild, allow_empty=allow_empty)
            undo.callback(self._discard, job)
            with disk_errors(targets[0].parent if targets else self.data_dir):
                perform(steps)
            undo.pop_all()
            self._place(job)
        self.news.set()
        return job

    def _checked(self, step: Step, kind: Kind, anything: bool) -> Step:
        """A step that may be done; what it takes away or replaces is what is there now."""
        target = Path(step.target)
        present = identity(target)
        if not present:
            return step
        if step.staged and (target.is_dir() or not step.replaces):
            raise taken(target, *(["add --force to replace it"] if kind == "undelete" else []))
        if not anything and not self._uploaded(target):
            raise NotUploadedError(
                f"{self.corpus.shown(target)}: was not uploaded, and without API keys only what was can be deleted or"
                " replaced over HTTP; change it by hand, or set server.api_keys and send an administrator's"
            )
        return replace(step, identity=present) if step.staged else step

    def _uploaded(self, file: Path) -> str:
        """The SHA-256 of a file that is still as it was uploaded; empty for any other."""
        sha256 = self.jobs.uploaded(self.corpus.id_of(file) or "")
        if not sha256 or file.is_symlink() or not file.is_file():
            return ""
        with disk_errors(file), file.open("rb") as content:
            return sha256 if hashlib.file_digest(content, "sha256").hexdigest() == sha256 else ""

    def _keep(self, step: Step, undo: ExitStack) -> None:
        """Put what a step takes away or replaces into the trash."""
        target = Path(step.target)
        place = self.corpus.place_of(target)
        if place and step.identity and identity(target) == step.identity:
            entry = self.trash.keep(target, *place, "replaced" if step.staged else "deleted", self._uploaded(target))
            if entry:
                self._has_kept = True
                undo.callback(self.trash.drop, entry)

    def _place(self, job: Job) -> None:
        files = {self.corpus.id_of(Path(step.target)): step.sha256 for step in job.steps}
        self.jobs.place(job.id, {file: sha256 for file, sha256 in files.items() if file})

    def _discard(self, job: Job) -> None:
        with suppress(CitedQAError):
            self.jobs.discard(job.id)

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
                self._place(job)

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


def _not_kept(wanted: str) -> DocumentNotFoundError:
    return DocumentNotFoundError(f"{wanted}: nothing is kept under this id or path; see: qa undelete")


class Upload:
    """The files of one request, written aside as they come, put in place by `commit`."""

    def __init__(self, editor: CorpusEditor, anything: bool) -> None:
        self._editor = editor
        self._anything = anything
        self._staging: Staging | None = None
        self._file: BinaryIO | None = None
        self._files: list[tuple[Path, str, hashlib._Hash]] = []
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
        self._files.append((self._path, checked, hashlib.sha256()))

    def write(self, data: bytes) -> None:
        """More of the file that was begun last."""
        assert self._file is not None
        with disk_errors(self._path):
            self._file.write(data)
        self._files[-1][2].update(data)

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
            NotUploadedError: it would be replaced, was not uploaded, and not `anything` may be.
            QueryError: there are no files.
            DiskError: they can't be put there.
        """
        if not self._staging:
            raise QueryError("file: is missing; send at least one part with this name and a filename")
        with disk_errors(self._staging.folder):
            sync_folder(self._staging.folder)
            sync_folder(self._staging.folder.parent)
        return self._editor.commit("upload", self._steps(self._staging.folder), anything=self._anything)

    def _steps(self, staging: Path) -> list[Step]:
        corpus = self._editor.corpus
        root = corpus.root(self.collection)
        if root.stat().st_dev != staging.stat().st_dev:
            raise QueryError("collection: is on another disk than the first one; send this field before the files")
        steps = [
            Step(str(corpus.place(root, self.folder, name)), str(staged), self.replace, sha256=digest.hexdigest())
            for staged, name, digest in self._files
        ]
        if len({step.target for step in steps}) < len(steps):
            raise QueryError("file: two parts have the same filename; send each name once")
        return steps
