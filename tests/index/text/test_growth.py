"""No text stalls what reads words, names and figures: twice as much of anything takes about twice the time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from index.text.fold import fold, fold_text
from index.text.names import organisations, people, places, proper_names
from index.text.quantities import quantities
from index.text.tokens import query_tokens, token_lines, tokenize
from tests.growth import FLOODS, assert_linear

PIECES = (
    *(
        "1万",
        "1-",
        "1:",
        "1至",
        "1 ",
        "千",
        "百分之",
        "1年",
        "1月",
        "2019年",
        "第1",
        "1元",
        "5g",
        "半",
        "twenty ",
        "may 1 ",
    ),
    *(
        "甘肃省政府",
        "工会",
        "王小明",
        "兰州",
        "《甲",
        "a'",
        "a-",
        "+a",
        "a\u0301",
        "\u0301\u0323",
        "\u1161",
        "中 a ",
        "①",
        "ก",
        "\u200d",
    ),
)


def names(folded: str) -> None:
    proper_names(folded)
    for read in (people, places, organisations):
        list(read(folded))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "largest"),
    [
        (fold, 16_000),
        (fold_text, 16_000),
        (lambda text: tokenize(fold_text(text)), 4_000),
        (lambda text: query_tokens(fold_text(text)), 4_000),
        (lambda text: token_lines([text]), 16_000),
        (lambda text: quantities(fold_text(text)), 4_000),
        (lambda text: names(fold_text(text)), 4_000),
    ],
    ids=["fold", "fold_text", "tokenize", "query_tokens", "token_lines", "quantities", "names"],
)
def test_floods(work: Callable[[str], object], largest: int) -> None:
    assert_linear(work, [(unit, "a") for unit in (*PIECES, *FLOODS)], largest)
