"""A real Milvus for tests: a milvus-lite server process, or the server that CITED_QA_TEST_MILVUS names."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex

from index.store.milvus.connection import MilvusOptions, Server
from tests.conftest import require

SERVER = "CITED_QA_TEST_MILVUS"


@contextmanager
def milvus(folder: Path, port: int = 0) -> Iterator[str]:
    """The address of a server; one of our own keeps its data in `folder` and listens on `port`, if that is given."""
    if uri := os.environ.get(SERVER):
        require("pymilvus", find_spec("pymilvus"))
        yield uri
        return
    require("milvus-lite and pymilvus", find_spec("milvus_lite") and find_spec("pymilvus"))
    port = port or free_port()
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "milvus_lite",
                "server",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                "--data-dir",
                str(folder / "milvus"),
            ],
            stdout=log,
            stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    try:
        _wait_for(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


@contextmanager
def own_prefix(uri: str) -> Iterator[MilvusOptions]:
    """Collections of our own on a server, which are dropped in the end."""
    options = MilvusOptions(uri, prefix=f"test_{token_hex(4)}")
    try:
        yield options
    finally:
        server = Server(options)
        for name in server.call("list_collections"):
            if name.startswith(f"{options.prefix}_"):
                server.call("drop_collection", name)
        server.close()


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert server.poll() is None, "milvus-lite ended; see server.log"
            assert time.monotonic() < deadline, "milvus-lite does not listen"
            time.sleep(0.05)
