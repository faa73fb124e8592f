"""What every store does, the local one and a Milvus server alike.

The server is a milvus-lite process, or the one that CITED_QA_TEST_MILVUS names.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from index.errors import IndexBusyError, IndexMismatchError, IndexMissingError
from index.store import Settings, Store
from index.store.codes import decode, width
from index.store.location import LocalLocation
from index.store.milvus.store import MilvusLocation
from index.store.terms import AnyOf
from index.text.fold import fold_text
from index.text.tokens import query_tokens
from index.types import Filters
from tests.conftest import ROOT, seed
from tests.index.shelf import Shelf
from tests.milvus_server import own_prefix
from tests.qa.servers import wait_until

MakeShelf = Callable[[Path], Shelf]


@pytest.fixture(params=["local", "milvus"])
def make(request: pytest.FixtureRequest) -> Iterator[MakeShelf]:
    with ExitStack() as stack:

        def made(base: Path) -> Shelf:
            if request.param == "local":
                return Shelf(base, LocalLocation(base / "data"))
            options = stack.enter_context(own_prefix(request.getfixturevalue("milvus_uri")))
            return Shelf(base, MilvusLocation(options))

        yield made


@pytest.fixture
def shelf(make: MakeShelf, tmp_path: Path) -> Shelf:
    made = make(tmp_path)
    made.write("docs/lanzhou.txt", "兰州帮扶中心帮助1097名困难家庭子女圆了大学梦。")
    made.write("docs/wuwei.txt", "武威市总工会资助困难学生2436人。")
    made.write("docs/deep/no_tes.md", "# 备忘\n\n苹果和香蕉都是水果,应当每天吃一些。")
    made.write("more/[x]nantong.txt", "南通有苏通大桥,桥长三十二公里。")
    return made


def test_first_sync_then_nothing(shelf: Shelf) -> None:
    with pytest.raises(IndexMissingError, match="qa index"):
        shelf.open()
    first, second = shelf.sync(), shelf.sync()
    assert (len(first.added), first.documents, first.passages) == (4, 4, 4)
    assert (second.added, second.changed, second.removed, second.unchanged) == ([], [], [], 4)
    assert second.generation == first.generation > 0
    store = shelf.open()
    assert store.generation == first.generation
    assert (store.counts(), store.dim, store.check(), store.is_stale()) == ((4, 4), 64, "ok", False)
    assert store.is_there()
    assert store.units == sum(len(found.codes) // width(store.dim) for found in store.vectors(_rows(store)))


def test_a_document_that_is_changed_added_or_removed(shelf: Shelf) -> None:
    generations = [shelf.sync().generation]
    shelf.write("docs/wuwei.txt", "武威市总工会新建图书馆一座。")
    assert shelf.sync().changed == ["docs/wuwei.txt"]
    store = shelf.open()
    generations.append(store.generation)
    assert shelf.find("图书馆", store)[0] == "docs/wuwei.txt"
    assert "2436" not in "".join(passage.text for passage in store.passages(range(200)).values())
    assert store.document_frequency("2436") <= 1  # tantivy may count it until it merges its segments
    (shelf.base / "docs/wuwei.txt").unlink()
    shelf.write("docs/beijing.txt", "北京有一座电视塔。")
    report = shelf.sync()
    assert (report.added, report.removed) == (["docs/beijing.txt"], ["docs/wuwei.txt"])
    assert shelf.find("电视塔")[0] == "docs/beijing.txt"
    assert "docs/wuwei.txt" not in shelf.find("武威市总工会图书馆")
    generations.append(report.generation)
    assert generations == sorted(set(generations))
    assert shelf.open().counts() == (4, 4)


def test_many_changes_leave_what_one_sync_of_the_result_gives(make: MakeShelf, tmp_path: Path) -> None:
    changed, fresh = make(tmp_path / "changed"), make(tmp_path / "fresh")
    texts = {f"docs/{number}.txt": f"第{number}号文件讲的是{'甲乙丙丁戊己庚辛'[number]}类事情。" for number in range(8)}
    for round_ in range(4):
        for number, (path, text) in enumerate(texts.items()):
            if number % 4 == round_:
                (changed.base / path).unlink(missing_ok=True)
            else:
                changed.write(path, f"{text}第{round_}轮。")
        changed.sync()
    for file in (changed.base / "docs").iterdir():
        fresh.write(f"docs/{file.name}", file.read_text(encoding="utf-8"))
    fresh.sync()
    after, expected = changed.open(), fresh.open()
    assert after.counts() == expected.counts()
    assert after.check() == expected.check() == "ok"
    assert [info.id for info in after.documents()] == [info.id for info in expected.documents()]
    for token in query_tokens(fold_text("第3号文件讲的是甲乙丙丁类事情第2轮")):
        assert after.document_frequency(token) == expected.document_frequency(token), token
    for query in ("第3号文件", "庚类事情", "第二轮丁类"):
        assert _scores(changed, after, query) == pytest.approx(_scores(fresh, expected, query), rel=0.005)


def _scores(shelf: Shelf, store: Store, query: str) -> dict[str, float]:
    return {hit.passage.path: hit.score for hit in shelf.hits(query, store)}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"path": "docs/deep/*"}, {"docs/deep/no_tes.md"}),
        ({"path": "docs/*"}, {"docs/lanzhou.txt", "docs/wuwei.txt", "docs/deep/no_tes.md"}),
        ({"path": "docs/?uwei.txt"}, {"docs/wuwei.txt"}),
        ({"path": "*/no_tes.md"}, {"docs/deep/no_tes.md"}),
        ({"path": "docs/[!w]*.txt"}, {"docs/wuwei.txt"}),
        ({"path": "docs/[^w]*.txt"}, {"docs/lanzhou.txt"}),
        ({"path": "more/[[]x]*"}, {"more/[x]nantong.txt"}),
        ({"path": "DOCS/*"}, set()),
        ({"path": '"); delete \\'}, set()),
        ({"collection": ("more",)}, {"more/[x]nantong.txt"}),
        ({"collection": ("docs", "more"), "path": "*nantong*"}, {"more/[x]nantong.txt"}),
        ({"collection": ("other",)}, set()),
        ({"document_id": ("none",)}, set()),
    ],
)
def test_filters(shelf: Shelf, filters: dict[str, Any], found: set[str]) -> None:
    shelf.sync()
    assert set(shelf.find("资助困难学生 大学梦 水果 苏通大桥", **filters)) == found


def test_a_filter_by_document(shelf: Shelf) -> None:
    shelf.sync()
    wanted = [info for info in shelf.open().documents() if "w" in info.path]
    ids = tuple(info.id for info in wanted)
    assert set(shelf.find("资助困难学生 大学梦 水果", document_id=ids)) == {"docs/wuwei.txt"}
    assert shelf.find("资助困难学生", document_id=ids, path="docs/deep/*") == []


@pytest.mark.parametrize("query", ["兰州大学梦", "蘭州大學夢", "幫扶中心幫助了多少家庭子女", "lanzhou 1097名"])
def test_chinese_questions(shelf: Shelf, query: str) -> None:
    shelf.sync()
    assert shelf.find(query)[0] == "docs/lanzhou.txt"


@pytest.mark.parametrize("query", ["", "。,", "zzz qqq", "的"])
def test_questions_of_nothing(shelf: Shelf, query: str) -> None:
    shelf.sync()
    shelf.find(query)


def test_of_several_ways_to_say_a_thing_the_best_counts(shelf: Shelf) -> None:
    shelf.sync()
    store, none = shelf.open(), Filters()
    term = AnyOf(((("苹果", 1.0),), (("香蕉", 0.5),), (("大桥", 0.9),)))
    apple = dict(store.search_passages([("苹果", 1.0)], 9, none))
    bridge = dict(store.search_passages([("大桥", 0.9)], 9, none))
    assert dict(store.search_passages([term], 9, none)) == pytest.approx(apple | bridge, rel=1e-4)
    fruit = dict(store.search_passages([("水果", 2.0)], 9, none))
    both = dict(store.search_passages([("水果", 2.0), term], 9, none))
    (row,) = apple
    assert both[row] == pytest.approx(apple[row] + fruit[row], rel=1e-4)
    assert fruit[row] == pytest.approx(2 * dict(store.search_passages([("水果", 1.0)], 9, none))[row], rel=1e-4)
    assert store.search_passages([term], 1, none) == [max({**apple, **bridge}.items(), key=lambda item: item[1])]


def test_documents_are_listed_and_read(shelf: Shelf) -> None:
    long = "序号一。" + "这一段讲的是铁路建设的历史和桥梁的长度。\n\n" * 9000
    shelf.write("docs/long.txt", long)
    shelf.write("docs/many.txt", "\n".join("甲乙丙丁戊"[number % 5] for number in range(400)))
    shelf.sync()
    store = shelf.open()
    listed = store.documents()
    assert [info.id for info in listed] == sorted(info.id for info in listed)
    paged: list[str] = []
    while page := store.documents(2, paged[-1] if paged else ""):
        assert len(page) <= 2
        paged += [info.id for info in page]
    assert paged == [info.id for info in listed]
    assert [info.path for info in store.documents(containing="NO_TES")] == ["docs/deep/no_tes.md"]
    assert [info.path for info in store.documents(containing="[X]")] == ["more/[x]nantong.txt"]
    (info,) = (info for info in listed if info.path == "docs/long.txt")
    document = store.document(info.id)
    assert document is not None and document.text == long
    assert store.document_info(info.id) == info
    sections = store.sections(info.id)
    rows = store.passage_rows_of([info.id])[info.id]
    assert len(sections) == len(rows) == info.passages > 1
    part = store.document_passages(info.id, 3, 2)
    assert [passage.row for passage in part] == rows[2:5]
    assert all(passage.text == long[passage.start : passage.end] for passage in part)
    assert [(section.start, section.end) for section in sections[2:5]] == [(p.start, p.end) for p in part]
    assert store.article_passages(part[0].article)[0].start == 0
    (many,) = (info for info in listed if info.path == "docs/many.txt")
    for found in store.vectors(store.passage_rows_of([many.id])[many.id]):
        vectors = decode(found.codes, store.dim)
        assert len(vectors) == len(store.passages([found.row])[found.row].units)
    assert store.document("none") is None and store.document_info("none") is None
    assert (store.sections("none"), store.document_passages("none", 3), store.passage_rows_of(["none"])) == ([], [], {})


def test_what_can_not_be_read_is_noted_until_it_can(shelf: Shelf) -> None:
    (shelf.base / "docs/bad.txt").write_bytes(b"\x00\x01\x02" * 50)
    (shelf.base / "docs/wuwei.txt").write_bytes(b"\x00\x01\x02" * 50)
    shelf.sync()
    assert [skipped.path for skipped in shelf.open().skipped()] == ["docs/bad.txt", "docs/wuwei.txt"]
    assert shelf.sync().skipped != []
    shelf.write("docs/bad.txt", "现在可以读了。")
    shelf.sync()
    store = shelf.open()
    (left,) = store.skipped()
    assert left.path == "docs/wuwei.txt"
    assert store.of_file(left.file) == ([], [left])
    (shelf.base / "docs/wuwei.txt").unlink()
    shelf.sync()
    assert shelf.open().skipped() == []


def test_a_file_that_was_moved_is_found_where_it_is(shelf: Shelf) -> None:
    shelf.sync()
    shelf.write("docs/long.txt", "兰州黄河。" + "这一段讲的是铁路建设的历史。\n\n" * 6000)
    shelf.sync()
    before = {info.path for info in shelf.open().documents()}
    (shelf.base / "docs/long.txt").rename(shelf.base / "more/moved.txt")
    report = shelf.sync()
    assert (report.moved, report.added, report.removed) == (["more/moved.txt"], [], [])
    store = shelf.open()
    assert {info.path for info in store.documents()} == (before - {"docs/long.txt"}) | {"more/moved.txt"}
    assert "more/moved.txt" in shelf.find("兰州黄河铁路", collection=("more",))
    assert "docs/long.txt" not in shelf.find("兰州黄河铁路")
    (info,) = (info for info in store.documents() if info.path == "more/moved.txt")
    document = store.document(info.id)
    assert document is not None and document.text.startswith("兰州黄河。")
    assert shelf.sync().unchanged == 5


def test_copies_stand_behind_one_hit(shelf: Shelf) -> None:
    text = "甘肃省总工会今年筹集资金三千万元,帮助困难职工子女上学,受到了广大职工的热烈欢迎。"
    for name in "abc":
        shelf.write(f"docs/{name}.txt", text)
    shelf.write("docs/other.txt", text.replace("三千万元", "五千万元"))
    shelf.sync()
    _check_copies(shelf, {"docs/a.txt", "docs/b.txt", "docs/c.txt"})
    for removed in ("a", "b"):  # also the one that led the others, and again after it has been deleted for good
        shelf.write(f"docs/{removed}.txt", "换了一篇。")
        shelf.write(f"docs/{removed}2.txt", text)
        shelf.sync()
    _check_copies(shelf, {"docs/a2.txt", "docs/b2.txt", "docs/c.txt"})


def _check_copies(shelf: Shelf, paths: set[str]) -> None:
    first, second, *_ = shelf.hits("甘肃省总工会筹集资金三千万元帮助困难职工子女")
    assert {first.passage.path, *(copy.path for copy in first.also_in)} == paths
    assert second.passage.path == "docs/other.txt" and not second.also_in
    admitted = shelf.hits("筹集资金三千万元", path=min(paths))
    assert [hit.passage.path for hit in admitted] == [min(paths)] and not admitted[0].also_in


def test_readers_see_the_old_or_the_new_and_nothing_between(shelf: Shelf) -> None:
    shelf.sync()
    reader = shelf.open()
    shelf.write("docs/wuwei.txt", "武威市总工会新建图书馆一座。")
    text = (shelf.base / "docs/wuwei.txt").read_text(encoding="utf-8")
    with shelf.writing() as writer:
        (known,) = (file for file in writer.database.files() if file.path == "docs/wuwei.txt")
        document = reader.document(known.id)
        assert document is not None
        writer.database.remove(known.id)
        for store in (reader, shelf.open()):
            assert shelf.find("资助困难学生", store)[0] == "docs/wuwei.txt"
            assert store.counts() == (4, 4)
            assert store.document(known.id) == document
    with pytest.raises(RuntimeError, match="cut short"), shelf.writing():
        raise RuntimeError("cut short")
    assert shelf.sync().documents == 4
    assert not any("资助困难学生" in passage.text for passage in shelf.open().passages(range(200)).values())
    latest = shelf.open()
    texts = {document.text for info in latest.documents() if (document := latest.document(info.id))}
    assert text in texts
    wait_until(reader.is_stale)
    assert reader.is_stale()
    assert shelf.find("图书馆")[0] == "docs/wuwei.txt"


def test_one_writer_at_a_time(shelf: Shelf) -> None:
    shelf.sync()
    with shelf.writing():
        with pytest.raises(IndexBusyError, match="another process"):
            shelf.sync()
        assert shelf.find("兰州大学梦")[0] == "docs/lanzhou.txt"
    assert shelf.sync().unchanged == 4


def test_an_index_of_another_model_is_refused(shelf: Shelf) -> None:
    shelf.sync()
    other = Settings("other")
    with pytest.raises(IndexMismatchError, match="encoder .* qa index --rebuild"):
        shelf.place.open(other)
    with pytest.raises(IndexMismatchError), shelf.place.writing(other, lambda: 64):
        pass
    before = [info.id for info in shelf.open().documents()]
    reader = shelf.open()
    shelf.sync(rebuild=True)
    wait_until(reader.is_stale)
    assert shelf.find("兰州大学梦", reader)[0] == "docs/lanzhou.txt"
    assert [info.id for info in shelf.open().documents()] == before
    shelf.sync()
    assert shelf.open().check() == "ok"


_KILLED = """
import os, sys
from pathlib import Path
from index.store.milvus.connection import MilvusOptions
from index.store.milvus.store import MilvusLocation
from index.store.location import LocalLocation
from tests.index.shelf import Shelf
import index.indexing.ingest
index.indexing.ingest._TOGETHER_CHARS = 60
base, where, after = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
place = LocalLocation(base / "data")
if where:
    from index.store.milvus import connection
    place = MilvusLocation(MilvusOptions(where.split()[0], prefix=where.split()[1]))
    writes, write = [0], connection.Table.write
    def counted(table, rows, *, replace=False):
        if table.name.endswith(("pieces", "articles", "passages", "units", "documents", "terms", "notes")):
            writes[0] += 1
            if writes[0] == after:
                write(table, list(rows)[: len(rows) // 2], replace=replace)
                os.kill(os.getpid(), 9)
        write(table, rows, replace=replace)
    connection.Table.write = counted
else:
    from index.store.database import Database
    puts, put = [0], Database.put
    def counted(database, *arguments):
        puts[0] += 1
        put(database, *arguments)
        if puts[0] == after:
            os.kill(os.getpid(), 9)
    Database.put = counted
Shelf(base, place).sync()
"""


@pytest.mark.parametrize("after", [3, 8, 11, 14, 16])
def test_kill_in_the_middle_of_writing(make: MakeShelf, tmp_path: Path, after: int) -> None:
    shelf = make(tmp_path)
    place = shelf.place
    where = f"{place.options.uri} {place.options.prefix}" if isinstance(place, MilvusLocation) else ""
    for number in range(16):
        shelf.write(f"docs/{number:02}.txt", f"第{number}号文件讲的是{'甲乙丙丁戊己庚辛壬癸'[number % 10]}类事情。")
    shelf.sync()
    reader = shelf.open()
    for number in range(16):
        shelf.write(f"docs/{number:02}.txt", f"第{number}号新文件讲的是{'甲乙丙丁戊己庚辛壬癸'[number % 10]}类旧事情。")
    command = [sys.executable, "-c", _KILLED, str(tmp_path), where, str(after)]
    killed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr
    # A local store brings what was acknowledged up to date when it is opened; a server's waits for the next writer.
    for store in (reader, shelf.open()) if where else (reader,):
        assert store.counts() == (16, 16)
        assert not any("新文件" in hit.passage.text for hit in shelf.hits("第3号新文件讲的是丁类旧事情", store))
    report = shelf.sync()
    assert (report.documents, report.passages) == (16, 16)
    store = shelf.open()
    assert store.check() == "ok"
    assert {store.document_frequency(token) for token in query_tokens("新文件")} == {16}
    found = [hit.passage for number in range(16) for hit in shelf.hits(f"第{number}号新文件", store)]
    assert len({passage.path for passage in found}) == 16
    assert all("新文件" in passage.text for passage in found)
    assert shelf.sync().unchanged == 16


def test_stores_rank_alike(tmp_path: Path, milvus_uri: str) -> None:
    with own_prefix(milvus_uri) as options:
        local = Shelf(tmp_path / "local", LocalLocation(tmp_path / "data"))
        server = Shelf(tmp_path / "server", MilvusLocation(options))
        for shelf in (local, server):
            for number in (0, 1, 2):
                shelf.write(f"docs/{number}.txt", seed(number))
            shelf.sync()
        one, other = local.open(), server.open()
        assert one.counts() == other.counts()
        for query in ("兰州帮扶中心资助了多少学生", "武威市总工会", "工会干部怎样改革", "职工医疗互助保险 1600人"):
            terms = [(token, 1.0) for token in query_tokens(fold_text(query), one.segmenter)]
            assert [one.document_frequency(token) for token, _ in terms] == [
                other.document_frequency(token) for token, _ in terms
            ]
            for search in ("search_passages", "search_articles"):
                expected = [score for _, score in getattr(one, search)(terms, 10, Filters())]
                scores = [score for _, score in getattr(other, search)(terms, 10, Filters())]
                assert scores == pytest.approx(expected, rel=1e-4)
            found = [{hit.passage.id for hit in hits} for hits in (local.hits(query, one), server.hits(query, other))]
            assert found[0] == found[1]


def _rows(store: Store) -> list[int]:
    return [row for rows in store.passage_rows_of([info.id for info in store.documents()]).values() for row in rows]
