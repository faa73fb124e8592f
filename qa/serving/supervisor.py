"""Several processes that answer on one socket, watched over by uvicorn's supervisor.

Each opens the index for itself; vectors are mapped, so they share the memory. The first to hold the writer's lock
builds an index that is missing, the others wait for it. What a process keeps in memory (rates) it keeps for itself.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing import reduction
from multiprocessing.sharedctypes import Synchronized
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from qa.api import logs
from qa.api.observability import SHARED_FOLDER
from qa.configuration.config import Config
from qa.serving.app import create_app

_M_ARENA_MAX = -8  # of glibc's malloc.h
_ARENAS = 2


class SharedListener(socket.socket):
    """A listening socket that several processes accept from, one connection at a time each.

    asyncio takes as many connections at once as it lets wait; so the first worker to wake up would take them all. The
    one number sets both: it is to be 1 for the workers, and `listen` is not to pass it on.
    """

    @classmethod
    def of(cls, listener: socket.socket) -> SharedListener:
        """The same socket; `listener` is not to be used any more."""
        return cls(listener.family, listener.type, listener.proto, listener.detach())

    def listen(self, backlog: int = 0, /) -> None:
        """Leave it as it is: it listens already."""

    def __reduce__(self) -> tuple[Callable[..., SharedListener], tuple[object, ...]]:
        return _received, (reduction.DupFd(self.fileno()), self.family, self.type, self.proto)


def _received(handle: Any, family: int, kind: int, protocol: int) -> SharedListener:  # noqa: ANN401
    return SharedListener(family, kind, protocol, handle.detach())


def factory(config: Config, announcement: str) -> Callable[[], FastAPI]:
    """What makes the application in each worker; `announcement` is told once when all of them can answer."""
    ready: Synchronized[int] = multiprocessing.get_context("spawn").Value("i", 0)
    return partial(_make_app, config, announcement, ready)


def supervise(settings: uvicorn.Config, listener: socket.socket) -> None:
    """Run the workers until SIGTERM or SIGINT; one that dies is replaced."""
    with tempfile.TemporaryDirectory(prefix="cited-qa-metrics-") as folder:
        os.environ.setdefault(SHARED_FOLDER, folder)
        with SharedListener.of(listener) as shared:
            Multiprocess(settings, [shared]).run()


def _make_app(config: Config, announcement: str, ready: Synchronized[int]) -> FastAPI:
    """The application of one worker, made in its process."""
    logs.configure(config.server)
    share_heaps()
    threading.Thread(target=_end_with_parent, name="qa-parent", daemon=True).start()

    def announce() -> None:
        with ready.get_lock():
            ready.value += 1
            if ready.value == config.server.workers:
                logs.announce(announcement)

    return create_app(config, announce)


def _end_with_parent() -> None:
    """Stop when the supervisor is gone, however it ended: nobody else would ever stop this worker."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def share_heaps() -> None:
    """Let all threads share two heaps, where the C library is glibc and MALLOC_ARENA_MAX says nothing else.

    Each of the many threads would get one of its own and keep what was freed in it: after 60 generations of the
    shipped documents and 1,400 questions from eight threads 834 MB were held that way, and 634 MB this way.
    """
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
