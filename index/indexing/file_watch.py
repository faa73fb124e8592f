"""Notice that something in the corpus has changed."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Event

from watchfiles import watch

logger = logging.getLogger(__name__)

# A change is told when nothing has followed it for the first of these times, or after the second.
_QUIET_MS = 200
_LONGEST_MS = 2000
# Between changes, folders that were removed, came back or were put in another's place are looked for this often.
_TICK_MS = 500


def changes(folders: Sequence[Path], is_relevant: Callable[[Path], bool], stop: Event) -> Iterator[None]:
    """Yield once at the start, and again after every relevant change under `folders`, until `stop` is set.

    What changes while the caller works is not missed. Folders that are not there, or go, are waited for.
    """
    is_polling: bool | None = None
    while not stop.is_set():
        present = _identities(folders)
        try:
            yield from _until_folders_change(folders, present, is_relevant, stop, is_polling)
        except FileNotFoundError:  # a folder went before it could be watched
            stop.wait(_TICK_MS / 1000)
        except OSError as exc:
            if is_polling:
                raise
            logger.warning("the system can't tell of changes (%s); looking for them instead", exc)
            is_polling = True


def _until_folders_change(
    folders: Sequence[Path],
    present: dict[Path, tuple[int, int]],
    is_relevant: Callable[[Path], bool],
    stop: Event,
    is_polling: bool | None,
) -> Iterator[None]:
    """Like `changes`; ends when other folders are there than those in `present`."""
    is_first = True
    for changed in _ticks(present, stop, is_polling):
        if stop.is_set() or (not is_first and _identities(folders) != present):
            return
        if is_first or any(is_relevant(path) for path in changed):
            is_first = False
            yield


def _ticks(folders: Iterable[Path], stop: Event, is_polling: bool | None) -> Iterator[list[Path]]:
    """The paths that changed, every so often; the first tick comes at once."""
    watched = list(folders)
    if not watched:
        yield []
        while not stop.wait(_TICK_MS / 1000):
            yield []
        return
    for events in watch(
        *watched,
        watch_filter=None,
        debounce=_LONGEST_MS,
        step=_QUIET_MS,
        stop_event=stop,
        rust_timeout=_TICK_MS,
        yield_on_timeout=True,
        force_polling=is_polling,
        ignore_permission_denied=True,
    ):
        yield [Path(path) for _, path in events]


def _identities(folders: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Which folders are there, and which folder each is: one that was put in another's place differs."""
    identities = {}
    for folder in folders:
        try:
            status = os.stat(folder)
        except OSError:
            continue
        identities[folder] = (status.st_dev, status.st_ino)
    return identities
