"""Open the index of a folder for reading, or hold it for writing."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from index.errors import IndexBusyError, IndexDamagedError, IndexMismatchError, IndexMissingError, IndexUnusableError
from index.indexing.workers import Workers
from index.store.database import Database
from index.store.local import LocalStore, Settings, current_folder
from index.text.segmenter import Segmenter
from index.types import Progress

logger = logging.getLogger(__name__)


class LocalWriter:
    """The one process that changes an index. Use `writing`."""

    def __init__(self, folder: Path, database: Database, settings: Settings) -> None:
        self.folder = folder
        self.database = database
        self._settings = settings

    def finish(self, workers: Workers | None = None, progress: Progress | None = None) -> LocalStore:
        """Bring the derived indexes up to date, with the help of `workers`, and let readers see the result."""
        self.database.set_meta("complete", "1")
        published = int((self.database.meta("published") or "0").partition(" ")[0])
        store = _derived(self.folder, self.database, self._settings.segmenter, workers, progress)
        self.database.set_meta("settings", json.dumps(self._settings.stored()))
        for old in [*self.folder.glob("passages-*"), *self.folder.glob("articles-*")]:
            if not old.name.endswith(f"-{self._settings.segmenter.fingerprint}"):
                shutil.rmtree(old, ignore_errors=True)
        self.database.purge(published)
        self.database.checkpoint()
        return store


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """An index in a folder; see `index.store.Place`."""

    data_dir: Path

    def open(self, settings: Settings) -> LocalStore:
        return open_store(self.data_dir, settings)

    @contextmanager
    def writing(self, settings: Settings, dim: Callable[[], int], *, rebuild: bool = False) -> Iterator[LocalWriter]:
        with writing(self.data_dir, settings, dim, rebuild=rebuild) as writer:
            yield writer


def open_store(data_dir: Path, settings: Settings) -> LocalStore:
    """Open the index for reading; what a crash left behind is brought up to date first.

    Raises:
        IndexMissingError, IndexMismatchError, IndexDamagedError: with the command to run.
    """
    folder = current_folder(data_dir)
    database = Database(folder / "index.sqlite") if folder else None
    if folder is None or database is None or not database.path.exists() or not database.meta("complete"):
        raise IndexMissingError(f"{data_dir}: there is no index here; run: qa index")
    _check_settings(database, settings, may_write=False)
    try:
        store = LocalStore(folder, database, settings.segmenter, may_write=False)
        if store.generation == database.generation:
            return store
    except IndexDamagedError as exc:
        damage: IndexDamagedError | None = exc
    else:
        damage = None
    try:
        with _lock(data_dir):
            return _derived(folder, database, settings.segmenter)
    except (IndexBusyError, IndexUnusableError, OSError):
        if damage is not None:
            raise damage from None
        return store  # someone is writing, or the disk is full or read-only: read what was published last


def _derived(
    folder: Path,
    database: Database,
    segmenter: Segmenter,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> LocalStore:
    """The newest generation, with all that is derived from it brought up to date; the caller holds the lock.

    Raises:
        IndexUnusableError: the files can't be written.
    """
    try:
        return LocalStore(folder, database, segmenter, may_write=True, workers=workers, progress=progress)
    except (OSError, RuntimeError, ValueError) as exc:  # what Python, FAISS and tantivy raise when a disk is full
        reason = " ".join(str(exc).split())
        raise IndexUnusableError(
            f"{folder}: can't be brought up to date ({reason}); look at the disk's space and permissions, then run:"
            " qa index"
        ) from exc


def _check_settings(database: Database, settings: Settings, *, may_write: bool) -> None:
    """Raise IndexMismatchError when the index was made with other settings that a sync can't change."""
    made = json.loads(database.meta("settings") or "{}")
    for key, wanted in settings.stored().items():
        is_derived = key == "segmenter"
        if made.get(key) == wanted or (is_derived and may_write):
            continue
        raise IndexMismatchError(
            f"{database.path.parent}: the index was made with {key} {made.get(key)!r}, but {wanted!r} is in use; "
            f"run: qa index{'' if is_derived else ' --rebuild'}"
        )


@contextmanager
def writing(
    data_dir: Path, settings: Settings, dim: Callable[[], int], *, rebuild: bool = False
) -> Iterator[LocalWriter]:
    """Hold the writer's lock on an index, made here where there is none.

    `dim` gives the length of a vector, which may load a model; only a new index asks for it. A rebuild
    becomes current only when the block ends without an error.

    Raises:
        IndexBusyError: another process is writing.
        IndexMismatchError: the index was made with other settings and `rebuild` is off.
    """
    with _lock(data_dir):
        folder = replaced = current_folder(data_dir)
        is_new = rebuild or folder is None or not (folder / "index.sqlite").exists()
        if is_new or folder is None:
            folder = data_dir / f"index-{secrets.token_hex(4)}"
            folder.mkdir(parents=True)
        database = Database(folder / "index.sqlite")
        if is_new:
            database.create()
            database.set_meta("settings", json.dumps(settings.stored()))
            database.set_meta("dim", str(dim()))
        else:
            _check_settings(database, settings, may_write=True)
        if is_new and not rebuild:
            _make_current(data_dir, folder)  # so that an interrupted first run goes on where it stopped
        yield LocalWriter(folder, database, settings)
        if rebuild:
            _make_current(data_dir, folder)
        for old in data_dir.glob("index-*"):
            if old not in (folder, replaced):  # readers may still be in the one that was current until now
                shutil.rmtree(old, ignore_errors=True)


def _make_current(data_dir: Path, folder: Path) -> None:
    fresh = data_dir / "current.new"
    fresh.write_text(folder.name)
    os.replace(fresh, data_dir / "current")


@contextmanager
def _lock(data_dir: Path) -> Iterator[None]:
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(data_dir / "write.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as exc:
        raise IndexBusyError(f"{data_dir}: another process is writing this index; try again when it is done") from exc
    try:
        yield
    finally:
        lock.release()
