"""The API as a process: `qa serve`."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import uvicorn
from fastapi import FastAPI

from index.errors import ConfigError
from qa.answering.links import address
from qa.api import logs
from qa.api.access import keys_of
from qa.api.addresses import BACKLOG, is_loopback, listen
from qa.configuration.config import Config
from qa.serving import supervisor
from qa.serving.app import create_app
from qa.serving.connections import BoundedProtocol
from qa.serving.docs import DOCS
from qa.serving.supervisor import share_heaps

logger = logging.getLogger(__name__)

# A worker that indexes keeps Python's lock for seconds; it is not to be taken for dead. One that is killed while it is
# asked is waited for as long.
_HEALTHCHECK_S = 20
_LAST_WAIT_S = 1.0
# An address may hold a question of the greatest length in full, percent-encoded, and be refused with a clear 422.
_MAX_HEAD_BYTES = 1 << 20
_OPEN = (
    "server.api_keys: there are none, and whoever reaches {} could read and change the documents; "
    "set QA_SERVER_API_KEYS=name:role:KEY, listen on 127.0.0.1, or say --insecure"
)


def serve(
    config: Config,
    host: str | None = None,
    port: int | None = None,
    processes: int | None = None,
    *,
    insecure: bool = False,
) -> None:
    """Serve the API until SIGTERM or SIGINT; running requests are finished first.

    One line on stderr gives the address once questions can be asked. What is given goes before the configuration; port
    0 takes a free port. `insecure` lets it listen where others reach it although no keys are configured.

    Raises:
        ConfigError: the address can't be used, or needs keys; the message says why.
    """
    given = {"host": host, "port": port, "workers": processes}
    server = config.server.model_copy(update={name: value for name, value in given.items() if value is not None})
    config = config.model_copy(update={"server": server})
    logs.configure(server)
    share_heaps()
    with listen(server.host, server.port) as listener:
        if not (insecure or is_loopback(listener.getsockname()[0]) or keys_of(config)):
            raise ConfigError(_OPEN.format(listener.getsockname()[0]))
        if server.workers > 1:
            create_app(config)  # what is wrong with the settings is to be told here, and once
            app = supervisor.factory(bound_to(config, listener), _announcement(listener))
            supervisor.supervise(_settings(config, app, factory=True), listener)
        else:
            _run(make_server(config, listener), listener)


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    # uvicorn ends gracefully at either signal and then raises it again; as an interrupt it ends here.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        server.run([listener])
    _leave_stuck_threads()


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


def make_server(config: Config, listener: socket.socket) -> uvicorn.Server:
    """A server for `server.run([listener])`."""
    announce = partial(logs.announce, _announcement(listener))
    return uvicorn.Server(_settings(config, create_app(bound_to(config, listener), announce)))


def _settings(config: Config, app: FastAPI | Callable[[], FastAPI], *, factory: bool = False) -> uvicorn.Config:
    server = config.server
    protocol = partial(BoundedProtocol, max_connections=server.max_connections, head_timeout_s=server.read_timeout_s)
    return uvicorn.Config(
        app,
        factory=factory,
        workers=server.workers,
        backlog=1 if factory else BACKLOG,
        timeout_worker_healthcheck=_HEALTHCHECK_S,
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        ws="none",
        http=protocol,  # type: ignore[arg-type]
        h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
        timeout_graceful_shutdown=server.grace_s,
        server_header=False,
    )


def bound_to(config: Config, listener: socket.socket) -> Config:
    """The configuration with the address that is listened on, whatever `--host` said."""
    server = config.server.model_copy(update={"host": listener.getsockname()[0]})
    return config.model_copy(update={"server": server})


def _announcement(listener: socket.socket) -> str:
    here = address(*listener.getsockname()[:2])
    return f"{here} answers questions; open it in a browser; the API is described at {here}{DOCS}"
