"""A Milvus server for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.milvus_server import milvus


@pytest.fixture(scope="session")
def milvus_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with milvus(tmp_path_factory.mktemp("milvus")) as uri:
        yield uri
