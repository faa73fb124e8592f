"""Corpora and real servers on loopback, for tests."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from fastapi import FastAPI

from qa.api.addresses import listen
from qa.configuration.config import Config, load_config
from qa.serving.worker import make_server

SEEDS = Path(__file__).parents[2] / "seeds"


def make_corpus(folder: Path, *collections: str) -> Config:
    """A configuration over collections in `folder`; `seeds` is a copy of the shipped ones, others are empty."""
    for name in collections:
        if name == "seeds":
            shutil.copytree(SEEDS, folder / name)
        else:
            (folder / name).mkdir(parents=True)
    file = folder / "config.yaml"
    file.write_text(f"corpus: [{', '.join(collections)}]\n", encoding="utf-8")
    return load_config(file)


@contextmanager
def serving(
    config: Config, *, is_ready: bool = True, extend: Callable[[FastAPI], None] | None = None
) -> Iterator[httpx.Client]:
    """A client of a server that runs in a thread; `is_ready` waits until it answers questions."""
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = make_server(config, listener)
    if extend:
        extend(server.config.app)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            if is_ready:
                wait_until(lambda: client.get("/readyz").status_code == 200)
            yield client
    finally:
        server.should_exit = True
        thread.join()


def wait_until(is_true: Callable[[], bool], timeout_s: float = 60) -> None:
    """Return when `is_true` says so; fail when it doesn't in time."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, f"still not true after {timeout_s} s"
        time.sleep(0.05)
