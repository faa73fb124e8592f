"""Indexing by several processes gives the same index as by one, and survives the end of one of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from index.encoder import Encoder, Vectors
from index.encoder.static import BUNDLED_FOLDER, StaticEncoder
from index.errors import EncoderError
from index.indexing import ingest, workers
from index.indexing.build import sync
from index.indexing.report import SyncReport
from index.indexing.workers import Workers
from index.parsing import ReadText
from index.store import Store
from index.text.segmenter import PLAIN
from tests.conftest import BigramEncoder, seed

pytestmark = pytest.mark.slow


def corpus(base: Path, files: int = 40) -> Path:
    text = "".join(seed(number) for number in range(3))
    (base / "docs").mkdir(parents=True)
    for number in range(files):
        part = text[number * 500 : number * 500 + 900]
        (base / "docs" / f"{number:02}.txt").write_text(f"第{number}号文件\n\n{part}", encoding="utf-8")
    return base


def index(base: Path, encoder: Encoder | None = None) -> Store:
    chosen = encoder or StaticEncoder(BUNDLED_FOLDER)
    return sync({"docs": base / "docs"}, base / "data", chosen, base=base)[0]


def content(store: Store) -> list[object]:
    passages = store.passages(range(1, 2000))
    vectors = {found.row: found.codes for found in store.vectors(passages)}
    return [(passage, vectors[row], store.clusters([row])) for row, passage in sorted(passages.items())]


def test_several_processes_make_the_same_index_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = index(corpus(tmp_path / "one"))
    started = []
    start = Workers._start

    def count_and_start(workers: Workers) -> None:
        started.append(1)
        start(workers)

    monkeypatch.setattr(Workers, "_start", count_and_start)
    monkeypatch.setattr(ingest, "_MUCH_CHARS", 3000)
    monkeypatch.setattr(ingest, "_BATCH_CHARS", 2000)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    together = index(corpus(tmp_path / "two"))
    assert len(started) == 2
    assert content(together) == content(alone)
    for token in ("工会", "职工", "帮扶"):
        assert together.document_frequency(token) == alone.document_frequency(token) > 0


def test_no_process_is_started_for_little_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(Workers, "_start", lambda self: pytest.fail("a process was started"))
    store = index(corpus(tmp_path / "one", files=5))
    assert store.counts()[0] == 5 and store.document_frequency("工会") > 0


def test_work_is_handed_over_when_it_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(workers, "_MUCH_S", 1e-6)
    batches = [[ReadText(seed(number))] for number in range(3)]
    with Workers(StaticEncoder(BUNDLED_FOLDER), PLAIN) as several:
        results = list(several.map("digests", batches))
        assert len(several._processes) == 2
    alone = Workers(StaticEncoder(BUNDLED_FOLDER), PLAIN)._work
    assert [digests[0].sections for digests in results] == [alone.digests(batch)[0].sections for batch in batches]


def test_what_a_killed_process_was_given_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(workers, "_MUCH_S", 0.0)
    with Workers(StaticEncoder(BUNDLED_FOLDER), PLAIN) as several:
        batches = [[ReadText(seed(number))] for number in range(3)]
        results = several.map("digests", batches * 2)
        first = next(results)
        for process in several._processes:
            os.kill(process.pid, signal.SIGKILL)
        digested = [first, *results]
    assert [digests[0].sections for digests in digested[:3]] == [digests[0].sections for digests in digested[3:]]


def test_processes_end_with_their_pipe() -> None:
    several = Workers(StaticEncoder(BUNDLED_FOLDER), PLAIN)
    several._start()
    process = several._processes[0]
    several._tasks.put(None)  # its pipe is closed, as the end of this process would close it
    assert process.wait(30) == 0


class _Failing(BigramEncoder):
    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        if any("第7号" in text for text in texts):
            raise EncoderError("does not answer")
        return super().encode_documents(texts)


def test_an_encoders_error_keeps_what_came_before_it(tmp_path: Path) -> None:
    base = corpus(tmp_path / "one", 12)
    with pytest.raises(EncoderError, match="does not answer"):
        index(base, _Failing())
    _, report = sync({"docs": base / "docs"}, base / "data", BigramEncoder(), base=base)
    assert (report.unchanged, len(report.added)) == (7, 5)


def test_progress_is_told_of_what_is_stored(tmp_path: Path) -> None:
    base = corpus(tmp_path / "one", 5)
    told: list[tuple[str, float, int]] = []

    def run() -> SyncReport:
        told.clear()
        _, report = sync(
            {"docs": base / "docs"},
            base / "data",
            BigramEncoder(),
            base=base,
            progress=lambda what, done, total: told.append((what, done, total)),
        )
        return report

    report = run()
    words = [step for step in told if step[0] == "words"]
    assert [done for what, done, _ in told if what != "words"] == [0, 1, 2, 3, 4]
    assert words[-1] == ("words", report.passages, report.passages)
    # What is replaced does not count.
    for path in (base / "docs").iterdir():
        path.write_text(path.read_text() + "又一段。\n")
    run()
    assert all(done <= total for _, done, total in told) and told[-1][1] == told[-1][2]
