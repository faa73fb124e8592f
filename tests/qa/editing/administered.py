"""Servers whose client has an administrator's key, so that it may delete what was not uploaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from qa.configuration.config import Config
from qa.configuration.keys import parse_keys
from tests.qa import servers

KEY = "k" * 48


def with_keys(config: Config) -> Config:
    """The same with an administrator's key."""
    server = config.server.model_copy(update={"api_keys": parse_keys([f"boss:admin:{KEY}"])})
    return config.model_copy(update={"server": server})


@contextmanager
def serving(config: Config, *, is_ready: bool = True) -> Iterator[httpx.Client]:
    """As `tests.qa.servers.serving`, with the key where `with_keys` gave it."""
    with servers.serving(config, is_ready=is_ready) as client:
        client.headers["Authorization"] = f"Bearer {KEY}"
        yield client
