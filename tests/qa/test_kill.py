"""`qa index` killed at random moments loses nothing."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from qa.engine import Engine
from tests.qa.commands import COMMAND, environment, run_qa
from tests.qa.servers import make_corpus

DOCUMENTS = 80
KILLS = 5


def text(number: int, version: int) -> str:
    topic = "甲乙丙丁戊己庚辛壬癸"[number % 10]
    parts = [
        f"第{number}号文件的第{version}版说到{topic}类事情的第{part}个方面,一共有{number * part}件。"
        for part in range(15)
    ]
    return "这一段在每个文件里都有,内容完全一样,是单位的介绍。\n\n" + "\n\n".join(parts)


def partition(engine: Engine) -> set[frozenset[str]]:
    """The clusters, by passage ids; every passage is in one."""
    store = engine.store
    passages = store.passages(range(1, 10 * DOCUMENTS * 31))
    found: dict[int, set[str]] = {}
    for row, leader in store.clusters(passages).items():
        found.setdefault(leader, set()).add(passages[row].id)
    return set(map(frozenset, found.values()))


def test_kill_at_random_moments(tmp_path: Path) -> None:
    make_corpus(tmp_path, "papers")
    papers, chance = tmp_path / "papers", random.Random(7)
    for number in range(DOCUMENTS):
        (papers / f"{number}.txt").write_text(text(number, 1), encoding="utf-8")
    for version in range(2, 2 + KILLS):
        process = subprocess.Popen([*COMMAND, "index"], cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=chance.uniform(0.6, 2.5))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for number in chance.sample(range(DOCUMENTS), 20):
            (papers / f"{number}.txt").write_text(text(number, version), encoding="utf-8")
        moved = papers / f"{chance.randrange(DOCUMENTS)}.txt"
        moved.rename(papers / f"moved-{version}.txt")
        (papers / moved.name).write_text(text(0, version), encoding="utf-8")
    done = run_qa("index", folder=tmp_path)
    assert (done.returncode, "0 skipped" in done.stderr) == (0, True), done.stderr
    doctor = run_qa("doctor", folder=tmp_path)
    assert doctor.returncode == 0, doctor.stdout
    engine = Engine.open(tmp_path / "config.yaml")
    read = {info.path: engine.document(info.id).text for info in engine.documents()}
    assert read == {f"papers/{path.name}": path.read_text(encoding="utf-8") for path in papers.iterdir()}
    found = partition(engine)
    engine.index(rebuild=True)
    assert found == partition(engine)
