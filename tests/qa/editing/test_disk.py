"""A disk that is full or read-only, and damaged files, while a server runs: it says so and goes on answering."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from qa.configuration.config import Config
from tests.qa.api.test_api_errors import assert_problem
from tests.qa.commands import COMMAND, assert_fails, environment, run_qa
from tests.qa.editing.administered import serving, with_keys
from tests.qa.editing.test_jobs import delete, listed
from tests.qa.editing.test_uploads import finished, send
from tests.qa.servers import make_corpus, wait_until

Mount = Callable[[Path, str], None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Puts a disk of its own, in memory, at a folder; skips where that is not allowed."""
    mounted: list[Path] = []

    def mount(folder: Path, options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("this user may not mount a disk")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    config = make_corpus(tmp_path, "papers")
    config.index_dir.mkdir()
    return with_keys(config)


def ask(client: httpx.Client) -> str | None:
    return client.post("/v1/ask", json={"query": "钟楼建于哪一年"}).json()["answer"]["value"]


def fill(folder: Path) -> Path:
    """Leave no room on a disk."""
    filler = folder / ".filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    return filler


def test_a_full_disk_of_documents(config, mount):
    papers = config.base / "papers"
    mount(papers, "size=2m")
    (papers / "tower.txt").write_text("钟楼建于1384年。", encoding="utf-8")
    with serving(config) as client:
        refused = send(client, ("small.txt", "x"), ("large.txt", b"x" * (4 << 20)))
        assert "make room" in assert_problem(refused, 507, "disk-full")
        assert [path.name for path in papers.rglob("*")] == ["tower.txt"]
        assert ask(client) == "1384年"
        assert finished(client, send(client, ("small.txt", "小文。")))["status"] == "done"
        document = listed(client)["papers/small.txt"]
        fill(papers)
        assert finished(client, delete(client, document))["status"] == "done"


def test_a_full_disk_of_the_index(config, mount, caplog):
    papers = config.base / "papers"
    (papers / "tower.txt").write_text("钟楼建于1384年。", encoding="utf-8")
    mount(config.index_dir, "size=20m")
    with serving(config) as client:
        filler = fill(config.index_dir)
        assert_problem(send(client, ("a.txt", "甲文。")), 507, "disk-full")
        assert [path.name for path in papers.rglob("*")] == ["tower.txt"]
        assert ask(client) == "1384年"
        filler.unlink()
        waiting = send(client, ("a.txt", "甲文。" * 20_000))
        fill(config.index_dir)
        wait_until(lambda: "jobs wait" in caplog.text)
        assert ask(client) == "1384年"
        filler.unlink()
        assert finished(client, waiting)["status"] == "done"
        assert "papers/a.txt" in listed(client)
    assert not [record for record in caplog.records if record.exc_info]


def test_a_read_only_disk_of_documents(config, mount):
    papers = config.base / "papers"
    mount(papers, "size=1m")
    (papers / "tower.txt").write_text("钟楼建于1384年。", encoding="utf-8")
    with serving(config) as client:
        document = listed(client)["papers/tower.txt"]
        subprocess.run(["mount", "-o", "remount,ro", str(papers)], check=True)
        for response in (send(client, ("a.txt", "x")), delete(client, document)):
            assert "Read-only" in assert_problem(response, 503, "disk-unwritable")
        assert ask(client) == "1384年"
        subprocess.run(["mount", "-o", "remount,rw", str(papers)], check=True)
        assert finished(client, delete(client, document))["status"] == "done"


def test_a_read_only_disk_of_the_index(config, mount, caplog):
    papers = config.base / "papers"
    (papers / "tower.txt").write_text("钟楼建于1384年。", encoding="utf-8")
    mount(config.index_dir, "size=20m")
    run_qa("index", folder=config.base)  # a process of its own: what is open for writing keeps a disk from being locked
    subprocess.run(["mount", "-o", "remount,ro", str(config.index_dir)], check=True)
    with serving(config) as client:
        assert ask(client) == "1384年"
        assert "Read-only" in assert_problem(send(client, ("a.txt", "x")), 503, "disk-unwritable")
        assert [path.name for path in papers.rglob("*")] == ["tower.txt"]
        subprocess.run(["mount", "-o", "remount,rw", str(config.index_dir)], check=True)
        assert finished(client, send(client, ("a.txt", "甲文。")))["status"] == "done"
        assert "papers/a.txt" in listed(client)
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any("Read-only file system" in line for line in lines)


def test_reading_begins_on_a_full_disk(config, mount, caplog):
    """What opens an index for reading writes nothing: a fresh command and a fresh server answer at 0 bytes free."""
    papers = config.base / "papers"
    (papers / "tower.txt").write_text("钟楼建于1384年。", encoding="utf-8")
    mount(config.index_dir, "size=20m")
    run_qa("index", folder=config.base)
    filler = fill(config.index_dir)
    for _ in range(2):  # also after the first attempt has left its traces
        answer = run_qa("ask", "钟楼建于哪一年", folder=config.base)
        assert (answer.returncode, "1384年" in answer.stdout) == (0, True)
        assert run_qa("search", "钟楼", folder=config.base).returncode == 0
    (papers / "a.txt").write_text("甲文。", encoding="utf-8")
    assert_fails(run_qa("index", folder=config.base), 3, "look at the disk's space")
    with serving(config) as client:
        assert ask(client) == "1384年"
        filler.unlink()
        assert finished(client, send(client, ("b.txt", "乙文。")))["status"] == "done"
        assert ask(client) == "1384年"
        assert "papers/b.txt" in listed(client)


def test_a_log_that_a_kill_left_is_read_on_a_full_disk(config, mount):
    papers = config.base / "papers"
    (papers / "tower.txt").write_text("钟楼建于1384年。", encoding="utf-8")
    mount(config.index_dir, "size=20m")
    run_qa("index", folder=config.base)
    (database,) = config.index_dir.glob("index-*/index.sqlite")
    killed = "import sqlite3, os, sys\nc = sqlite3.connect(sys.argv[1])\nc.execute('PRAGMA wal_autocheckpoint=0')\n"
    killed += "c.execute(\"UPDATE articles SET title = '新名'\")\nc.commit()\nos.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", killed, str(database)])
    fill(config.index_dir)
    assert "新名" in run_qa("ask", "钟楼建于哪一年", folder=config.base).stdout


