from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.chunking.sentences import chunks, clauses, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("一。二!三？“四。”五", ["一。", "二!", "三？", "“四。”", "五"]),
        ("It is 2.04 now. Really? Yes", ["It is 2.04 now.", "Really?", "Yes"]),
        ("甲;乙。", ["甲;乙。"]),
        ("上\n\n下", ["上", "下"]),
        ("  ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text)] == expected


def test_clauses_are_also_cut_at_semicolons() -> None:
    text = "甲1人;乙2人;丙。"
    assert [text[start:end] for start, end in clauses(text)] == ["甲1人;", "乙2人;", "丙。"]


def test_chunks_prefer_sentence_ends() -> None:
    text = "一" * 30 + "。" + "二" * 60 + "。" + "三" * 60 + "。"
    assert [text[start:end][0] for start, end in chunks(text, 100)] == ["一", "三"]


@given(st.text(alphabet="中文字。,;! ab.\n", max_size=400), st.integers(10, 80))
def test_chunks_lose_nothing_and_keep_their_size(text: str, size: int) -> None:
    spans = chunks(text, size)
    assert all(end - start <= size * 1.2 for start, end in spans)
    assert spans == sorted(spans)
    covered = {position for start, end in spans for position in range(start, end)}
    assert all(char.isspace() or position in covered for position, char in enumerate(text))
