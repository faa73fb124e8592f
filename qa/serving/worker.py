"""One process that answers: the application under uvicorn, with what its supervisor has to see."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized

import uvicorn
from fastapi import FastAPI

from index.errors import CitedQAError
from qa.answering.responses import address
from qa.api import logs
from qa.api.addresses import BACKLOG
from qa.configuration.config import Config
from qa.errors import EXIT_FAILURE
from qa.serving.app import create_app
from qa.serving.connections import MAX_HEAD_BYTES, BoundedProtocol
from qa.serving.docs import DOCS
from qa.serving.supervisor import Pulse

logger = logging.getLogger(__name__)

_LAST_WAIT_S = 1.0
# How long one thread may keep the interpreter from the others. A question lets go of it some forty times, and may wait
# so long each time for each of those that compute: with Python's 5 ms and eight of them that is over a second. Less
# than this costs more processor time than it is worth.
_SWITCH_S = 0.001
_PR_SET_PDEATHSIG = 1  # of Linux' prctl.h
_M_ARENA_MAX = -8  # of glibc's malloc.h
_ARENAS = 2


class WorkerServer(uvicorn.Server):
    """uvicorn's server, whose loop beats, and which ends when its supervisor is gone, however that ended."""

    def __init__(self, config: uvicorn.Config, pulse: Pulse) -> None:
        super().__init__(config)
        self._pulse = pulse
        self._parent = os.getppid()

    async def on_tick(self, counter: int) -> bool:
        self._pulse.beat()
        self.should_exit = self.should_exit or os.getppid() != self._parent
        return await super().on_tick(counter)


def run_worker(
    config: Config, listener: socket.socket, ready: Synchronized[int], pulse: Pulse, failure: Connection
) -> None:
    """Answer until SIGTERM or SIGINT; running requests are finished first. An error at the start goes to `failure`."""
    # uvicorn ends gracefully at either signal and then raises it again; as an interrupt it ends here.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform != "win32":
        os.setpgid(0, 0)  # so that it can be ended together with what it starts
    _end_with_parent()
    logs.configure(config.server)
    share_heaps()
    sys.setswitchinterval(_SWITCH_S)
    told = announcement(listener)

    def announce() -> None:
        with ready.get_lock():
            ready.value += 1
            if ready.value == config.server.workers:
                logs.announce(told)

    try:
        with suppress(KeyboardInterrupt):
            app = make_app(config, listener, announce, pulse.ask_for_another)
            WorkerServer(uvicorn_settings(config, app), pulse).run([SharedListener.of(listener)])
    except CitedQAError as exc:
        failure.send(exc)
        sys.exit(EXIT_FAILURE)
    _leave_stuck_threads()


def make_server(config: Config, listener: socket.socket) -> uvicorn.Server:
    """A server without a supervisor, for `server.run([listener])`."""
    return uvicorn.Server(uvicorn_settings(config, make_app(config, listener)))


def make_app(
    config: Config,
    listener: socket.socket,
    on_ready: Callable[[], None] | None = None,
    on_stuck: Callable[[], None] | None = None,
) -> FastAPI:
    """The application, told the address that is listened on, whatever `--host` said."""
    server = config.server.model_copy(update={"host": listener.getsockname()[0]})
    return create_app(config.model_copy(update={"server": server}), on_ready, on_stuck)


def uvicorn_settings(config: Config, app: FastAPI) -> uvicorn.Config:
    """How uvicorn is to run the application."""
    server = config.server
    protocol = partial(BoundedProtocol, max_connections=server.max_connections, head_timeout_s=server.read_timeout_s)
    return uvicorn.Config(
        app,
        backlog=BACKLOG if server.workers == 1 else 1,
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        ws="none",
        http=protocol,  # type: ignore[arg-type]
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_graceful_shutdown=server.grace_s,
        server_header=False,
        proxy_headers=bool(server.trusted_proxies),
        forwarded_allow_ips=list(server.trusted_proxies),
    )


class SharedListener(socket.socket):
    """A listening socket that several processes accept from, one connection at a time each.

    asyncio takes as many connections at once as it lets wait; so the first worker to wake up would take them all. The
    one number sets both: it is to be 1 where there are several workers, and `listen` is not to pass it on.
    """

    @classmethod
    def of(cls, listener: socket.socket) -> SharedListener:
        """The same socket; `listener` is not to be used any more."""
        return cls(listener.family, listener.type, listener.proto, listener.detach())

    def listen(self, backlog: int = 0, /) -> None:
        """Leave it as it is: it listens already."""


def announcement(listener: socket.socket) -> str:
    """What is told once questions can be asked."""
    here = address(*listener.getsockname()[:2])
    return f"{here} answers questions; open it in a browser; the API is described at {here}{DOCS}"


def _end_with_parent() -> None:
    """Let the system end this process at once when its supervisor is killed, even while it is stuck; Linux does."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def share_heaps() -> None:
    """Let all threads share two heaps, where the C library is glibc and MALLOC_ARENA_MAX says nothing else.

    Each of the many threads would get one of its own and keep what was freed in it: after 60 generations of the
    shipped documents and 1,400 questions from eight threads 834 MB were held that way, and 634 MB this way.
    """
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def _leave_stuck_threads() -> None:
    """End the process although a thread still works for a request that was given up; Python would wait for it."""
    threads = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    deadline = time.monotonic() + _LAST_WAIT_S
    for thread in threads:
        if not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() and not thread.daemon for thread in threads):
        logger.warning("left a request unfinished that went on longer than server.grace_s")
        logging.shutdown()
        os._exit(0)
