"""The local store through its whole life: made, changed, read, killed, damaged."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from index.errors import (
    ConfigError,
    IndexBusyError,
    IndexDamagedError,
    IndexMismatchError,
    IndexMissingError,
)
from index.indexing import build, folders
from index.indexing.build import sync
from index.indexing.report import SyncReport
from index.retrieval.search import search
from index.store import Settings
from index.store.lexical import LexicalIndex
from index.store.local import LocalStore, current_folder
from index.store.location import open_store, writing
from index.store.terms import LexicalEntry
from index.store.vectors import VectorIndex
from index.types import Filters
from tests.conftest import SEEDS, BigramEncoder


class Corpus:
    """A folder of documents with an index beside it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.folder = base / "docs"
        self.folder.mkdir()
        self.data = base / "data"
        self.encoder = BigramEncoder()

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(1, path.stat().st_mtime_ns - 10_000_000_000))
        return path

    def sync(self, *only: Path, rebuild: bool = False) -> SyncReport:
        corpus = {"docs": self.folder}
        return sync(corpus, self.data, self.encoder, base=self.base, only=only, rebuild=rebuild)[1]

    def open(self) -> LocalStore:
        return open_store(self.data, Settings(self.encoder.fingerprint))

    def find(self, query: str, **filters: object) -> list[str]:
        hits = search(self.open(), self.encoder, query, top_k=3, filters=Filters(**filters))  # type: ignore[arg-type]
        return [hit.passage.path for hit in hits]


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    made = Corpus(tmp_path)
    made.write("lanzhou.txt", "兰州帮扶中心帮助1097名困难家庭子女圆了大学梦。")
    made.write("wuwei.txt", "武威市总工会资助困难学生2436人。")
    made.write("deep/notes.md", "# 备忘\n\n苹果和香蕉都是水果,应当每天吃一些。")
    return made


def test_first_sync_then_nothing(corpus: Corpus) -> None:
    first, second = corpus.sync(), corpus.sync()
    assert (len(first.added), first.documents, first.passages) == (3, 3, 3)
    assert (second.added, second.changed, second.removed, second.unchanged) == ([], [], [], 3)
    assert second.generation == first.generation == 3
    assert corpus.find("兰州大学梦")[0] == "docs/lanzhou.txt"


def test_a_change_costs_that_file_only(corpus: Corpus) -> None:
    corpus.sync()
    corpus.write("wuwei.txt", "武威市总工会新建图书馆一座。")
    report = corpus.sync()
    assert (report.changed, report.unchanged) == (["docs/wuwei.txt"], 2)
    assert corpus.find("图书馆")[0] == "docs/wuwei.txt"
    assert "2436" not in "".join(p.text for p in corpus.open().passages(range(20)).values())


def test_added_and_removed_files(corpus: Corpus) -> None:
    corpus.sync()
    (corpus.folder / "wuwei.txt").unlink()
    corpus.write("nantong.txt", "南通有苏通大桥。")
    report = corpus.sync()
    assert (report.added, report.removed, report.unchanged) == (["docs/nantong.txt"], ["docs/wuwei.txt"], 2)
    assert corpus.find("苏通大桥")[0] == "docs/nantong.txt"
    assert "docs/wuwei.txt" not in corpus.find("武威总工会资助困难学生")


