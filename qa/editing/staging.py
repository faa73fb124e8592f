"""Files on their way into the corpus: written aside, safe on disk, and out of the indexer's sight.

Each upload, and each restore, has hidden folders beside where its files go, so that moving one into place is one step
of the file system. A lock in each is held for as long as its process lives; where it is free, that process is gone.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from filelock import FileLock, Timeout

from qa.errors import disk_error

if TYPE_CHECKING:
    from qa.configuration.config import Config

UPLOAD, RESTORE = ".qa-upload-", ".cited-qa-restore-"
_LOCK = ".lock"
# A restore's folder that lacks its lock is about to get it, unless it is older.
_SETTLED_S = 60.0


class Staging:
    """A folder for files on their way; what is left in it goes with `close`."""

    def __init__(self, root: Path, prefix: str = UPLOAD) -> None:
        self.folder = root / f"{prefix}{secrets.token_hex(8)}"
        self.folder.mkdir(mode=0o700)
        self._lock = FileLock(self.folder / _LOCK, timeout=0, thread_local=False)
        self._lock.acquire()
        self._count = 0

    def path(self) -> Path:
        """A place for the next file."""
        self._count += 1
        return self.folder / str(self._count)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()


def sweep(roots: Iterable[Path], prefix: str = UPLOAD, settled_s: float = 0.0) -> None:
    """Remove what processes that are gone left of their uploads or restores.

    A folder that lacks its lock stays until it is `settled_s` old; 0 is for callers who let nobody make one meanwhile.
    """
    for root in roots:
        for folder in root.glob(f"{prefix}*/"):
            try:
                if not (folder / _LOCK).exists() and time.time() - folder.stat().st_mtime < settled_s:
                    continue
                with FileLock(folder / _LOCK, timeout=0, thread_local=False):
                    draft_beside(folder).unlink(missing_ok=True)
                    shutil.rmtree(folder, ignore_errors=True)
            except (Timeout, OSError):
                continue  # in use, or not ours to remove


def draft_beside(folder: Path) -> Path:
    """Where a restore that is at work in `folder` keeps the configuration for a place that has none yet."""
    return folder.with_name(f"{folder.name}.yaml")


def sweep_restores(config: Config) -> None:
    """Remove what restores that were killed left beside the corpus, the index and the configuration."""
    files = [file for file in (config.dictionary_file, config.synonyms_file) if file]
    ends = [config.base, config.index_dir, *config.corpus_folders.values(), *files]
    # A restore works in the nearest folder that is there: above those that it has yet to make.
    sweep({place for end in ends for place in (end, end.parent, *_within(end, config.base))}, RESTORE, _SETTLED_S)


def _within(end: Path, base: Path) -> Iterator[Path]:
    return (folder for folder in end.parents if folder.is_relative_to(base))


def settle(file: BinaryIO) -> None:
    """Close a file that was written when it is safe on disk."""
    with file:
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make what was put into a folder, or taken out of it, safe on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it that are missing; what was made, outermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    missing.reverse()
    for made in missing:
        made.mkdir()
        sync_folder(made.parent)
    return missing


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Say what the system says of a disk in our own words, naming `place`."""
    try:
        yield
    except OSError as exc:
        raise disk_error(exc, place) from exc
