"""An index in a folder: opened for reading, or held for writing and what is derived brought up to date."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from index.dedup.clusters import Clusters
from index.errors import IndexBusyError, IndexDamagedError, IndexMismatchError, IndexMissingError, IndexUnusableError
from index.store import Settings, vectors
from index.store.database import FORMAT, Database
from index.store.lexical import LexicalPair, folders_of
from index.store.local import CLUSTERS, VECTORS, LocalStore, current_folder
from index.store.terms import CutArticles, cut_here
from index.store.vectors import Stamp
from index.text.segmenter import Segmenter
from index.types import Progress

# Rewriting the vector checkpoint costs what the corpus costs, so it waits until this share of it has changed, or as
# many vectors as a new reader can replay, and a search look through beside it, without being felt.
_CHECKPOINT_SHARE = 0.1
_CHECKPOINT_VECTORS = 20_000

logger = logging.getLogger(__name__)


class LocalWriter:
    """The one process that changes an index. Use `writing`."""

    def __init__(self, folder: Path, database: Database, settings: Settings) -> None:
        self.folder = folder
        self.database = database
        self._settings = settings

    def finish(self, cut: CutArticles | None = None, progress: Progress | None = None) -> LocalStore:
        """Bring what is derived up to date, with words from `cut`, and let readers see the result."""
        self.database.set_meta("complete", "1")
        published = int((self.database.meta("published") or "0").partition(" ")[0])
        segmenter = self._settings.segmenter
        store = _derived(self.folder, self.database, segmenter, cut, progress)
        self.database.set_meta("settings", json.dumps(_stored(self._settings)))
        for old in {*self.folder.glob("passages-*"), *self.folder.glob("articles-*")}.difference(
            folders_of(self.folder, segmenter)
        ):
            shutil.rmtree(old, ignore_errors=True)
        self.database.purge(published)
        self.database.checkpoint()
        return store


@dataclass(frozen=True, slots=True)
class LocalLocation:
    """An index in a folder; see `index.store.IndexLocation`."""

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
    damage: IndexDamagedError | None = None
    try:
        store = LocalStore(folder, settings.segmenter)
        if store.generation == database.generation:
            return store
    except IndexDamagedError as exc:
        damage = exc
    try:
        with _lock(data_dir):
            return _derived(folder, database, settings.segmenter)
    except (IndexBusyError, IndexUnusableError):
        if damage is not None:
            raise damage from None
        return store  # someone is writing, or the disk is full or read-only: read what was published last


def _derived(
    folder: Path,
    database: Database,
    segmenter: Segmenter,
    cut: CutArticles | None = None,
    progress: Progress | None = None,
) -> LocalStore:
    """The newest generation, with all that is derived from it brought up to date; the caller holds the lock.

    Raises:
        IndexUnusableError: the files can't be written.
    """
    try:
        _derive(folder, database, segmenter, cut or cut_here(segmenter), progress or (lambda *_: None))
        return LocalStore(folder, segmenter)
    except (OSError, RuntimeError, ValueError) as exc:  # what Python, FAISS and tantivy raise when a disk is full
        reason = " ".join(str(exc).split())
        raise IndexUnusableError(
            f"{folder}: can't be brought up to date ({reason}); look at the disk's space and permissions, then run:"
            " qa index"
        ) from exc


def _derive(folder: Path, database: Database, segmenter: Segmenter, cut: CutArticles, progress: Progress) -> None:
    """Bring words, clusters and vectors to the newest generation of the database, and publish it."""
    target, published = database.generation, database.meta("published")
    words = LexicalPair.to_change(folder, segmenter, target)
    if published:
        # Readers have the generation of the words; what else they find may be behind it and never ahead.
        words.update(database, target, cut, progress)
        _update_clusters(folder, database, target)
        _update_vectors(folder, database, target)
    else:
        # Nobody reads yet, so that the three may come in any order; each of them alone leaves cores idle.
        with ThreadPoolExecutor(2) as beside:
            others = [beside.submit(update, folder, database, target) for update in (_update_vectors, _update_clusters)]
            words.update(database, target, cut, progress)
        for other in others:
            other.result()
    if published != f"{target} {segmenter.fingerprint}":
        database.set_meta("published", f"{target} {segmenter.fingerprint}")


def _update_clusters(folder: Path, database: Database, target: int) -> None:
    path = folder / CLUSTERS
    try:
        clusters = Clusters(path)
        if clusters.generation > target:
            raise ValueError(f"{path}: is ahead of the database")
    except ValueError as exc:
        if path.exists():
            logger.warning("%s; comparing the passages again", exc)
        clusters = Clusters.reset(path)
    if (since := clusters.generation) < target:
        removed, added = database.removed_since("passages", since), database.passage_rows_since(since)
        clusters.update(removed, added, database.visible, target)


def _update_vectors(folder: Path, database: Database, target: int) -> None:
    """Write the checkpoint again when enough has changed since, or when it can't be read."""
    path, dim = folder / VECTORS, int(database.meta("dim") or 0)
    stamp = Stamp.read(path)
    changed = database.changed_vectors(stamp.generation) if stamp.generation < target else 0
    is_readable = stamp.generation <= target and vectors.is_whole(path, dim)
    if is_readable and changed <= min(_CHECKPOINT_SHARE * stamp.vectors, _CHECKPOINT_VECTORS):
        return
    if is_readable and stamp.fits(stamp.vectors + changed):
        removed = database.removed_since("passages", stamp.generation)
        vectors.extend(path, target, removed, database.vectors_since(stamp.generation))
    else:
        vectors.write(path, dim, target, lambda: database.vectors_since(0), about=database.changed_vectors(0))


