"""Files on their way into the corpus: written aside, safe on disk, and out of the indexer's sight.

Each upload has a hidden folder in its collection's folder, so that moving a file into place is one step of the file
system. A lock in it is held for as long as its process lives; a folder whose lock is free is a dead one's.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from index.errors import CitedQAError, DiskError, DiskFullError

_PREFIX = ".qa-upload-"
_LOCK = ".lock"


class Staging:
    """A folder for the files of one upload; what is left in it goes with `close`.

    Make and `sweep` them under a lock that all processes share: a folder without its lock looks abandoned.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / f"{_PREFIX}{secrets.token_hex(8)}"
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


def sweep(roots: Iterable[Path]) -> None:
    """Remove what processes that are gone left of their uploads."""
    for root in roots:
        for folder in root.glob(f"{_PREFIX}*"):
            lock = FileLock(folder / _LOCK, timeout=0, thread_local=False)
            try:
                lock.acquire()
            except (Timeout, OSError):
                continue  # in use, or not ours to remove
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()


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


def disk_error(error: OSError, place: Path) -> CitedQAError:
    """What an error of the system means."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFullError(f"{place}: {error.strerror}; make room on the disk and send it again")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return DiskError(f"{place}: {error.strerror}; let the server's user write there and send it again")
    return DiskError(f"{place}: {error.strerror or error}; look at the disk and send it again")
