"""No text stalls the splitter: twice as much of anything takes about twice the time."""

from __future__ import annotations

import pytest

from index.chunking.passages import MAX_HEADED_CHARS, MAX_HEADING_CHARS, MAX_PASSAGE_CHARS, split, with_passages
from index.chunking.structure import headings
from index.types import ReadText
from tests.growth import FLOODS, assert_linear

_LONG = "甲乙丙丁戊己庚辛壬癸" * 5
LINES = (
    *("甲\n", "第一章\n", "第一篇\n", "# 甲\n", "1. 甲乙\n", "一是甲乙\n", "- 甲\n", "打印\n", "作者:\n", "王小明\n"),
    *("2024年1月1日\n", "甲乙丙局\n2024年1月1日\n", "甲乙:\n", " 甲乙丙丁戊己庚辛壬癸甲乙丙丁戊己庚辛壬癸\n"),
    *(f"{_LONG}\n", f"{_LONG}\n\n", f"“{_LONG}\n\n", f"{_LONG}\n打印\n", f"{_LONG}{_LONG}。\n甲局\n", "exam-\n\n"),
    *("exam-\nple of it, and so on and on and on until the line is full\n", "甲，\n", "甲|乙|\n", "\f", "# 甲\n乙。\n"),
)
PIECES = (
    *("作者:", "阅读:", "打印 ", "[打印", "字体:大中", "第1页 ", "本文不得转载。", "版权所有", "转载", "copyright "),
    *(
        "一是甲乙。",
        "二是甲。",
        "？中",
        "?；",
        "？；中",
        "涓枃",
        "ä¸\xad",
        "ﾃ",
        "\ufffd",
        "\u00ad",
        "\u2060",
        "\u0301\u0323",
    ),
    *("2024年1月2日", "《甲", "”", "——", "jan 1, ", "a-", "a\t"),
)


def numbered(line: str, count: int) -> str:
    return "".join(f"{line}{number}\n" for number in range(count))


@pytest.mark.slow
@pytest.mark.parametrize("unit", [*LINES, *PIECES, *FLOODS], ids=ascii)
def test_a_text_to_its_passages(unit: str) -> None:
    def cut(text: str) -> None:
        sections = with_passages(ReadText(text)).sections or ()
        list(headings(sections, text))

    assert_linear(cut, [(unit, "")], largest=16_000)


@pytest.mark.slow
@pytest.mark.parametrize("line", ["第1章 ", "甲", "2024年1月", "# 甲", "作者:甲", f"{_LONG}exam-\n"])
def test_lines_that_all_differ(line: str) -> None:
    assert_linear(lambda text: split(numbered(line, len(text))), [("x", "")], largest=4_000)


def test_headings_and_fronts_are_not_texts_of_their_own() -> None:
    """What each passage holds of the text above it has a bound, and so has a passage."""
    body = f"{_LONG}。\n\n" * 20
    for text in (f"# {'甲' * 9000}\n{body}", "第一章\n" * 9000 + body, numbered("2024年1月", 9000) + body):
        sections = split(text)
        assert max(section.end - section.start for section in sections) <= MAX_HEADED_CHARS + 2 * MAX_PASSAGE_CHARS
        assert all(len(name) <= MAX_HEADING_CHARS for section in sections for name in section.heading_path)
        assert sum(map(len, sections[-1].context)) < 1000
