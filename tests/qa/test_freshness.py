"""An answer says when its source was read, and whether the file has changed since."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from index.types import DocumentInfo
from qa.answering.responses import has_changed
from qa.configuration.config import load_config
from qa.engine import Engine
from tests.qa.commands import run_qa

QUESTION = "植物园种了多少株杜鹃"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "garden.txt").write_text("植物园种了4200株杜鹃。\n", encoding="utf-8")
    (tmp_path / "docs" / "lake.txt").write_text("湖心岛有23种水鸟。\n", encoding="utf-8")
    (tmp_path / "config.yaml").write_text("corpus: docs\n", encoding="utf-8")
    engine = Engine(load_config(tmp_path / "config.yaml"))
    engine.index()
    return engine


def stale(engine: Engine) -> dict[str, bool]:
    found = engine.ask(QUESTION)
    assert [citation.stale for citation in found.citations] == [
        hit.stale for hit in found.hits if hit.path == "docs/garden.txt"
    ]
    return {hit.path: hit.stale for hit in found.hits}


def test_untouched_files_are_fresh_and_say_when_they_were_read(engine):
    before = datetime.now(UTC)
    found = engine.ask(QUESTION)
    assert set(stale(engine).values()) == {False}
    for place in (*found.citations, *found.hits):
        assert abs((datetime.fromisoformat(place.read_at) - before).total_seconds()) < 60


def test_a_changed_file_is_stale_until_it_is_indexed_again(engine):
    garden = engine.config.base / "docs" / "garden.txt"
    garden.write_text("植物园种了5300株杜鹃。现在还有牡丹。\n", encoding="utf-8")
    assert stale(engine)["docs/garden.txt"]
    assert engine.ask(QUESTION).answer.value == "4200株"
    assert not stale(engine).get("docs/lake.txt", False)
    engine.index()
    assert not stale(engine)["docs/garden.txt"]
    assert engine.ask(QUESTION).answer.value == "5300株"


def test_a_new_time_stamp_alone_is_stale_until_the_next_sync_has_looked(engine):
    garden = engine.config.base / "docs" / "garden.txt"
    os.utime(garden, (1_000_000_000, 1_000_000_000))
    assert stale(engine)["docs/garden.txt"]
    engine.index()
    assert not stale(engine)["docs/garden.txt"]


def test_a_removed_file_is_stale(engine):
    (engine.config.base / "docs" / "garden.txt").unlink()
    assert stale(engine)["docs/garden.txt"]


def test_a_member_of_an_archive_is_as_fresh_as_the_archive(tmp_path):
    archive = tmp_path / "papers.zip"
    archive.write_bytes(b"PK")
    status = archive.stat()
    info = DocumentInfo(
        id="m",
        file="f",
        collection="docs",
        path="papers.zip/2019/report.txt",
        title="",
        sha256="",
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        read_at="2026-01-01T00:00:00+00:00",
        encoding=None,
        notices=(),
        passages=1,
    )
    assert not has_changed(info, tmp_path)
    archive.write_bytes(b"PK PK")
    assert has_changed(info, tmp_path)
    archive.unlink()
    assert has_changed(info, tmp_path)


def test_on_the_command_line(engine):
    base = engine.config.base
    fresh = run_qa("ask", QUESTION, folder=base).stdout.splitlines()[1]
    assert fresh.startswith("[1] docs/garden.txt · ")
    assert f" · read {datetime.now(UTC):%Y-}" in fresh
    assert "changed" not in fresh
    (base / "docs" / "garden.txt").write_text("没有了\n", encoding="utf-8")
    done = run_qa("ask", QUESTION, folder=base)
    assert "changed or removed since; run: qa index" in done.stdout.splitlines()[1]
    found = json.loads(run_qa("ask", QUESTION, "--json", folder=base).stdout)
    assert found["citations"][0]["stale"] is True
