from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.dedup.clusters import Clusters
from index.dedup.sketches import TextKeys, _folded, keys, shared, sketches
from index.indexing.build import sync
from index.retrieval.search import MAX_COPIES, search
from index.store import Store
from index.text.fold import fold_text
from index.types import Filters
from tests.conftest import SEEDS, BigramEncoder, seed

TEXT = "改革工会运行机制,按照中央关于群团改革的要求,把自我革新精神贯穿于工会工作全过程。"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (TEXT, TEXT, True),
        (TEXT, f"  {TEXT[:20]}\n{TEXT[20:]} ", True),
        (TEXT, TEXT[:30], True),
        (TEXT, TEXT.replace("精神", "思想"), True),
        (TEXT, TEXT[:12] + "从来没有说过这些话,说的是另外一件很不一样的事情。", False),
        ("帮助1097名困难家庭子女圆了大学梦。", "帮助1098名困难家庭子女圆了大学梦。", False),
        ("帮助1,097名困难家庭子女圆了大学梦。", "帮助1097名困难家庭子女圆了大学梦。", True),
        ("在这次代表大会上选出了三十八名代表。", "在这次代表大会上选出了三十九名代表。", False),
        ("甲县有困难职工38人,乙县有39人,都已经登记在册。", "甲县有困难职工39人,乙县有38人,都已经登记在册。", False),
        ("第五篇:在市总工会全委扩大会上的讲话", "在市总工会全委扩大会上的讲话", True),
        ("(一)认真学习会议精神,做好各项工作", "二、认真学习会议精神,做好各项工作", True),
        ("2.04万份宣传材料发到了职工手里", "3.04万份宣传材料发到了职工手里", False),
        ("", "", True),
        ("甲", "乙", False),
        ("甲", "甲", True),
    ],
)
def test_what_is_a_copy(first: str, second: str, expected: bool) -> None:
    one, other = sketches([first, second])
    assert (shared(one, other) > 0) == (shared(other, one) > 0) == expected


def test_overlap_is_exactly_that_of_the_sets_of_5_grams() -> None:
    def grams(text: str) -> set[str]:
        return {text[start : start + 5] for start in range(len(text) - 4)}

    text = "".join(fold_text(seed(0)).split())
    for start in range(0, 600, 7):
        first, second = text[start : start + 60], text[start + 11 : start + 85]
        common = len(grams(first) & grams(second))
        one, other = sketches([first, second])
        assert (len(one.grams), len(other.grams)) == (len(grams(first)), len(grams(second)))
        is_copy = common >= 0.8 * min(len(one.grams), len(other.grams))
        assert shared(one, other) in ((common, 0) if is_copy else (0,))


