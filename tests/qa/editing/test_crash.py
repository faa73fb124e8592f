"""The benchmark that kills the indexer and the server, for a few kills: nothing acknowledged is lost."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.crash import kill_indexer, kill_server


def test_a_few_kills_of_the_indexer(tmp_path: Path) -> None:
    found = kill_indexer(tmp_path / "a", 2, 10, random.Random(3))
    assert found.problems == []
    assert found.citations > 0


def test_a_few_kills_of_the_server(tmp_path: Path) -> None:
    found = kill_server(tmp_path / "b", 2, random.Random(3))
    assert found.problems == []
    assert (found.hits, found.acknowledged > 0) == (2, True)
