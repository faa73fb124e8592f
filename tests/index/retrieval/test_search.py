from __future__ import annotations

from pathlib import Path

import pytest

from index.indexing.build import sync
from index.retrieval.scoring import Weights
from index.retrieval.search import search
from index.store import Store
from index.types import Filters
from tests.conftest import BigramEncoder


def store_of(tmp_path: Path, **texts: str) -> Store:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return sync({"docs": folder}, tmp_path / "data", BigramEncoder(), base=tmp_path)[0]


def names(store: Store, query: str, top_k: int = 5, weights: Weights | None = None) -> list[str]:
    hits = search(store, BigramEncoder(), query, top_k=top_k, weights=weights)
    return [Path(hit.passage.path).stem for hit in hits]


def test_ranks_scores_and_parts(tmp_path: Path) -> None:
    store = store_of(tmp_path, a="苹果很甜。", b="苹果和梨都很甜。", c="汽车很快。")
    hits = search(store, BigramEncoder(), "苹果很甜", top_k=3)
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert hits[0].passage.path == "docs/a.txt"
    assert hits[0].scores.dense == pytest.approx(1.0, abs=1e-3)  # the same bigrams: cosine 1
    assert hits[0].scores.lexical == 1.0
    assert hits[0].scores.total == pytest.approx(hits[0].score)


def test_nothing_in_common_finds_nothing(tmp_path: Path) -> None:
    store = store_of(tmp_path, a="苹果很甜。")
    hits = search(store, BigramEncoder(), "zzzz", weights={"words": 1.0, "article": 1.0})
    assert all(hit.scores.lexical == 0 for hit in hits)


@pytest.mark.parametrize("query", ["。，！", "“”", "?"])
def test_a_query_without_words_finds_nothing(tmp_path: Path, query: str) -> None:
    assert names(store_of(tmp_path, a="苹果很甜。"), query) == []


def test_empty_corpus(tmp_path: Path) -> None:
    assert names(store_of(tmp_path), "苹果") == []


def test_top_k_larger_than_the_corpus(tmp_path: Path) -> None:
    assert names(store_of(tmp_path, a="苹果。", b="苹果树很高。"), "苹果", top_k=100) == ["a", "b"]


def test_equal_scores_come_in_a_fixed_order(tmp_path: Path) -> None:
    store = store_of(tmp_path, a="甲: 苹果一。", b="乙: 苹果一。", c="丙: 苹果一。")
    assert names(store, "苹果一") == names(store, "苹果一")


def test_traditional_finds_simplified_and_the_reverse(tmp_path: Path) -> None:
    store = store_of(tmp_path, a="職工群眾的橋梁和紐帶。", b="兰州的桥。", c="汽车。")
    assert names(store, "职工群众")[0] == "a"
    assert names(store, "蘭州")[0] == "b"


def test_near_identical_passages_are_one_hit(tmp_path: Path) -> None:
    text = "改革工会运行机制,按照中央关于群团改革的要求,把自我革新精神贯穿于工会工作全过程。"
    store = store_of(tmp_path, a=text, b=text, c=text[:30], d="改革开放以来,工会工作有了很大的变化和发展。")
    hits = search(store, BigramEncoder(), "改革工会运行机制")
    assert [Path(hit.passage.path).stem for hit in hits][1:] == ["d"]
    assert len(hits[0].also_in) == 2


def test_a_passage_is_found_by_its_article(tmp_path: Path) -> None:
    other = (
        "武威市总工会工作纪实\n——武威\n\n"
        + "武威市总工会今年做了许多工作,包括帮助困难职工和他们的家庭解决实际的问题。" * 3
    )
    ours = (
        "兰州市总工会工作纪实\n——兰州\n\n兰州是美丽的城市。\n\n"
        + "帮助1097名子女圆了大学梦,发放助学金260多万元,还有许多别的工作。" * 2
    )
    store = store_of(tmp_path, a=other, b=ours)
    hits = search(store, BigramEncoder(), "兰州 助学金", filters=Filters())
    assert "260多万元" in hits[0].passage.text
