from __future__ import annotations

import pytest

from index.chunking.lines import belong_together, hyphen, is_cut
from tests.conftest import seed


def line(document: int, number: int) -> str:
    return seed(document).splitlines()[number - 1].strip()


@pytest.mark.parametrize(
    ("document", "above", "below"),
    [
        (0, 15, 17),
        (0, 37, 39),
        (1, 33, 37),
        (1, 39, 43),
        (1, 45, 47),
        (1, 69, 71),
        (1, 87, 89),
        (3, 63, 65),
        (4, 25, 26),
        (4, 29, 30),
        (4, 30, 31),
        (4, 42, 43),
        (4, 51, 52),
        (4, 76, 77),
        (4, 120, 121),
        (4, 127, 128),
        # The halves belong together, though other columns stand between them.
        (3, 39, 61),
        (3, 51, 61),
    ],
)
def test_lines_of_the_seeds_that_go_on(document: int, above: int, below: int) -> None:
    assert is_cut(line(document, above), line(document, below), seed(document))


@pytest.mark.parametrize(
    ("document", "above", "below"),
    [(1, 97, 99), (1, 53, 55), (3, 59, 61), (3, 45, 47), (3, 39, 41), (3, 51, 53), (3, 67, 69), (3, 17, 19)],
)
def test_lines_of_the_seeds_with_text_missing_between(document: int, above: int, below: int) -> None:
    assert not is_cut(line(document, above), line(document, below), seed(document))


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("合作社今年扩大了果", "园面积"),
        ("合作社今年擴大了果", "園面積"),
        ("他们开展“红旗手", "竞赛月”活动"),
        ("本年度の売上は前年と比べて大幅に増加し", "ている"),
        ("the members of the", "committee agreed"),
    ],
)
def test_signs_of_belonging_together(above: str, below: str) -> None:
    assert belong_together(above, below, f"{above}\n{below}")


def test_the_document_itself_shows_which_words_meet() -> None:
    above, below = "会议要求进一步落实", "林长制有关规定"
    assert not belong_together(above, below, f"{above}\n{below}")
    assert belong_together(above, below, f"各地落实林长制。\n{above}\n{below}")


@pytest.mark.parametrize(
    ("above", "below", "elsewhere", "expected"),
    [
        ("for exam-", "ple it", "", 1),
        ("the long-", "term plan", "a long-term plan", 0),
        ("ends with —", "ple", "", 0),
        ("Anglo-", "American ties", "", 0),
        ("soft\u00ad", "ware", "", 1),
    ],
)
def test_hyphens_that_a_line_break_added(above: str, below: str, elsewhere: str, expected: int) -> None:
    assert hyphen(above, below, f"{elsewhere} {above}\n{below}") == expected
