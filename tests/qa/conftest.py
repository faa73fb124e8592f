"""A copy of the shipped seeds, indexed once, and a real server over it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from qa.configuration.config import Config
from qa.engine import Engine
from tests.qa.servers import make_corpus, serving


@pytest.fixture(scope="session")
def seeds_config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The seeds and one English note in a second collection, indexed."""
    folder = tmp_path_factory.mktemp("corpus")
    config = make_corpus(folder, "seeds", "notes")
    (folder / "notes" / "library.md").write_bytes(
        "\ufeff# The library\r\n\r\nThe reading room holds 4321 books 📚 and opens at nine.\r\n".encode()
    )
    Engine(config).index()
    return config


@pytest.fixture(scope="session")
def client(seeds_config: Config) -> Iterator[httpx.Client]:
    """A client of a server over `seeds_config`."""
    with serving(seeds_config) as client:
        yield client