def test_a_file_that_goes_while_others_are_read_is_no_refusal(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = folders.list_files

    def list_and_remove(*arguments: Any) -> Any:
        listing = listed(*arguments)
        (corpus.folder / "wuwei.txt").unlink()
        return listing

    with monkeypatch.context() as patched:
        patched.setattr(build, "list_files", list_and_remove)
        report = corpus.sync()
    assert (len(report.added), report.skipped, report.documents) == (2, [], 2)
    (corpus.folder / "broken.txt").symlink_to("nowhere.txt")
    assert [message.partition(":")[0] for message in corpus.sync().skipped] == ["docs/broken.txt"]


def test_touching_a_file_without_changing_it_changes_nothing(corpus: Corpus) -> None:
    before = corpus.sync().generation
    os.utime(corpus.folder / "wuwei.txt")
    report = corpus.sync()
    assert (report.changed, report.unchanged, report.generation) == ([], 3, before)


def test_a_change_within_the_clock_tick_is_seen(corpus: Corpus) -> None:
    path = corpus.folder / "wuwei.txt"
    path.write_text("甲乙丙丁。", encoding="utf-8")
    corpus.sync()
    status = path.stat()
    path.write_text("戊己庚辛。", encoding="utf-8")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert corpus.sync().changed == ["docs/wuwei.txt"]


def test_only_some_paths(corpus: Corpus) -> None:
    corpus.sync()
    corpus.write("lanzhou.txt", "兰州新文。")
    corpus.write("deep/notes.md", "新备忘。")
    assert corpus.sync(corpus.folder / "deep").changed == ["docs/deep/notes.md"]
    with pytest.raises(ConfigError, match="outside the corpus"):
        corpus.sync(corpus.base)
    with pytest.raises(ConfigError, match="no such file"):
        corpus.sync(corpus.folder / "nowhere")


def test_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        sync({"x": tmp_path / "nowhere"}, tmp_path / "data", BigramEncoder(), base=tmp_path)
    assert not (tmp_path / "data").exists()


def test_bad_files_are_reported_and_the_rest_is_indexed(corpus: Corpus) -> None:
    (corpus.folder / "binary.txt").write_bytes(b"\x00\x01\x02" * 50)
    (corpus.folder / "page.xyz").write_text("unknown")
    (corpus.folder / "gone.txt").symlink_to(corpus.folder / "nowhere.txt")
    (corpus.folder / "loop.txt").symlink_to(corpus.folder / "loop.txt")
    (corpus.folder / "out.txt").symlink_to(SEEDS / "000_ae71b4d254c1ee34.txt")
    os.mkfifo(corpus.folder / "pipe.txt")
    report = corpus.sync()
    assert report.documents == 3
    assert len(report.skipped) == 6
    for name in ("binary.txt", "page.xyz", "gone.txt", "out.txt", "pipe.txt", "loop.txt"):
        assert sum(name in line for line in report.skipped) == 1


def test_a_file_that_turns_bad_keeps_its_last_version(corpus: Corpus) -> None:
    corpus.sync()
    (corpus.folder / "wuwei.txt").write_bytes(b"\x00\x01\x02" * 50)
    report = corpus.sync()
    assert "last version stays" in report.skipped[0]
    assert corpus.find("武威总工会资助困难学生")[0] == "docs/wuwei.txt"


def test_same_name_in_two_collections(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text(f"同样的文字。{name}", encoding="utf-8")
    folders = {"a": tmp_path / "a", "b": tmp_path / "b"}
    store, report = sync(folders, tmp_path / "data", BigramEncoder(), base=tmp_path)
    assert report.documents == 2
    assert {info.collection for info in store.documents()} == {"a", "b"}


def test_an_index_inside_the_corpus_is_passed_over(corpus: Corpus) -> None:
    corpus.data = corpus.folder / "index"
    corpus.sync()
    again = corpus.sync()
    assert (again.skipped, again.unchanged) == ([], 3)


def test_ids_do_not_change_when_the_index_is_made_again(corpus: Corpus) -> None:
    corpus.sync()
    before = [info.id for info in corpus.open().documents()]
    corpus.sync(rebuild=True)
    assert [info.id for info in corpus.open().documents()] == before


@pytest.mark.parametrize(
    ("filters", "allowed"),
    [
        ({"path": "docs/deep/*"}, {"docs/deep/notes.md"}),
        ({"path": "docs/w*"}, {"docs/wuwei.txt"}),
        ({"collection": ("docs",)}, {"docs/lanzhou.txt", "docs/wuwei.txt", "docs/deep/notes.md"}),
        ({"collection": ("other",)}, set()),
        ({"document_id": ("none",)}, set()),
    ],
)
def test_filters(corpus: Corpus, filters: dict[str, object], allowed: set[str]) -> None:
    corpus.sync()
    assert set(corpus.find("资助困难学生 大学梦 水果", **filters)) <= allowed


def test_open_without_an_index(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match="qa index"):
        open_store(tmp_path, Settings("x"))


def test_an_index_of_another_model_is_refused(corpus: Corpus) -> None:
    corpus.sync()
    with pytest.raises(IndexMismatchError, match="encoder .* qa index --rebuild"):
        open_store(corpus.data, Settings("other"))
    with (
        pytest.raises(IndexMismatchError),
        writing(corpus.data, Settings("other"), lambda: 64),
    ):
        pass


def test_a_second_writer_is_refused_and_readers_go_on(corpus: Corpus) -> None:
    corpus.sync()
    with writing(corpus.data, Settings(corpus.encoder.fingerprint), lambda: 64):
        with pytest.raises(IndexBusyError, match="another process"):
            corpus.sync()
        assert corpus.find("兰州大学梦")[0] == "docs/lanzhou.txt"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["vectors.faiss", "vectors.json", "passages-rjieba", "articles-rjieba", "clusters.sqlite"]
)
@pytest.mark.parametrize("damage", ["gone", "garbage", "cut"])
def test_damaged_derived_files_are_made_again(corpus: Corpus, name: str, damage: str) -> None:
    corpus.sync()
    expected = corpus.find("兰州大学梦")
    folder = current_folder(corpus.data)
    assert folder is not None
    target = folder / name
    gc.collect()
    for path in [target] if target.is_file() else sorted(p for p in target.iterdir() if p.suffix != ".lock"):
        content = path.read_bytes()
        path.unlink()  # a new file: to cut one short that is still mapped into memory would kill any reader
        if damage != "gone":
            path.write_bytes(b"garbage" * 10 if damage == "garbage" else content[: len(content) // 2])
    assert corpus.find("兰州大学梦") == expected
    assert corpus.sync().unchanged == 3


def test_a_damaged_database_is_refused_with_what_to_run(corpus: Corpus) -> None:
    corpus.sync()
    folder = current_folder(corpus.data)
    assert folder is not None
    for path in folder.glob("index.sqlite*"):
        path.write_bytes(b"not a database" * 100)
    with pytest.raises(IndexDamagedError, match="qa index --rebuild"):
        corpus.open()
    assert corpus.sync(rebuild=True).documents == 3
    assert corpus.find("兰州大学梦")[0] == "docs/lanzhou.txt"


def test_a_stale_reader_keeps_answering_and_knows_that_it_is_stale(corpus: Corpus) -> None:
    corpus.sync()
    reader = corpus.open()
    assert not reader.is_stale()
    corpus.write("nantong.txt", "南通有苏通大桥。")
    corpus.sync()
    assert reader.is_stale()
    assert search(reader, corpus.encoder, "兰州大学梦")[0].passage.path == "docs/lanzhou.txt"
    assert corpus.open().generation > reader.generation


def test_many_threads_read_at_once(corpus: Corpus) -> None:
    corpus.sync()
    store, failures = corpus.open(), []

    def read() -> None:
        for _ in range(20):
            if search(store, corpus.encoder, "兰州大学梦")[0].passage.path != "docs/lanzhou.txt":
                failures.append("wrong")

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


_SLOW_SYNC = """
import sys, time
from pathlib import Path
from index.indexing.build import sync
from tests.conftest import BigramEncoder
base = Path(sys.argv[1])
def progress(what, done, total):
    print(done, flush=True)
    time.sleep(0.02)
sync({"docs": base / "docs"}, base / "data", BigramEncoder(), base=base, progress=progress)
"""


@pytest.mark.parametrize("after", [1, 7, 15, 19])
def test_kill_in_the_middle_of_indexing_loses_nothing(tmp_path: Path, after: int) -> None:
    corpus = Corpus(tmp_path)
    for number in range(24):
        corpus.write(f"{number:02}.txt", f"第{number}号文件讲的是{'甲乙丙丁戊己庚辛壬癸'[number % 10]}类事情。")
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOW_SYNC, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=SEEDS.parent
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= after:
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    process.wait()
    with pytest.raises(IndexMissingError):
        corpus.open()  # a half-made first index is not answered from
    report = corpus.sync()
    assert report.documents == 24
    assert report.unchanged >= after - 1  # what was stored before the kill is not read again
    assert corpus.open().database.check() == "ok"
    assert corpus.find("第13号文件")[0] == "docs/13.txt"


def test_interrupted_rebuild_leaves_the_old_index_in_place(corpus: Corpus) -> None:
    corpus.sync()

    def fail(what: str, done: float, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync({"docs": corpus.folder}, corpus.data, corpus.encoder, base=corpus.base, rebuild=True, progress=fail)
    assert corpus.find("兰州大学梦")[0] == "docs/lanzhou.txt"
    corpus.sync(rebuild=True)
    corpus.sync(rebuild=True)
    assert len(list(corpus.data.glob("index-*"))) == 2  # the current one, and the one that readers may still be in


def test_vector_checkpoint_is_not_rewritten_for_a_small_change(corpus: Corpus) -> None:
    for number in range(30):
        corpus.write(f"{number}.txt", f"文件{number}的内容。")
    corpus.sync()
    folder = current_folder(corpus.data)
    assert folder is not None
    before = json.loads((folder / "vectors.json").read_text())
    corpus.write("one.txt", "又一个文件说到长颈鹿。")
    corpus.sync()
    assert json.loads((folder / "vectors.json").read_text()) == before
    assert corpus.find("长颈鹿")[0] == "docs/one.txt"
    assert len(VectorIndex.load(folder / "vectors.faiss", 64)) == before["vectors"]


def test_a_moved_file_keeps_its_passages_and_vectors(corpus: Corpus) -> None:
    corpus.write("copy.txt", "武威市总工会资助困难学生2436人。")
    corpus.sync()
    rows = {p.path: p.row for p in corpus.open().passages(range(20)).values()}
    (corpus.folder / "lanzhou.txt").rename(corpus.folder / "deep" / "兰州.txt")
    (corpus.folder / "wuwei.txt").rename(corpus.folder / "copy.txt")
    corpus.encoder.encode_documents = None  # type: ignore[assignment, method-assign]
    report = corpus.sync()
    assert (report.added, report.changed) == ([], [])
    assert (report.moved, report.removed, report.documents) == (["docs/deep/兰州.txt"], ["docs/wuwei.txt"], 3)
    passages = {p.path: p for p in corpus.open().passages(range(20)).values()}
    moved = passages["docs/deep/兰州.txt"]
    assert moved.row == rows["docs/lanzhou.txt"]
    assert corpus.open().document(moved.document_id).path == "docs/deep/兰州.txt"
    del corpus.encoder.encode_documents
    assert corpus.find("兰州大学梦")[0] == "docs/deep/兰州.txt"
    ids = {info.id for info in corpus.open().documents()}
    corpus.sync(rebuild=True)
    assert {info.id for info in corpus.open().documents()} == ids


def test_a_move_onto_another_file_replaces_it(corpus: Corpus) -> None:
    corpus.sync()
    (corpus.folder / "lanzhou.txt").rename(corpus.folder / "wuwei.txt")
    report = corpus.sync()
    assert (report.moved, report.removed, report.documents) == (["docs/wuwei.txt"], [], 2)
    assert corpus.find("兰州大学梦")[0] == "docs/wuwei.txt"
    assert all("2436" not in p.text for p in corpus.open().passages(range(20)).values())


def test_a_file_that_changes_its_type_is_read_again(corpus: Corpus) -> None:
    corpus.write("notes.txt", "# 备忘\n\n应当每天吃一些水果。")
    corpus.sync()
    (corpus.folder / "notes.txt").rename(corpus.folder / "notes.md")
    report = corpus.sync()
    assert (report.added, report.moved, report.removed) == (["docs/notes.md"], [], ["docs/notes.txt"])


def test_document_frequency_of_removed_documents(tmp_path: Path) -> None:
    """tantivy goes on counting what was removed; more documents than there are would turn weights negative."""
    lexical = LexicalIndex(tmp_path / "lexical")
    for generation in range(1, 6):
        entries = [LexicalEntry(10 * generation + row, 1, "word") for row in range(3)]
        with lexical.changing([10 * (generation - 1) + row for row in range(3)], generation) as change:
            for entry in entries:
                change.add(entry)
    assert len(lexical) == 3
    assert lexical.document_frequency("word") == 3
