"""Keep the index in step with the corpus while it changes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from index.errors import CitedQAError, EmptyCorpusError
from index.indexing.file_watch import changes
from index.indexing.folders import check_folders
from index.indexing.report import SyncReport
from qa.engine import Engine
from qa.errors import StoppedError


def follow(engine: Engine, tell: Callable[[SyncReport], None], complain: Callable[[str], None]) -> None:
    """Sync now and after every change, until Ctrl-C or SIGTERM. Errors are told, and tried again at the next change.

    `tell` gets the report of the first sync and of each that did something; its `skipped` holds only what the
    last one's didn't.
    """
    corpus = engine.config.corpus_folders
    folders = [folder.resolve() for folder in corpus.values()]
    told: set[str] = set()
    is_first = True
    with _stopping() as stop:
        for _ in changes(folders, lambda path: _is_relevant(path, engine), stop):
            problems, report = _sync(engine, corpus, stop)
            for problem in problems:
                if problem not in told:
                    complain(problem)
            known, told = told, set(problems)
            if report is None:
                continue
            told |= {*report.skipped}
            report.skipped = [message for message in report.skipped if message not in known]
            if is_first or report.added or report.changed or report.moved or report.removed or report.skipped:
                tell(report)
            is_first = False


def _sync(engine: Engine, corpus: Mapping[str, Path], stop: Event) -> tuple[list[str], SyncReport | None]:
    """What is wrong, and the report of what could be done: a folder that is away keeps what was read from it."""

    def progress(path: str, done: float, total: int) -> None:
        if stop.is_set() and path:
            raise StoppedError

    away = {name: problem for name in corpus if (problem := _absence(name, corpus[name], engine))}
    present = [folder for name, folder in corpus.items() if name not in away]
    problems = list(away.values())
    if not present:
        return problems, None
    try:
        return problems, engine.index(present if problems else None, progress=progress)
    except StoppedError:
        return problems, None
    except CitedQAError as exc:
        return [*problems, str(exc)], None


def _absence(name: str, folder: Path, engine: Engine) -> str:
    """What keeps a folder from being synced; empty where nothing does."""
    if not folder.is_dir():
        return f"{folder}: is not there; what was read from it stays in the index"
    try:
        check_folders({name: folder}, engine.config.index_dir)
    except EmptyCorpusError as exc:
        return str(exc)
    return ""


def _is_relevant(path: Path, engine: Engine) -> bool:
    """Whether a sync could have something to do: neither our own files nor hidden ones."""
    if path.is_relative_to(engine.config.index_dir.resolve()):
        return False
    for folder in engine.config.corpus_folders.values():
        root = folder.resolve()
        if path.is_relative_to(root):
            return not any(part.startswith((".", "~$")) for part in path.relative_to(root).parts)
    return False


@contextmanager
def _stopping() -> Iterator[Event]:
    """An event that Ctrl-C and SIGTERM set, within the block."""
    stop = Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
