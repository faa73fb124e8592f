"""What was deleted or replaced over HTTP, kept for a while so that `qa undelete` can bring it back.

    data_dir/trash/ID           the file as it was
    data_dir/trash/ID.json      where it was, when and why it went; written last: a file without it counts for nothing

`CorpusEditor` calls all but `files` and `find` under the lock that it holds while files move. `qa backup` and `qa
bundle` leave the trash out.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from qa.configuration.settings import TrashConfig
from qa.editing.staging import settle, sync_folder

logger = logging.getLogger(__name__)

FOLDER = "trash"
# However small they are: each costs a look whenever the oldest are let go.
_MAX_FILES = 10_000
_ENTRY = ".json"


@dataclass(frozen=True, slots=True)
class TrashedFile:
    """A file that is kept. `path` is that in its collection's folder; `sha256` is set where it had been uploaded."""

    id: str
    collection: str
    path: str
    reason: Literal["deleted", "replaced"]
    trashed_at: str
    size: int
    sha256: str = ""


class Trash:
    """The files that are kept; the oldest go when they are older or larger together than configured.

    Raises:
        OSError: from any method, when the disk does not let it be done.
    """

    def __init__(self, data_dir: Path, options: TrashConfig) -> None:
        self.folder = data_dir / FOLDER
        self._longest = timedelta(days=options.max_days)
        self._max_bytes = options.max_mb << 20

    def keep(
        self, file: Path, collection: str, path: str, reason: Literal["deleted", "replaced"], sha256: str
    ) -> TrashedFile | None:
        """Keep a file beside where it is, safe on disk; None for one that is larger than all that may be kept."""
        size = file.lstat().st_size
        if not self._longest or size > self._max_bytes:
            logger.warning("%s: is not kept; it is larger than trash.max_mb, or trash.max_days is 0", file)
            return None
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        entry = TrashedFile(
            self._unused_id(), collection, path, reason, _now().isoformat(timespec="microseconds"), size, sha256
        )
        copy_file(file, self.folder / entry.id)
        fresh = self.folder / f"{entry.id}.new"
        with fresh.open("wb") as written:
            written.write(json.dumps(asdict(entry)).encode())
            settle(written)
        os.replace(fresh, self.folder / f"{entry.id}{_ENTRY}")
        sync_folder(self.folder)
        return entry

    def drop(self, entry: TrashedFile) -> None:
        """Keep a file no longer."""
        (self.folder / f"{entry.id}{_ENTRY}").unlink(missing_ok=True)
        (self.folder / entry.id).unlink(missing_ok=True)

    def files(self) -> list[TrashedFile]:
        """What is kept, the newest first."""
        return sorted(self._entries(), key=lambda entry: (entry.trashed_at, entry.id), reverse=True)

    def prune(self) -> None:
        """Let go what is too old or too much, the oldest first, and what a crash left half done."""
        kept, room = {self.folder / f"{entry.id}{_ENTRY}" for entry in self._entries()}, self._max_bytes
        for number, entry in enumerate(self.files()):
            room -= entry.size
            if number >= _MAX_FILES or room < 0 or _now() - datetime.fromisoformat(entry.trashed_at) > self._longest:
                self.drop(entry)
        for file in self.folder.glob("*"):
            is_whole = file in kept or file.with_name(f"{file.name}{_ENTRY}") in kept
            if not is_whole and file.suffix != _ENTRY:
                file.unlink(missing_ok=True)

    def _entries(self) -> Iterator[TrashedFile]:
        for file in self.folder.glob(f"*{_ENTRY}"):
            try:
                entry = TrashedFile(**json.loads(file.read_bytes()))
                datetime.fromisoformat(entry.trashed_at)
            except (OSError, ValueError, TypeError):
                continue
            if entry.id == file.stem and os.path.lexists(self.folder / entry.id):
                yield entry

    def _unused_id(self) -> str:
        return next(name for name in iter(lambda: secrets.token_hex(4), "") if not os.path.lexists(self.folder / name))


def copy_file(source: Path, target: Path) -> None:
    """A second name for a file, or a copy that is safe on disk where the file system gives none."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another disk, a file system without such names, a file of another user
        shutil.copy2(source, target, follow_symlinks=False)
        if not target.is_symlink():
            with target.open("rb+") as written:
                settle(written)
    sync_folder(target.parent)


def _now() -> datetime:
    return datetime.now(UTC)
