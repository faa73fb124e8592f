"""MCP over stdin and stdout: `qa mcp`, started by the client that uses it."""

from __future__ import annotations

import logging
import threading
import time

import anyio
from mcp.server.stdio import stdio_server

from index.errors import CitedQAError, IndexMissingError, IndexUnusableError
from qa.answering.links import server_url
from qa.api.startup import Startup
from qa.chat.mcp_server import mcp_server
from qa.configuration.config import Config
from qa.engine import Engine

# A client gives up on a call after about a minute; before that it should be told how far the indexing is.
_PATIENCE_S = 40.0
_POLL_S = 0.1
# What is said while the engine starts and while the corpus is read for the first time.
_PASSING = (IndexUnusableError, IndexMissingError)


class _Waiting:
    """An engine that is waited for while it comes up, but not when it can't."""

    def __init__(self, config: Config) -> None:
        self._ready = threading.Event()
        self.startup = Startup(config, self._ready.set)

    def engine(self) -> Engine:
        deadline = time.monotonic() + _PATIENCE_S
        while not self._ready.wait(_POLL_S) and time.monotonic() < deadline:
            try:
                return self.startup.engine
            except CitedQAError as exc:
                if type(exc) not in _PASSING:
                    raise
        return self.startup.engine


def serve_stdio(config: Config) -> None:
    """Answer a client until it closes stdin. Nothing but messages goes to stdout; what happens is said on stderr."""
    logging.getLogger("qa").setLevel(logging.INFO)
    waiting = _Waiting(config)
    waiting.startup.start()
    server = mcp_server(waiting.engine, server_url(config.server))

    async def run() -> None:
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())

    try:
        anyio.run(run)
    finally:
        waiting.startup.stop()