@pytest.mark.parametrize(("part", "found"), [(1, 1.0), (2, 0.99), (3, 0.95)])
def test_keys_find_copies_cut_to_a_piece_and_few_strangers(part: int, found: float) -> None:
    text = "".join("".join(seed(number) for number in range(5)).split())
    starts = range(0, len(text) - 250, 50)
    made = keys(
        [text[start : start + 250] for start in starts] + [text[start : start + 250 // part] for start in starts]
    )
    own: list[set[int]] = [set() for _ in made.lengths]
    for value, place in zip(made.values.tolist(), made.texts.tolist(), strict=True):
        own[place].add(value)
    pairs = list(zip(own[: len(starts)], own[len(starts) :], strict=True))
    assert np.mean([bool(whole & piece) for whole, piece in pairs]) >= found
    # Texts that stand 250 characters apart have nothing in common but phrases.
    assert np.mean([bool(own[place] & own[place + 5]) for place in range(len(starts) - 5)]) < 0.05
    assert (made.lengths[: len(starts)] == 250).all()


def test_keys_are_the_same_in_any_company() -> None:
    texts = ["", "甲", TEXT, "".join(seed(0).split())[:1000], "Cafe\u0301 ﷺ", TEXT[5:]]
    together = keys(texts)
    for place, text in enumerate(texts):
        alone = keys([text])
        assert together.values[together.texts == place].tolist() == alone.values.tolist()
        assert (together.whole[place], together.lengths[place]) == (alone.whole[0], alone.lengths[0])
    joined = TextKeys.joined([keys(texts[:2]), keys(texts[2:])])
    assert joined.values.tolist() == together.values.tolist()
    assert joined.texts.tolist() == together.texts.tolist()


@given(st.lists(st.text(st.one_of(st.characters(), st.sampled_from("工会 資\n\u0301\u1161\u2060½ａ\x00"))), max_size=5))
def test_codes_are_those_of_the_folded_texts(texts: list[str]) -> None:
    codes, lengths = _folded(texts)
    expected = ["".join(fold_text(text).split()) for text in texts]
    assert "".join(map(chr, codes.tolist())) == "".join(expected)
    assert lengths.tolist() == [len(text) for text in expected]


class Corpus:
    def __init__(self, base: Path) -> None:
        self.base = base
        (base / "docs").mkdir()

    def sync(self, **texts: str | None) -> Store:
        for name, text in texts.items():
            path = self.base / "docs" / f"{name}.txt"
            path.write_text(text, encoding="utf-8") if text is not None else path.unlink()
        return sync({"docs": self.base / "docs"}, self.base / "data", BigramEncoder(), base=self.base)[0]

    def clusters(self, store: Store, **filters: object) -> set[str]:
        """Clusters as `a=b` of file names, as a search for everything shows them."""
        hits = search(store, BigramEncoder(), TEXT + "名", top_k=99, filters=Filters(**filters))  # type: ignore[arg-type]
        groups = ([hit.passage, *hit.also_in] for hit in hits)
        return {"=".join(sorted(Path(passage.path).stem for passage in group)) for group in groups}


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


def test_clusters_follow_added_changed_and_removed_files(corpus: Corpus) -> None:
    assert corpus.clusters(corpus.sync(a=TEXT, b="改革开放以来变化很大。")) == {"a", "b"}
    assert corpus.clusters(corpus.sync(c=TEXT, d=TEXT[:30])) == {"a=c=d", "b"}
    assert corpus.clusters(corpus.sync(a=None)) == {"c=d", "b"}
    assert corpus.clusters(corpus.sync(d="改革是另一件事,说来话长。")) == {"c", "b", "d"}
    assert corpus.clusters(corpus.sync(e=TEXT, a=TEXT)) == {"a=c=e", "b", "d"}


def test_a_fuller_version_takes_over_from_a_piece(corpus: Corpus) -> None:
    long = f"{TEXT}这是会议提出的第二项任务,由各级工会组织落实。"
    assert corpus.clusters(corpus.sync(a=TEXT[:30], b=TEXT[:30])) == {"a=b"}
    store = corpus.sync(c=long, d=TEXT)
    assert corpus.clusters(store) == {"a=b=c=d"}
    (leader,) = set(store.clusters(range(1, 5)).values())
    assert store.passages([leader])[leader].text == long


def test_forms_that_differ_in_figures_alone_stay_apart_and_their_copies_do_not(corpus: Corpus) -> None:
    def form(number: int) -> str:
        return f"改革情况表:本年度共有职工{number}名参加了各级工会组织的技能培训和劳动竞赛,取得了好的成绩。"

    texts = {f"f{number}": form(number) for number in range(1000, 1060)}
    store = corpus.sync(**texts, copy=form(1050))
    assert {group for group in corpus.clusters(store) if "=" in group} == {"copy=f1050"}


def test_also_in_names_copies_beyond_the_candidates_up_to_a_bound(corpus: Corpus) -> None:
    store = corpus.sync(**{f"{number:03}": TEXT for number in range(220)})
    (hit,) = search(store, BigramEncoder(), "改革工会运行机制")
    assert len(hit.also_in) == MAX_COPIES
    assert hit.passage not in hit.also_in


def test_also_in_keeps_to_the_filter(corpus: Corpus) -> None:
    store = corpus.sync(a=TEXT, b=TEXT, c=TEXT)
    assert corpus.clusters(store, path="docs/[ab].txt") == {"a=b"}


def test_doing_an_update_again_changes_nothing(corpus: Corpus, tmp_path: Path) -> None:
    store = corpus.sync(a=TEXT, b=TEXT[:30], c="改革开放以来变化很大。")
    texts = {row: passage.text for row, passage in store.passages(range(9)).items()}

    def of(rows: Iterable[int]) -> dict[int, str]:
        return {row: texts[row] for row in rows if row in texts}

    fresh = Clusters.reset(tmp_path / "again.sqlite")
    for _ in range(2):
        fresh.update([], texts, of, generation=3)
        assert fresh.leaders(texts) == store.clusters(texts)
    for _ in range(2):
        fresh.update([1], [], of, generation=4)
        assert fresh.leaders([2, 3]) == {2: 2, 3: 3}


def paragraphs() -> list[str]:
    """Of the seeds, every fourth of them also cut and every fifth also changed; no two are copies otherwise."""
    found = [text for path in sorted(SEEDS.glob("*.txt")) for text in path.read_text("utf-8").split("\n")]
    found = [text for text in dict.fromkeys(found) if 60 < len(text) < 400][:120]
    cut = [text[: 2 * len(text) // 3] for text in found[::4]]
    changed = [text.replace("工会", "公会", 1) + "(完)" for text in found[::5]]
    return found + cut + changed


def groups(clusters: Clusters, rows: Iterable[int]) -> set[frozenset[int]]:
    found: dict[int, set[int]] = {}
    for row, leader in clusters.leaders(rows).items():
        found.setdefault(leader, set()).add(row)
    return set(map(frozenset, found.values()))


@pytest.mark.parametrize("size", [1 << 17, 50, 7])
@pytest.mark.parametrize("are_copies_first", [False, True])
def test_clusters_hold_copies_however_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, are_copies_first: bool
) -> None:
    monkeypatch.setattr("index.dedup.clusters._BATCH", size)
    paragraphs_ = paragraphs()[::-1] if are_copies_first else paragraphs()
    texts = dict(enumerate(paragraphs_, start=1))
    made = Clusters.reset(tmp_path / "clusters.sqlite")
    made.update([], texts, lambda rows: {row: texts[row] for row in rows}, generation=1)
    sketched = dict(zip(texts, sketches(list(texts.values())), strict=True))
    for group in groups(made, texts):
        (leader,) = set(made.leaders(group).values())
        assert all(shared(sketched[row], sketched[leader]) for row in group)
        assert made.members([leader], 99)[leader] == sorted(group)
    in_clusters = [group for group in groups(made, texts) if len(group) > 1]
    assert sum(map(len, in_clusters)) - len(in_clusters) > 0.97 * (len(texts) - 120)


def test_leaders_that_go_and_come_leave_no_entries_behind(tmp_path: Path) -> None:
    texts = dict(enumerate(paragraphs()[:150], start=1))
    made = Clusters.reset(tmp_path / "clusters.sqlite")

    def of(rows: Iterable[int]) -> dict[int, str]:
        return {row: texts[row] for row in rows if row in texts}

    made.update([], list(texts), of, generation=1)
    before, size = groups(made, texts), made.path.stat().st_size
    first = dict(texts)
    for generation in range(2, 9):
        new = {row + 150: text for row, text in texts.items()}
        gone, texts = list(texts), new
        made.update(gone, list(new), of, generation)
    assert {frozenset(row - 1050 for row in group) for group in groups(made, texts)} == before
    assert [texts[row + 1050] for row in first] == list(first.values())
    assert made.path.stat().st_size < 2 * size
