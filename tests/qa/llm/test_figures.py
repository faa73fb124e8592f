from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.text.fold import fold_text
from qa.llm.figures import SourceFigures, figures

SOURCE = (
    "开展“金秋助学”活动,帮助1097名困难家庭子女圆了大学梦,发放助学金260多万元,其中200名学生得到了连续两年的资助;"
    "2007年9月12日起,占85.5%。第3届。3至5天。法律援助62人次。"
)


def missing(sentence: str, source: str = SOURCE) -> list[str]:
    return SourceFigures(fold_text(source)).missing(figures(fold_text(sentence)))


@pytest.mark.parametrize(
    "sentence",
    [
        "帮助一千零九十七名",
        "１，０９７人",
        "1,097 students",
        "1097",
        "260万元",
        "2.6 million yuan",
        "2600000元",
        "百分之八十五点五",
        "85.5%",
        "2007年9月",
        "2007年",
        "September 2007",
        "on 12 September 2007",
        "9月12日",
        "2007-09-12",
        "3-5天",
        "一个学生",
        "1. 帮助1097名",
        "（二）帮助1097名",
        "两年",
        "62次",
        "第三届",
        "十分重视",
        "一起努力",
        "一千零九十七学生",
        "没有数字",
    ],
)
def test_figures_that_stand_in_the_source(sentence):
    assert missing(sentence) == []


@pytest.mark.parametrize(
    ("sentence", "figure"),
    [
        ("帮助9999名学生", "9999名"),
        ("97名", "97名"),
        ("1098名", "1098名"),
        ("1097.5", "1097.5"),
        ("10,970", "10,970"),
        ("九成", "九成"),
        ("85%", "85%"),
        ("2008年", "2008年"),
        ("2007年8月", "2007年8月"),
        ("9月13日", "9月13日"),
        ("13 September 2007", "13 september 2007"),
        ("1097元", "1097元"),
        ("1097次", "1097次"),
        ("1097户", "1097户"),
        ("3至6天", "3至6天"),
        ("三年", "三年"),
        ("编号ABC-9999", "9999"),
        ("第四届", "第四届"),
        ("二千四百三十六学生", "二千四百三十六"),
    ],
)
def test_figures_that_do_not(sentence, figure):
    assert missing(sentence) == [figure]


def test_the_month_of_another_year_of_a_reign_is_no_evidence():
    assert missing("贞观三年五月", "贞观三年五月改元") == []
    assert missing("贞观三年五月", "贞观四年五月") == ["贞观三年五月"]


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_number_stands_only_in_a_text_that_has_it(told, written):
    source = f"共有{written}名"
    assert (missing(f"{told}名", source) == []) == (told == written)
    assert missing(f"{written:,}名", source) == []
    assert missing(fold_text(f"{written}".translate({48 + n: 0xFF10 + n for n in range(10)})) + "名", source) == []
