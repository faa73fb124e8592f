"""Scores say what the index holds, and not how it came to hold it."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest

from index.retrieval.search import search
from index.store import lexical
from index.store.lexical import LexicalIndex
from index.store.terms import AnyOf, LexicalEntry
from index.text.fold import fold_text
from index.text.tokens import query_tokens
from index.types import Filters
from tests.index.store.test_store import Corpus

QUERIES = ("互助会的灯塔", "粮仓与灯塔", "第七号文件的茶馆", "困难职工互助", "nothing of this")
CLOSE = 0.005
NAMES = ("灯塔", "粮仓", "码头", "茶馆", "书院", "城墙")


def text_of(number: int, round_: int = 0) -> str:
    """A document whose versions repeat what is rare elsewhere, and differ in length."""
    rare = f"互助会在{NAMES[number % 6]}边修了第{number}座{NAMES[round_ % 6]}。" * (1 + round_ % 3)
    return f"第{number}号文件\n\n困难职工来信{number * 7}件。{rare}\n\n" + "会议听取了工作报告。" * (1 + number % 4)


def change(corpus: Corpus, rounds: int) -> None:
    """Several rounds in which documents are replaced, go and come back."""
    for round_ in range(rounds):
        corpus.sync()
        corpus.write("1.txt", text_of(1, round_ + 1))
        corpus.write(f"{2 + round_}.txt", text_of(2 + round_, round_ + 1))
        (corpus.folder / f"{9 + round_}.txt").unlink()
        corpus.write(f"{100 + round_}.txt", text_of(100 + round_))
    corpus.sync()


def scores(corpus: Corpus, query: str) -> list[list[tuple[str, float]]]:
    """What search gives, and what each of the two lexical indexes does, best first, by place rather than by row."""
    store = corpus.open()
    hits = search(store, corpus.encoder, query, top_k=100)
    terms = [(token, 1.0) for token in query_tokens(fold_text(query))]
    passages = store.search_passages(terms, 200, Filters())
    articles = store.search_articles(terms, 200, Filters())
    shown = store.passages(row for row, _ in passages)
    titles = {row: store.article_passages(row)[0].path for row, _ in articles}
    return [
        [(hit.passage.id, hit.score) for hit in hits],
        [(shown[row].id, score) for row, score in passages],
        [(titles[row], score) for row, score in articles],
    ]


@pytest.mark.parametrize("few", [lexical._FEW, 20], ids=["few", "many"])
def test_many_rounds_of_changes_score_as_a_fresh_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(lexical, "_FEW", few)
    (tmp_path / "changed").mkdir()
    (tmp_path / "fresh").mkdir()
    changed, fresh = Corpus(tmp_path / "changed"), Corpus(tmp_path / "fresh")
    for number in range(40):
        changed.write(f"{number}.txt", text_of(number))
    change(changed, rounds=4)
    for file in changed.folder.iterdir():
        fresh.write(file.name, file.read_text(encoding="utf-8"))
    fresh.sync()
    for query in QUERIES:
        for after, expected in zip(scores(changed, query), scores(fresh, query), strict=True):
            fresh_score = dict(expected)
            assert dict(after) == pytest.approx(fresh_score, rel=CLOSE)
            order = [fresh_score[what] for what, _ in after]
            assert all(second <= first * (1 + CLOSE) for first, second in pairwise(order))
    for token in query_tokens(fold_text("".join(QUERIES))):
        assert changed.open().document_frequency(token) == fresh.open().document_frequency(token), token


def entry(row: int, version: int = 0) -> LexicalEntry:
    """Twenty tokens; some are in few entries, and `rare` is in the later versions of a few only."""
    chance = random.Random(row * 100 + version)
    words = [f"w{int(chance.paretovariate(0.7)) % 200}" for _ in range(17)]
    return LexicalEntry(row, row, " ".join([*words, "all", f"r{row % 50}", "rare" if version else "other"]))


def test_a_token_is_worth_what_the_entries_that_are_there_make_it(tmp_path: Path) -> None:
    """tantivy counts what was removed: of ten versions of one document it sees ten that hold its rare word."""
    changed, fresh = LexicalIndex(tmp_path / "changed"), LexicalIndex(tmp_path / "fresh")
    held = {row: entry(row) for row in range(1, 401)}
    with changed.changing([], 1, anew=True) as entries:
        for one in held.values():
            entries.add(one)
    for round_ in range(10):
        old, row = (3, 7)[round_ % 2] + 1000 * (round_ // 2), (3, 7)[round_ % 2] + 1000 * (1 + round_ // 2)
        held[row] = entry(row, round_ + 1)
        del held[old]
        with changed.changing([old], round_ + 2) as entries:
            entries.add(held[row])
    with fresh.changing([], 1, anew=True) as entries:
        for one in held.values():
            entries.add(one)
    assert len(changed) == len(fresh) == 400
    queries = [
        [("rare", 1.0), ("w1", 1.0), ("all", 1.0)],
        [("r3", 2.0), ("w2", 1.0)],
        [AnyOf(((("rare", 1.0),), (("r7", 0.9), ("w3", 0.9)))), ("w1", 1.0)],
        [("none", 1.0)],
    ]
    for terms in queries:
        expected = fresh.search(terms, 20)  # type: ignore[arg-type]
        assert dict(changed.search(terms, 20)) == pytest.approx(dict(expected), rel=CLOSE)  # type: ignore[arg-type]
    for token in ("rare", "other", "all", "w1", "r3", "none"):
        assert changed.document_frequency(token) == fresh.document_frequency(token)


def test_all_is_indexed_anew_once_much_was_removed_and_readers_go_on(corpus_of_60: Corpus) -> None:
    corpus = corpus_of_60
    corpus.sync()
    reader = corpus.open()
    corpus.write("1.txt", text_of(1, 1))
    corpus.sync()
    assert corpus.open()._words.articles.removed == 1
    for number in range(2, 6):
        corpus.write(f"{number}.txt", text_of(number, 1))
    corpus.sync()
    words = corpus.open()._words
    assert (words.passages.removed, words.articles.removed) == (0, 0)
    assert reader.search_passages([("互助", 1.0)], 3, Filters())


@pytest.fixture
def corpus_of_60(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    monkeypatch.setattr(lexical, "_FEW", 20)
    monkeypatch.setattr(lexical, "_REMOVED_SHARE", 0.05)
    corpus = Corpus(tmp_path)
    for number in range(60):
        corpus.write(f"{number}.txt", text_of(number))
    return corpus


def test_an_error_while_all_is_indexed_anew_leaves_what_was_there(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path / "words")
    with index.changing([], 1, anew=True) as entries:
        entries.add(entry(1))

    def fail() -> None:
        with index.changing([], 2, anew=True) as entries:
            entries.add(entry(2))
            entries.flush()
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fail()
    for one in (index, LexicalIndex(tmp_path / "words")):
        assert (one.generation, len(one), one.search([("all", 1.0)], 9)[0][0]) == (1, 1, 1)
    with index.changing([1], 2) as entries:
        entries.add(entry(3))
    assert [row for row, _ in index.search([("all", 1.0)], 9)] == [3]
