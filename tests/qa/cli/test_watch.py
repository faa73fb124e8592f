"""`qa index --watch` as a process: what it prints, and that nothing stops it but a signal."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qa.engine import Engine
from tests.qa.commands import COMMAND, assert_fails, environment, run_qa
from tests.qa.servers import make_corpus


class Watch:
    """A running watch and the lines that it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line.rstrip("\n"))

    def expect(self, *words: str) -> str:
        """The next line, which holds all of `words`."""
        line = self._lines.get(timeout=60)
        assert all(word in line for word in words), line
        return line

    def rest(self) -> list[str]:
        return list(self._lines.queue)


@contextmanager
def watching(folder: Path) -> Iterator[Watch]:
    command = [*COMMAND, "index", "--watch"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Watch(process)
        finally:
            process.kill()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    make_corpus(tmp_path, "papers", "notes")
    (tmp_path / "papers/a.txt").write_text("甲地有苹果。", encoding="utf-8")
    return tmp_path


def test_watch_follows_files_through_their_life(base: Path) -> None:
    engine = Engine.open(base / "config.yaml")
    with watching(base) as watch:
        watch.expect("indexed 1 documents", "1 added")
        assert [hit.path for hit in engine.search("苹果").hits] == ["papers/a.txt"]
        (base / "papers/b.txt").write_text("乙地有香蕉。", encoding="utf-8")
        watch.expect("indexed 2 documents", "1 added")
        assert engine.search("香蕉").hits[0].path == "papers/b.txt"
        (base / "papers/deep").mkdir()
        (base / "papers/b.txt").rename(base / "papers/deep/c.txt")
        watch.expect("indexed 2 documents", "1 moved")
        (base / "papers/a.txt").write_text("丙地有樱桃。", encoding="utf-8")
        watch.expect("1 changed")
        (base / "papers/.hidden.txt").write_text("看不见。")
        os.symlink(base / "nowhere", base / "papers/gone.txt")
        watch.expect("skipped", "gone.txt")
        watch.expect("1 skipped")
        (base / "papers/a.txt").unlink()
        watch.expect("indexed 1 documents", "1 removed")
        watch.process.send_signal(signal.SIGTERM)
        assert watch.process.wait(timeout=60) == 0
        assert watch.rest() == []


def test_watch_waits_for_a_folder_that_is_removed_and_comes_back(base: Path) -> None:
    with watching(base) as watch:
        watch.expect("1 added")
        shutil.move(base / "papers", base / "elsewhere")
        watch.expect("papers: is not there; what was read from it stays")
        (base / "notes/n.txt").write_text("备忘录。", encoding="utf-8")
        watch.expect("indexed 2 documents", "1 added", "0 removed")
        (base / "elsewhere/z.txt").write_text("丁地有葡萄。", encoding="utf-8")
        shutil.move(base / "elsewhere", base / "papers")
        watch.expect("indexed 3 documents", "1 added")
        (base / "papers/z.txt").write_text("戊地有西瓜。", encoding="utf-8")
        watch.expect("1 changed")
        watch.process.send_signal(signal.SIGINT)
        assert watch.process.wait(timeout=60) == 0
        assert watch.rest() == []


def test_watch_takes_no_paths(base: Path) -> None:
    assert_fails(run_qa("index", "papers", "--watch", folder=base), 2, "--watch follows the whole corpus")


def test_watch_waits_for_a_folder_that_was_emptied_and_is_filled_again(base: Path) -> None:
    engine = Engine.open(base / "config.yaml")
    with watching(base) as watch:
        watch.expect("1 added")
        (base / "papers/a.txt").rename(base / "a.txt")
        watch.expect("papers: is empty, but 1 files", "run: qa index --allow-empty")
        (base / "notes/n.txt").write_text("备忘录。", encoding="utf-8")
        watch.expect("indexed 2 documents", "1 added", "0 removed")
        assert engine.search("苹果").hits[0].path == "papers/a.txt"
        (base / "a.txt").rename(base / "papers/a.txt")
        (base / "papers/b.txt").write_text("乙地有香蕉。", encoding="utf-8")
        watch.expect("indexed 3 documents", "1 added", "0 removed")
        watch.process.send_signal(signal.SIGTERM)
        assert watch.process.wait(timeout=60) == 0
        assert watch.rest() == []


def test_a_folder_that_is_empty_is_refused_unless_it_is_meant_to_be(base: Path) -> None:
    run_qa("index", folder=base)
    (base / "papers/a.txt").unlink()
    for options in ([], ["--rebuild"]):
        assert_fails(run_qa("index", *options, folder=base), 4, "papers: is empty, but 1 files")
    assert_fails(run_qa("index", "--watch", "--allow-empty", folder=base), 2, "--allow-empty")
    done = run_qa("index", "--allow-empty", folder=base)
    assert (done.returncode, "1 removed" in done.stderr) == (0, True)
