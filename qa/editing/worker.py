"""The jobs of a server, done in the background: what waits is brought into the index by one sync.

data_dir/jobs.lock      held by the process that is doing jobs, so each is done once
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from index.errors import (
    CitedQAError,
    ConfigError,
    DiskError,
    EmptyCorpusError,
    EncoderError,
    IndexBusyError,
    IndexMismatchError,
    IndexUnusableError,
)
from index.indexing.report import SyncReport
from index.pauses import pauses
from index.store import DocumentLookup
from index.types import Progress
from qa.editing.corpus import identity
from qa.editing.editor import CorpusEditor
from qa.editing.jobs import Job, JobResult, Refusal
from qa.engine import Engine
from qa.errors import StoppedError

logger = logging.getLogger(__name__)

# How often to look for jobs of other processes, and for the writer's lock.
_POLL_S = 0.5
_LAST_RETRY_S = 60.0
_TELL_EVERY_S = 0.5
# A corpus may hold a hundred thousand files that can't be read; `qa index --report` lists them all.
_MAX_SKIPPED = 1000
# What passes by itself, or when someone has made room or started a server again.
_PASSING = (IndexBusyError, EncoderError, IndexUnusableError, DiskError)


class Worker:
    """A thread that does jobs for as long as its server runs. `engine` raises CitedQAError until there is one."""

    def __init__(self, editor: CorpusEditor, engine: Callable[[], Engine]) -> None:
        self._editor = editor
        self._jobs = editor.jobs
        self._engine = engine
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="qa-jobs", daemon=True)
        self._told = ""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the work, at the next file when there is a sync."""
        self._stopping.set()
        self._editor.news.set()
        self._thread.join()

    def _run(self) -> None:
        delays = pauses(_POLL_S, _LAST_RETRY_S)
        while not self._stopping.is_set():
            self._editor.news.wait(next(delays))
            self._editor.news.clear()
            try:
                passed = self._work()
            except (CitedQAError, OSError) as exc:
                passed = False
                self._complain(str(exc))
            except Exception:
                passed = False
                logger.exception("the jobs could not be looked through")
            if passed:
                delays = pauses(_POLL_S, _LAST_RETRY_S)

    def _work(self) -> bool:
        """Do what there is to do; False when it must be tried again later."""
        self._editor.recover()
        if self._stopping.is_set() or not self._jobs.is_any_left():
            return True
        try:
            engine = self._engine()
        except CitedQAError:
            return True  # it says itself what it waits for
        try:
            with FileLock(self._editor.data_dir / "jobs.lock", timeout=0, thread_local=False):
                batch = self._jobs.claim()
                return not batch or self._do(batch, engine)
        except Timeout:
            return True  # another process does them

    def _do(self, batch: Sequence[Job], engine: Engine) -> bool:
        try:
            report = self._sync(batch, engine)
        except StoppedError:
            self._jobs.put_back(batch, "the server was stopped; the next one goes on")
        except IndexMismatchError as exc:
            self._fail(batch, str(exc))
        except EmptyCorpusError as exc:
            self._fail([job for job in batch if job.kind == "index"], str(exc))
            # Those of single files say nothing of what else is gone; they are done by themselves.
            self._jobs.put_back([job for job in batch if job.kind != "index"], "waits for the next sync")
            self._editor.news.set()
        except _PASSING as exc:
            self._complain(str(exc))
            self._jobs.put_back(batch, f"tried again later: {exc}")
            return False
        except CitedQAError as exc:
            self._fail(batch, str(exc))
        except Exception:
            logger.exception("a sync for %d jobs failed", len(batch))
            self._fail(batch, "something failed in the server; its log says what")
        else:
            self._told = ""
            outcomes = [(job, self._outcome(job, report, engine.store)) for job in batch]
            self._jobs.finish(outcomes, report.generation)
        return True

    def _sync(self, batch: Sequence[Job], engine: Engine) -> SyncReport:
        """One sync for all of them, as soon as nobody else is writing."""
        paths = None
        if all(job.kind != "index" for job in batch):
            paths = [Path(step.target) for job in batch for step in job.steps]
            paths = [path for path in paths if self._editor.corpus.id_of(path)]
            if not paths:
                raise ConfigError("lies in no folder of `corpus` any more; what is there is synced by POST /v1/index")
        is_told = False
        while True:
            try:
                return engine.index(
                    paths,
                    may_be_gone=True,
                    rebuild=any(job.rebuild for job in batch),
                    allow_empty=any(job.allow_empty for job in batch),
                    progress=self._progress(batch),
                )
            except IndexBusyError as exc:
                if not is_told:
                    self._jobs.advance(batch, 0.0, f"waits: {exc}")
                is_told = True
                if self._stopping.wait(_POLL_S):
                    raise StoppedError from exc

    def _progress(self, batch: Sequence[Job]) -> Progress:
        told_at = 0.0

        def progress(path: str, done: float, total: int) -> None:
            nonlocal told_at
            if self._stopping.is_set() and path:
                raise StoppedError
            if time.monotonic() - told_at > _TELL_EVERY_S:
                told_at = time.monotonic()
                self._jobs.advance(
                    batch, round(done / max(total, 1), 3), path or "the index is being brought up to date"
                )

        return progress

    def _outcome(self, job: Job, report: SyncReport, store: DocumentLookup) -> JobResult:
        """What a sync did for a job; it has failed when nothing of what it sent could be read."""
        if job.kind == "index":
            counts = {name: len(getattr(report, name)) for name in ("added", "changed", "removed", "moved", "skipped")}
            unread = [Refusal(item.path, item.reason) for item in store.skipped()[:_MAX_SKIPPED]]
            return JobResult("done", ", ".join(f"{count} {name}" for name, count in counts.items()), (), unread)
        ids: list[str] = []
        refusals: list[Refusal] = []
        is_read = False
        for step, path in zip(job.steps, job.paths, strict=True):
            read, skipped = store.of_file(self._editor.corpus.id_of(Path(step.target)) or "")
            ids.extend(read)
            refusals.extend(Refusal(item.path, item.reason) for item in skipped[:_MAX_SKIPPED])
            # A file that is refused keeps the documents that were read from what it replaced.
            is_read = is_read or (bool(read) and path not in {item.path for item in skipped})
        if job.kind == "delete":
            return JobResult(
                "done", "removed" if not ids else "another file has come to its place since", ids, refusals
            )
        # What went while the others were being read was deleted since.
        if refusals and not is_read and any(identity(Path(step.target)) for step in job.steps):
            return JobResult("failed", "nothing could be read; see `skipped`", ids, refusals)
        return JobResult(
            "done", f"{len(ids)} document{'s' * (len(ids) != 1)}" if ids else "removed since", ids, refusals
        )

    def _fail(self, batch: Sequence[Job], reason: str) -> None:
        logger.warning("%d jobs failed: %s", len(batch), reason)
        self._jobs.finish([(job, JobResult("failed", reason)) for job in batch], None)

    def _complain(self, reason: str) -> None:
        """One line in the log for each new reason to wait."""
        if reason != self._told:
            self._told = reason
            logger.warning("jobs wait: %s", reason)
