"""A process that has imported `qa` and forks: a command starts at once, in a process of its own like any other.

Importing takes most of what a short command takes, and the tests run some hundred of them.
"""

from __future__ import annotations

import gc
import json
import os
import select
import socket
import sys
from importlib import import_module
from typing import Any, NoReturn

# What a command imports when it needs it.
_MODULES = (
    "qa.cli.main",
    "qa.cli.operations",
    "qa.cli.terminal",
    "index.encoder.static",
    "index.indexing.build",
    "index.store.local",
    "index.text.segmenter",
    "faiss",
    "rjieba",
    "tantivy",
)


def serve(address: str) -> None:
    """Run the commands that come, each in a child, until stdin is closed."""
    for module in _MODULES:
        import_module(module)
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        print("ready", flush=True)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if not os.fork():
                listener.close()
                _attend(connection)
            connection.close()
            _reap()


def _reap() -> None:
    """Let go of the children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _attend(connection: socket.socket) -> None:
    """Start a command and tell how it ended."""
    with connection.makefile("r", encoding="utf-8") as requests:
        request = json.loads(requests.readline())
    command = os.fork()
    if not command:
        connection.close()
        _become(request)
    _, status = os.waitpid(command, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(request: dict[str, Any]) -> NoReturn:
    """Turn this process into the command, and end as it does."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, name in enumerate(request["streams"]):
        file = os.open(name, os.O_RDWR)
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["qa", *request["arguments"]]
    sys.exit(import_module("qa.cli.main").main())
