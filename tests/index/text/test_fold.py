from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.text.fold import HIDDEN, fold, fold_many, fold_text, text_of

texts = st.text(
    alphabet=st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from("兰蘭州 職职\n\t１２３ＡａŞ́ﬁßẞ한각ไทยहिन्दी" + HIDDEN + "\u1112\u1161\u11ab"),
    ),
    max_size=60,
)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("蘭州幫扶中心資助了多少學生", "兰州帮扶中心资助了多少学生"),
        ("幹部 課後 於是", "干部 课后 于是"),
        ("１，２３４ ＡＢＣ", "1,234 abc"),
        ("2.04 万份", "2.04万份"),
        ("共 213 场(次)", "共213场(次)"),
        ("两节  慰问\u3000人次", "两节 慰问 人次"),
        ("推动科" + HIDDEN * 2 + "学发展", "推动科学发展"),
        ("e\u0301cole", "\u00e9cole"),
        ("one\r\n\r\n two", "one\ntwo"),
        ("", ""),
    ],
)
def test_fold(text: str, folded: str) -> None:
    assert fold_text(text) == folded


@given(texts)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold_text(fold_text(text)) == fold_text(text)


@given(texts)
def test_every_folded_character_maps_into_the_original_in_order(text: str) -> None:
    folded = fold(text)
    spans = [folded.span(start, start + 1) for start in range(len(folded.text))]
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert spans == sorted(spans)
    assert folded.span(0, len(folded.text))[1] <= len(text)


@given(texts, st.data())
def test_a_span_maps_to_the_text_that_it_was_folded_from(text: str, data: st.DataObject) -> None:
    folded = fold(text)
    start = data.draw(st.integers(0, len(folded.text)))
    end = data.draw(st.integers(start, len(folded.text)))
    first, last = folded.span(start, end)
    assert first <= last
    wanted = [char for char in folded.text[start:end] if not char.isspace()]
    found = [char for char in fold_text(text[first:last]) if not char.isspace()]
    # A cluster may fold to several characters of which the span holds some; nothing may be lost.
    assert "".join(wanted) in "".join(found)


@given(texts)
def test_whole_text_survives(text: str) -> None:
    kept = "".join(fold_text(text).split())
    for char in text:
        if char.isalnum() and char.isascii():
            assert unicodedata.normalize("NFKC", char).casefold() in kept


@given(texts)
def test_the_text_is_the_same_with_and_without_its_map(text: str) -> None:
    assert fold_text(text) == fold(text).text


@given(texts.filter(lambda text: not any(char.isspace() or unicodedata.category(char)[0] == "M" for char in text)))
def test_long_texts_fold_as_their_characters_do(text: str) -> None:
    if not any("\u1100" <= char <= "\u11ff" for char in text):  # conjoining
        assert fold_text(text * 9) == "".join(map(fold_text, text)) * 9


def test_spaces_go_between_han_text_and_what_folds_to_a_western_word() -> None:
    """As "2 次" is 2次, "２ 次" is, and so is what was folded before."""
    for text in ("２ 次", "2 次", "2\u3000次", "² 次", "2 \u2060 次"):
        assert fold(text).text == fold_text(text) == "2次"
    assert fold("用 ２　次").span(1, 2) == (2, 3)


@given(st.lists(texts, max_size=6), st.sampled_from("\n\uffff"))
def test_many_are_folded_as_each_is(many: list[str], separator: str) -> None:
    many = [text.replace("\uffff", "") for text in many]
    codes, ends = fold_many(many, separator)
    folded = text_of(codes)
    assert [folded[a : b - 1] for a, b in pairwise([0, *ends.tolist()])] == [fold_text(text) for text in many]
    assert folded == "".join(fold_text(text) + separator for text in many)
