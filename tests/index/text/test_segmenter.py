from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from index.errors import ConfigError, IndexMismatchError
from index.indexing.build import sync
from index.retrieval.search import search
from index.store import Settings, Store
from index.store.local import current_folder
from index.store.location import open_store
from index.store.terms import AnyOf
from index.text.segmenter import PLAIN, Segmenter, Synonyms, UserWord, read_dictionary, read_synonyms
from index.text.tokens import query_tokens, tokenize
from index.types import Filters
from tests.conftest import BigramEncoder

NAME = "陇原帮扶站"
OURS = Segmenter([UserWord(NAME, 100, "nt")])


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "words.txt"
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_dictionary_in_jiebas_format(tmp_path: Path, encoding: str) -> None:
    text = "云计算 5\n李小福 2 nr\n\n# 机构\n凱特琳 nz\r\n台中\nEdu Trust认证 2000\n"
    assert read_dictionary(write(tmp_path, text, encoding)) == (
        UserWord("云计算", 5),
        UserWord("李小福", 2, "nr"),
        UserWord("凯特琳", None, "nz"),
        UserWord("台中"),
        UserWord("edu trust认证", 2000),
    )


def test_synonyms(tmp_path: Path) -> None:
    found = read_synonyms(write(tmp_path, "总工会,全國總工會，全总\n\nAI, 人工智能\n"))
    assert found.groups == (("总工会", "全国总工会", "全总"), ("ai", "人工智能"))
    assert found.ways("全总") == ("全总", "总工会", "全国总工会")
    assert found.ways("别的") == ("别的",)
    text = "全国总工会said的ai,airs不算"
    assert [text[start:end] for start, end in found.find(text)] == ["全国总工会", "ai"]
    assert found.wordings("全总的ai") == ["全总的ai", "总工会的ai", "全国总工会的ai", "全总的人工智能"]
    assert Synonyms().wordings("全总") == ["全总"]


@pytest.mark.parametrize(
    ("read", "line"),
    [
        (read_dictionary, "云计算 五 n"),
        (read_dictionary, "云计算 0"),
        (read_dictionary, "云 计 算"),
        (read_synonyms, "总工会"),
        (read_synonyms, "总工会,"),
        (read_synonyms, "总工会,總工會"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, read: Callable[[Path], object], line: str) -> None:
    path = write(tmp_path, f"甲,乙\n{line}\n" if read is read_synonyms else f"甲乙 3\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}, line 2: {line!r} is not ")


@pytest.mark.parametrize("read", [read_dictionary, read_synonyms])
def test_files_that_can_not_be_read(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(ConfigError, match="is not UTF-8; save it as UTF-8"):
        read(write(tmp_path, "总工会,全总", "gb18030"))
    with pytest.raises(ConfigError, match=r"nowhere: No such file .*config\.yaml"):
        read(tmp_path / "nowhere")


def test_user_words_stay_in_their_segmenter() -> None:
    text = f"在{NAME}工作"
    assert NAME in OURS.cut(text) and (NAME, "nt") in OURS.tag(text) and OURS.knows(NAME)
    assert NAME in tokenize(text, OURS) and NAME in query_tokens(text, OURS)
    for other in (PLAIN, Segmenter(), Segmenter([UserWord("甲乙丙丁", 5)])):
        assert NAME not in other.cut(text) and not other.knows(NAME)
    assert len({PLAIN.fingerprint, OURS.fingerprint, Segmenter([UserWord(NAME, 9)]).fingerprint}) == 3


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.txt").write_text(f"{NAME}去年新开了三个窗口。", encoding="utf-8")
    (tmp_path / "docs/b.txt").write_text("全国总工会发放采暖补助三百元。", encoding="utf-8")
    return tmp_path


def synced(base: Path, segmenter: Segmenter = PLAIN, encoder: BigramEncoder | None = None) -> Store:
    return sync({"docs": base / "docs"}, base / "data", encoder or BigramEncoder(), base=base, segmenter=segmenter)[0]


def test_a_changed_dictionary_makes_the_lexical_indexes_again_and_nothing_else(base: Path) -> None:
    reader = synced(base)
    folder = current_folder(base / "data")
    assert folder is not None
    before, rows = (folder / "vectors.faiss").stat(), set(reader.passages(range(9)))
    assert reader.document_frequency(NAME) == 0
    idle = BigramEncoder()
    idle.encode_documents = None  # type: ignore[assignment, method-assign]
    store = synced(base, OURS, idle)
    assert store.document_frequency(NAME) == 1
    assert set(store.passages(range(9))) == rows
    after = (folder / "vectors.faiss").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {
        f"passages-{OURS.fingerprint}",
        f"articles-{OURS.fingerprint}",
    }
    assert reader.is_stale()
    assert search(reader, BigramEncoder(), "采暖补助")[0].passage.path == "docs/b.txt"  # what it has open it keeps
    with pytest.raises(IndexMismatchError, match="segmenter .*run: qa index$"):
        open_store(base / "data", Settings(BigramEncoder.fingerprint))
    assert open_store(base / "data", Settings(BigramEncoder.fingerprint, OURS)).document_frequency(NAME) == 1


def test_the_best_way_to_say_it_counts_and_no_other(base: Path) -> None:
    store = synced(base)
    ways = ((("采暖", 1.0), ("补助", 1.0)), (("发放", 1.0),), (("窗口", 0.5),))

    def scores(*terms: tuple[str, float] | AnyOf) -> dict[int, float]:
        return dict(store.search_passages(terms, 9, Filters()))

    apart = [scores(*way) for way in ways]
    best = {row: max(found.get(row, 0.0) for found in apart) for row in set().union(*apart)}
    assert scores(AnyOf(ways)) == pytest.approx(best)


def test_a_question_finds_what_its_synonyms_say(base: Path) -> None:
    store = synced(base)
    query = "全总的暖气费"
    alone = {hit.passage.path: hit for hit in search(store, BigramEncoder(), query)}
    synonyms = Synonyms((("全总", "全国总工会"), ("暖气费", "采暖补助")))
    hits = search(store, BigramEncoder(), query, synonyms=synonyms)
    assert hits[0].passage.path == "docs/b.txt"
    assert hits[0].scores.lexical > 0.9
    assert hits[0].scores.dense > 0.4
    assert "docs/b.txt" not in alone or alone["docs/b.txt"].scores.dense < 0.3
