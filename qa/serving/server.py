"""The API as a service: `qa serve`."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized

from index.errors import ConfigError
from qa.api import logs
from qa.api.addresses import is_loopback, listen
from qa.api.keys import keys_of
from qa.configuration.config import Config
from qa.serving.supervisor import CONTEXT, Pulse, Supervisor

# Where the workers keep the figures that they share; see `qa.api.observability`.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# Whoever holds the interpreter for as long as a request may take is stuck; so long at most, and no less than a busy
# machine may take to come round.
_LEAST_SILENCE_S, _GREATEST_SILENCE_S = 5.0, 20.0
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
    with listen(server.host, server.port) as listener, _figures(server.workers):
        if not (insecure or is_loopback(listener.getsockname()[0]) or keys_of(config)):
            raise ConfigError(_OPEN.format(listener.getsockname()[0]))
        Supervisor(
            partial(_run_worker, config, listener, CONTEXT.Value("i", 0)),
            server.workers,
            silence_s=min(max(server.timeout_s, _LEAST_SILENCE_S), _GREATEST_SILENCE_S),
            grace_s=server.grace_s,
        ).supervise(listener)


@contextmanager
def _figures(workers: int) -> Iterator[None]:
    """Where several workers keep their figures, if there are several."""
    if workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="cited-qa-metrics-") as folder:
        os.environ.setdefault(SHARED_FOLDER, folder)
        yield


def _run_worker(
    config: Config, listener: socket.socket, ready: Synchronized[int], pulse: Pulse, failure: Connection
) -> None:
    # Until it can end in order it ends as it is.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from qa.serving.worker import run_worker  # what takes long to load, and memory, is the worker's alone

    run_worker(config, listener, ready, pulse, failure)
