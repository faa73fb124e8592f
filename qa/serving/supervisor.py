"""The process that `qa serve` is: it holds the listening socket and watches the workers, which do all the answering.

It loads nothing of what they need, so it is small and always ready to act. A worker that dies is replaced, and so is
one that computes for a request that was given up, and one whose event loop stands still because something holds
Python's interpreter. Meanwhile connections wait in the socket's queue.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from qa.errors import EXIT_FAILURE

logger = logging.getLogger(__name__)

# A worker is a copy of this process where that is safe, which costs no second start of Python.
CONTEXT: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
_POLL_S = 0.5
# What a worker needs after `grace_s` to close its files.
_LAST_WAIT_S = 3.0
# A worker that has run for some ten seconds is replaced at once; where one ends sooner, there is a pause that grows.
_SETTLED_BEATS = 100
_FIRST_RETRY_S = 1.0
_LAST_RETRY_S = 30.0


class Pulse:
    """What a worker shows of itself, in memory that its supervisor sees even while the worker can do nothing."""

    def __init__(self) -> None:
        self._cells = CONTEXT.RawArray(ctypes.c_ulong, 2)

    def beat(self) -> None:
        """Say that the event loop goes round."""
        self._cells[0] += 1

    def ask_for_another(self) -> None:
        """Say that a request that was given up is still being computed, and nothing here can end it."""
        self._cells[1] = 1

    @property
    def beats(self) -> int:
        """How often the loop went round; 0 while the worker starts."""
        return int(self._cells[0])

    @property
    def is_given_up(self) -> bool:
        return bool(self._cells[1])


@dataclass(slots=True)
class SupervisedWorker:
    """A worker as its supervisor sees it. `failure` gives the error that kept it from starting."""

    process: BaseProcess
    failure: Connection
    pulse: Pulse
    beats: int = 0
    silent_s: float = 0.0
    kill_at: float = field(default=float("inf"))

    def kill(self) -> None:
        """End it at once, with the processes that it started, which nobody else would end."""
        self.process.kill()
        if sys.platform != "win32" and self.process.pid:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def look(self, passed_s: float) -> None:
        """Note for how long the loop has stood still; what passed is counted, so that a halt of the machine is not."""
        beats = self.pulse.beats
        self.silent_s = self.silent_s + passed_s if beats and beats == self.beats else 0.0
        self.beats = beats


class Supervisor:
    """Keeps `wanted` workers running; `run` makes one of its process, given the pulse and where to tell a failure."""

    def __init__(
        self, run: Callable[[Pulse, Connection], None], wanted: int, *, silence_s: float, grace_s: float
    ) -> None:
        self._run = run
        self._wanted = wanted
        self._silence_s, self._grace_s = silence_s, grace_s
        self._workers: list[SupervisedWorker] = []
        self._leaving: list[SupervisedWorker] = []
        self._start_at, self._retry_s = 0.0, _FIRST_RETRY_S
        self._has_begun = False

    def supervise(self, listener: socket.socket) -> None:
        """Run until SIGTERM or SIGINT; then close `listener`, let the workers finish, and end those that don't.

        Raises:
            CitedQAError: the first workers can't start; it is theirs.
            SystemExit: they can't, and their log says why.
        """
        gc.freeze()  # what is here stays shared with the workers where the collector writes nothing into it: 6 MB each
        with _signalled() as signals:
            try:
                self._watch(signals)
            finally:
                listener.close()
                self._stop()

    def _watch(self, signals: socket.socket) -> None:
        looked_at = time.monotonic()
        while True:
            if time.monotonic() >= self._start_at:
                self._workers += [self._start() for _ in range(self._wanted - len(self._workers))]
            sentinels = [worker.process.sentinel for worker in (*self._workers, *self._leaving)]
            if signals in wait([*sentinels, signals], _POLL_S):
                return
            now = time.monotonic()
            passed_s, looked_at = min(now - looked_at, 2 * _POLL_S), now
            for worker in list(self._workers):
                worker.look(passed_s)
                self._judge(worker)
            self._leaving = _left_of(self._leaving)

    def _start(self) -> SupervisedWorker:
        pulse = Pulse()
        failure, teller = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=self._run, args=(pulse, teller), name="qa-worker")
        process.start()
        teller.close()
        return SupervisedWorker(process, failure, pulse)

    def _judge(self, worker: SupervisedWorker) -> None:
        pid = worker.process.pid
        if not worker.process.is_alive():
            self._workers.remove(worker)
            worker.kill()
            self._on_death(worker)
            logger.warning("worker %s ended with code %s; another takes its place", pid, worker.process.exitcode)
        elif worker.silent_s >= self._silence_s:
            logger.error("worker %s did nothing for %.0f s; it is killed and replaced", pid, worker.silent_s)
            worker.kill()
            self._workers.remove(worker)
            self._leaving.append(worker)
        elif worker.pulse.is_given_up:
            logger.error("worker %s computes for a request beyond server.timeout_s; it is replaced", pid)
            self._workers.remove(worker)
            self._leave(worker)
        elif worker.beats:
            self._has_begun = True
            if worker.beats >= _SETTLED_BEATS:
                self._retry_s = _FIRST_RETRY_S

    def _on_death(self, worker: SupervisedWorker) -> None:
        if worker.beats >= _SETTLED_BEATS:
            return
        if not self._has_begun:
            if worker.failure.poll():
                raise worker.failure.recv()
            raise SystemExit(EXIT_FAILURE)
        self._start_at = time.monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, _LAST_RETRY_S)

    def _leave(self, worker: SupervisedWorker) -> None:
        worker.process.terminate()
        worker.kill_at = time.monotonic() + self._grace_s + _LAST_WAIT_S
        self._leaving.append(worker)

    def _stop(self) -> None:
        for worker in self._workers:
            self._leave(worker)
        while self._leaving:
            wait([worker.process.sentinel for worker in self._leaving], _POLL_S)
            self._leaving = _left_of(self._leaving)


def _left_of(workers: list[SupervisedWorker]) -> list[SupervisedWorker]:
    """Those that have not ended; the ones whose time is over are killed."""
    for worker in workers:
        if time.monotonic() >= worker.kill_at and worker.process.is_alive():
            logger.warning("worker %s did not end within server.grace_s; it is killed", worker.process.pid)
            worker.kill()
            worker.kill_at = float("inf")
    return [worker for worker in workers if worker.process.is_alive()]


@contextmanager
def _signalled() -> Iterator[socket.socket]:
    """A socket that has something to be read once SIGTERM or SIGINT came."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = [
        (number, signal.signal(number, lambda *_: writer.send(b"x"))) for number in (signal.SIGTERM, signal.SIGINT)
    ]
    with reader, writer:
        try:
            yield reader
        finally:
            for number, handler in before:
                signal.signal(number, handler)
