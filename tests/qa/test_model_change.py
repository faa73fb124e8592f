"""Another encoder: what is said, what goes on answering meanwhile, and what a kill costs."""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from index.errors import IndexMismatchError
from qa.configuration.config import load_config
from qa.engine import Engine
from qa.errors import EXIT_FAILURE, EXIT_INDEX, EXIT_USAGE
from tests.conftest import CANONICAL
from tests.index.embedding_server import EmbeddingServer, Reply, embedding_server, reply, vectors
from tests.index.models import MINILM
from tests.qa.commands import COMMAND, assert_fails, environment, run_qa
from tests.qa.servers import make_corpus, serving

REBUILD = "qa index --rebuild"


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with embedding_server() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The seeds, indexed with the bundled model."""
    Engine(make_corpus(tmp_path, "seeds")).index()
    return tmp_path


def configure(folder: Path, model: str, **options: object) -> None:
    lines = "".join(f"  {name}: {value}\n" for name, value in {"model": model, **options}.items())
    (folder / "config.yaml").write_text(f"corpus: [seeds]\nencoder:\n{lines}", encoding="utf-8")


def test_a_kill_half_way_loses_nothing(folder: Path, server: EmbeddingServer) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def stopping(body: dict[str, Any]) -> Reply:
        if len(server.texts) == 20:
            reached.set()
            go_on.wait(60)
        return reply(vectors(body["input"]))

    server.answer = stopping
    configure(folder, "ours", base_url=server.url)
    rebuilding = subprocess.Popen(
        [*COMMAND, "index", "--rebuild"], cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
    )
    try:
        assert reached.wait(60)
        # Meanwhile the old index answers those who ask with its model, and says to others what to do.
        old = run_qa("ask", CANONICAL, folder=folder, QA_ENCODER_MODEL="bundled", QA_ENCODER_BASE_URL="")
        assert (old.returncode, "1097名" in old.stdout) == (0, True)
        assert_fails(run_qa("ask", CANONICAL, folder=folder), EXIT_INDEX, REBUILD)
        assert_fails(run_qa("index", "--rebuild", folder=folder), EXIT_FAILURE, "another process is writing")
    finally:
        rebuilding.send_signal(signal.SIGKILL)
        rebuilding.communicate()
        go_on.set()
    kept = {text for texts in server.texts[1:19] for text in texts} - {"1"}
    assert len(kept) > 300
    old = run_qa("ask", CANONICAL, folder=folder, QA_ENCODER_MODEL="bundled", QA_ENCODER_BASE_URL="")
    assert "1097名" in old.stdout

    server.texts.clear()
    done = run_qa("index", "--rebuild", folder=folder)
    assert done.returncode == 0, done.stderr
    assert kept.isdisjoint(server.flat)
    assert len(server.flat) > 200
    assert "1097名" in run_qa("ask", CANONICAL, folder=folder).stdout
    assert len(list((folder / "data").glob("index-*"))) == 2  # the new one, and the old one for who still reads it
    found = run_qa("doctor", folder=folder)
    assert (found.returncode, f"encoder: ours@{server.url}:256, 256 dimensions\n" in found.stdout) == (0, True)

    server.texts.clear()
    assert run_qa("index", "--rebuild", folder=folder).returncode == 0
    assert set(server.flat) == {"1"}


def test_a_running_server_answers_from_the_old_index_until_it_is_restarted(
    folder: Path, server: EmbeddingServer, caplog: pytest.LogCaptureFixture
) -> None:
    old = load_config(folder / "config.yaml")
    with serving(old) as client:
        configure(folder, "ours", base_url=server.url)
        Engine(load_config(folder / "config.yaml")).index(rebuild=True)
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                answer = client.post("/v1/ask", json={"query": CANONICAL}).json()
                assert answer["answer"]["value"] == "1097名"
                assert answer["index"]["model"].startswith("bundled:")
        (warning,) = [record.getMessage() for record in caplog.records if "restart this process" in record.getMessage()]
        assert REBUILD in warning
    with pytest.raises(IndexMismatchError, match=REBUILD):
        Engine(old).ask(CANONICAL)
    with serving(load_config(folder / "config.yaml")) as client:
        answer = client.post("/v1/ask", json={"query": CANONICAL}).json()
        assert (answer["answer"]["value"], answer["index"]["model"]) == ("1097名", f"ours@{server.url}:256")


def test_an_endpoint_that_changes_its_dimension_or_goes_away(folder: Path, server: EmbeddingServer) -> None:
    configure(folder, "ours", base_url=server.url, timeout_s=1)
    assert run_qa("index", "--rebuild", folder=folder).returncode == 0
    server.answer = lambda body: reply([row[:100] for row in vectors(body["input"])])
    done = run_qa("ask", CANONICAL, folder=folder)
    assert_fails(done, EXIT_INDEX, f"'ours@{server.url}:256', but 'ours@{server.url}:100' is in use; run: {REBUILD}")
    configure(folder, "ours", base_url="http://127.0.0.1:9/v1")
    assert_fails(
        run_qa("search", "工会", folder=folder), EXIT_USAGE, "http://127.0.0.1:9/v1/embeddings can't be reached"
    )


def test_a_transformer_answers(tmp_path: Path) -> None:
    notes = make_corpus(tmp_path, "notes").corpus_folders["notes"]
    (notes / "library.md").write_text("# The library\n\nThe reading room holds 4321 books.\n\nIt opens at nine.\n")
    (notes / "garden.md").write_text("# The garden\n\nThere are 17 old trees.\n\nDogs must stay outside.\n")
    (tmp_path / "config.yaml").write_text(f"corpus: [notes]\nencoder: {{model: {MINILM}, batch_size: 2}}\n")
    engine = Engine.open(tmp_path / "config.yaml")
    report = engine.index()
    assert report.documents == 2
    response = engine.search("Where can I read a novel?", explain=True)
    assert response.hits[0].path == "notes/library.md"
    assert response.hits[0].explain is not None and response.hits[0].explain.dense > 0.3
    assert (response.index.model, len(engine.search("？！").hits)) == (engine.encoder.fingerprint, 0)