def _stored(settings: Settings) -> dict[str, str | int]:
    """Settings as the database keeps them."""
    return {"encoder": settings.encoder, "segmenter": settings.segmenter.fingerprint, "format": FORMAT}


def _check_settings(database: Database, settings: Settings, *, may_write: bool) -> None:
    """Raise IndexMismatchError when the index was made with other settings that a sync can't change."""
    made_with = json.loads(database.meta("settings") or "{}")
    for key, wanted in _stored(settings).items():
        is_derived = key == "segmenter"
        if made_with.get(key) == wanted or (is_derived and may_write):
            continue
        raise IndexMismatchError(
            f"{database.path.parent}: the index was made with {key} {made_with.get(key)!r}, but {wanted!r} is in use; "
            f"run: qa index{'' if is_derived else ' --rebuild'}"
        )


@contextmanager
def writing(
    data_dir: Path, settings: Settings, dim: Callable[[], int], *, rebuild: bool = False
) -> Iterator[LocalWriter]:
    """Hold the writer's lock on an index, made here where there is none; see `index.store.IndexLocation`."""
    with _lock(data_dir):
        folder = replaced = current_folder(data_dir)
        is_new = rebuild or folder is None or not (folder / "index.sqlite").exists()
        if is_new or folder is None:
            folder = data_dir / f"index-{secrets.token_hex(4)}"
            with _unwritable(folder):
                folder.mkdir(parents=True)
        database = Database(folder / "index.sqlite")
        if is_new:
            database.create()
            database.set_meta("settings", json.dumps(_stored(settings)))
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
    with _unwritable(data_dir):
        fresh.write_text(folder.name)
        os.replace(fresh, data_dir / "current")


@contextmanager
def _unwritable(path: Path) -> Iterator[None]:
    """Say of what could not be written what to do."""
    try:
        yield
    except Timeout:  # of a lock, which to Python is an OSError
        raise
    except OSError as exc:
        raise IndexUnusableError(
            f"{path}: can't be written ({exc.strerror or exc}); look at the disk's space and permissions"
        ) from exc


@contextmanager
def _lock(data_dir: Path) -> Iterator[None]:
    lock = FileLock(data_dir / "write.lock", timeout=0)
    try:
        with _unwritable(data_dir):
            data_dir.mkdir(parents=True, exist_ok=True)
            lock.acquire()
    except Timeout as exc:
        raise IndexBusyError(f"{data_dir}: another process is writing this index; try again when it is done") from exc
    try:
        yield
    finally:
        lock.release()
