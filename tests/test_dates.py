"""Whoever reads dates reads these alike: they are built from the same fragments."""

from __future__ import annotations

import re

import pytest

from index.chunking import titles
from index.text.fold import fold_text
from index.text.quantities import quantities
from qa.llm.figures import SourceFigures, figures
from qa.understanding import phrases


@pytest.mark.parametrize(
    "date",
    [
        "2024年5月3日",
        "二〇二四年五月三日",
        "二○二四年五月",
        "2024-05-03",
        "2024/5/3",
        "2024.5.3",
        "May 3rd, 2024",
        "3 May 2024",
        "1644年5月",
    ],
)
def test_a_date_is_one_to_all(date: str) -> None:
    folded = fold_text(date)
    assert titles.DATE.fullmatch(folded)
    assert [(quantity.text, quantity.kind) for quantity in quantities(folded)] == [(folded, "date")]
    assert SourceFigures(folded).missing(figures(folded)) == []


@pytest.mark.parametrize("date", ["2024年5月3日", "2024年5月", "2024年一季度", "二〇二四年", "5月份", "三季度"])
def test_a_date_of_a_question_is_one_phrase(date: str) -> None:
    assert re.fullmatch(phrases.DATE, fold_text(date))
