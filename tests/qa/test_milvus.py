"""`qa index` and several `qa serve` on one Milvus server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import CANONICAL, SEEDS, seed
from tests.milvus_server import milvus, own_prefix
from tests.qa.commands import COMMAND, assert_fails, run_qa
from tests.qa.servers import wait_until
from tests.qa.serving.test_supervisor import Served, served


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("qa-milvus")
    with milvus(made) as uri, own_prefix(uri) as options:
        shutil.copytree(SEEDS, made / "seeds")
        settings = f"milvus: {{uri: '{uri}', collection_prefix: {options.prefix}}}\n"
        (made / "config.yaml").write_text(f"corpus: [seeds]\nstore: milvus\n{settings}", encoding="utf-8")
        indexed = run_qa("index", folder=made)
        assert indexed.returncode == 0, indexed.stderr
        yield made


def replica(folder: Path, at: Path) -> list[str]:
    """The command of a server that has its configuration and nothing else."""
    shutil.copy(folder / "config.yaml", at / "config.yaml")
    return [*COMMAND, "serve", "--config", str(at / "config.yaml"), "--port", "0"]


def check_answer(server: Served) -> None:
    found = server.client.post("/v1/ask", json={"query": CANONICAL}).json()
    assert found["answer"]["value"] == "1097名"
    (citation, *_) = found["citations"]
    text = server.client.get(f"/v1/documents/{citation['document_id']}/text").text
    assert text == seed(0)
    assert text[citation["start"] : citation["end"]] == citation["quote"]
    assert "1097名" in citation["quote"] and citation["path"] == "seeds/000_ae71b4d254c1ee34.txt"


def is_ready(server: Served) -> bool:
    return server.client.get("/readyz").status_code == 200


def finds_added(server: Served) -> bool:
    return paths(server, "敦煌壁画修复了多少")[:1] == ["seeds/added.txt"]


def paths(server: Served, query: str) -> list[str]:
    return [hit["path"] for hit in server.client.post("/v1/search", json={"query": query}).json()["hits"]]


def test_two_servers_without_documents_answer_and_see_what_is_added(folder: Path, tmp_path: Path) -> None:
    homes = [tmp_path / "one", tmp_path / "two"]
    for home in homes:
        home.mkdir()
    with served(replica(folder, homes[0])) as one, served(replica(folder, homes[1])) as two:
        for server in (one, two):
            wait_until(partial(is_ready, server))
            check_answer(server)
        (folder / "seeds" / "added.txt").write_text("敦煌研究院修复了三百二十平方米壁画。", encoding="utf-8")
        added = run_qa("index", folder=folder)
        assert "1 added" in added.stderr, added.stderr
        for server in (one, two):
            wait_until(partial(finds_added, server))
            check_answer(server)
        examples = one.client.get("/v1/examples")
        assert examples.status_code == 200 and examples.json()["questions"]


def test_commands_work_on_it(folder: Path) -> None:
    asked = run_qa("ask", CANONICAL, folder=folder)
    assert (asked.returncode, "1097名" in asked.stdout) == (0, True), asked.stderr
    doctor = run_qa("doctor", folder=folder)
    assert doctor.returncode == 0, doctor.stdout
    assert "Milvus" in doctor.stdout
    assert "0 changed, 0 removed" in run_qa("index", folder=folder).stderr


def test_what_it_can_not_do_is_said(folder: Path, tmp_path: Path) -> None:
    assert_fails(run_qa("backup", str(tmp_path / "a.zip"), folder=folder), 2, "milvus-backup")
    assert_fails(run_qa("ask", "x", folder=folder, QA_MILVUS_URI="http://127.0.0.1:9"), 3, "can't be reached")
