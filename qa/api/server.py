"""The API as a process: `qa serve`."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import sys
from contextlib import suppress

import uvicorn

from index.errors import ConfigError
from qa.api.access import is_loopback, keys_of
from qa.api.app import create_app
from qa.api.docs import DOCS
from qa.config import Config

_GRACE_S = 10
_BACKLOG = 512
_LAST_PORT = 65535
# An address may hold a question of the greatest length in full, percent-encoded, and be refused with a clear 422.
_MAX_HEAD_BYTES = 1 << 20
_OPEN = (
    "server.api_keys: there are none, and whoever reaches {} could read and change the documents; "
    "set QA_SERVER_API_KEYS=name:role:KEY, listen on 127.0.0.1, or say --insecure"
)
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - shown to the user, not bound


def serve(config: Config, host: str | None = None, port: int | None = None, *, insecure: bool = False) -> None:
    """Serve the API until SIGTERM or SIGINT; running requests are finished first.

    One line on stderr gives the address once questions can be asked. Port 0 takes a free port. `insecure` lets it
    listen where others reach it although no keys are configured.

    Raises:
        ConfigError: the address can't be used, or needs keys; the message says why.
    """
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s: %(message)s")
    logging.getLogger("qa").setLevel(logging.INFO)
    listener = listen(config.server.host if host is None else host, config.server.port if port is None else port)
    with listener:
        if not (insecure or is_loopback(listener.getsockname()[0]) or keys_of(config)):
            raise ConfigError(_OPEN.format(listener.getsockname()[0]))
        server = make_server(config, listener)
        # uvicorn ends gracefully at either signal and then raises it again; as an interrupt it ends here.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            server.run([listener])


def make_server(config: Config, listener: socket.socket) -> uvicorn.Server:
    """A server for `server.run([listener])`."""
    address = _address(listener)
    bound = config.server.model_copy(update={"host": listener.getsockname()[0]})

    def announce() -> None:
        sys.stderr.write(
            f"{address} answers questions; open it in a browser; the API is described at {address}{DOCS}\n"
        )
        sys.stderr.flush()

    settings = uvicorn.Config(
        create_app(config.model_copy(update={"server": bound}), announce),
        log_config=None, log_level=logging.WARNING, access_log=False, http="h11",
        h11_max_incomplete_event_size=_MAX_HEAD_BYTES, timeout_graceful_shutdown=_GRACE_S, server_header=False,
    )  # fmt: skip
    return uvicorn.Server(settings)


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket.

    Raises:
        ConfigError: the address is in use, not this machine's, or not allowed.
    """
    if not 0 <= port <= _LAST_PORT:
        raise ConfigError(f"server.port: {port} is not a port; choose one from 0 to {_LAST_PORT} with --port")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.create_server(address, family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as exc:
        raise ConfigError(_refusal(host, port, exc)) from exc
    # asyncio sends without delay only on sockets that say they are TCP; otherwise each answer waits some 40 ms.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=made.detach())


def _refusal(host: str, port: int, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return f"server.port: {host}:{port} is in use; choose another with --port"
    if number == errno.EACCES:
        return f"server.port: this user may not listen on port {port}; choose one above 1023 with --port"
    return f"server.host: {host!r} is not an address of this machine; choose another with --host"


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = _WILDCARDS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