def test_a_read_only_folder_of_the_index_is_one_clear_line(config, mount):
    papers = config.base / "papers"
    (papers / "tower.txt").write_text("钟楼建于1384年。", encoding="utf-8")
    mount(config.index_dir, "size=20m,ro")
    assert_fails(run_qa("index", folder=config.base), 3, "Read-only file system")
    subprocess.run(["mount", "-o", "remount,rw", str(config.index_dir)], check=True)
    run_qa("index", folder=config.base)
    subprocess.run(["mount", "-o", "remount,ro", str(config.index_dir)], check=True)
    assert_fails(run_qa("index", folder=config.base), 3, "Read-only file system")
    assert "1384年" in run_qa("ask", "钟楼建于哪一年", folder=config.base).stdout


def test_damaged_derived_files_are_made_again_by_the_next_job(config, caplog):
    papers = config.base / "papers"
    (papers / "tower.txt").write_text("钟楼建于1384年。", encoding="utf-8")
    with serving(config) as client:
        folder = config.index_dir / (config.index_dir / "current").read_text()
        for file in [
            folder / "vectors.faiss",
            *folder.glob("passages-*/meta.json"),
            *folder.glob("articles-*/meta.json"),
        ]:
            file.write_bytes(b"damaged")
        assert ask(client) == "1384年"
        assert finished(client, send(client, ("a.txt", "甲文。")))["status"] == "done"
        assert ask(client) == "1384年"
        assert len(listed(client)) == 2
    assert caplog.text.count("deriving the lexical index again") == 2


def test_commands_on_a_read_only_disk_of_the_index(config, mount):
    (config.base / "papers/tower.txt").write_text("钟楼建于1384年。", encoding="utf-8")
    mount(config.index_dir, "size=20m")
    for is_indexed in (False, True):
        if is_indexed:
            assert run_qa("index", folder=config.base).returncode == 0
        subprocess.run(["mount", "-o", "remount,ro", str(config.index_dir)], check=True)
        failed = run_qa("index", folder=config.base)
        assert_fails(failed, 3, "Read-only file system")
        assert_fails(run_qa("undelete", "papers/tower.txt", folder=config.base), 4, "nothing is kept")
        if is_indexed:
            assert "1384年" in run_qa("ask", "钟楼建于哪一年", folder=config.base).stdout
        subprocess.run(["mount", "-o", "remount,rw", str(config.index_dir)], check=True)


def test_asking_and_serving_start_on_a_disk_without_room(config, mount):
    (config.base / "papers/tower.txt").write_text("钟楼建于1384年。", encoding="utf-8")
    mount(config.index_dir, "size=20m")
    assert run_qa("index", folder=config.base).returncode == 0
    fill(config.index_dir)
    assert "1384年" in run_qa("ask", "钟楼建于哪一年", folder=config.base, TMPDIR=str(config.index_dir)).stdout
    with served(config.base, TMPDIR=str(config.index_dir)) as client:
        assert ask(client) == "1384年"
    assert_fails(run_qa("index", "--rebuild", folder=config.base), 3, "disk is full")


@contextmanager
def served(folder: Path, **variables: str) -> Iterator[httpx.Client]:
    """A client of `qa serve` as a process of its own."""
    command = [*COMMAND, "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(**variables), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr)
            address = next(found[0] for line in lines if (found := re.search(r"http://127[^ ;\"]+", line)))
            with httpx.Client(base_url=address, timeout=60) as client:
                yield client
        finally:
            process.terminate()
            process.communicate(timeout=60)
