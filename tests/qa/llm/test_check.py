from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from index.text.segmenter import PLAIN, Synonyms
from index.types import Passage
from qa.llm.check import Checker, SourcePassage, latin_names
from qa.llm.marks import CitationStream
from qa.understanding.question import Question

LANZHOU = Passage(
    id="a-1",
    row=1,
    document_id="a",
    collection="c",
    path="a.txt",
    title="兰州市总工会纪实",
    heading_path=("真情服务",),
    article=1,
    page=None,
    paragraph=1,
    start=10,
    end=0,
    text="帮扶中心帮助1097名困难家庭子女圆了大学梦;王建国说，全国总工会来参观。",
)
ENGLISH = replace(
    LANZHOU,
    id="b-1",
    title="Notes",
    heading_path=(),
    text="In May, Mary Ellen of IBM met the Lanzhou union's 31 members.",
)
SOURCES = {1: SourcePassage(LANZHOU, PLAIN), 2: SourcePassage(ENGLISH, PLAIN)}


def found(
    text: str, question: str = "兰州帮扶中心资助了多少学生", **options: Any
) -> tuple[str, list[tuple[str, list[str]]]]:
    """The text as it is shown, and what is wrong with it."""
    checker = Checker(Question.of(question, **options), SOURCES)
    writer = CitationStream(SOURCES, checker.judge)
    writer.feed(text)
    writer.end()
    for doubtful in checker.unsupported:
        assert writer.text[doubtful.start : doubtful.end] == doubtful.text
    return writer.text, [(doubtful.reason, doubtful.what) for doubtful in checker.unsupported]


@pytest.mark.parametrize(
    "text",
    [
        "帮助1097名困难家庭子女[1]。",
        "兰州帮扶中心资助了一千零九十七名学生[1]。",
        "兰州市的王建国说，全国总工会来过[1]。",
        "31 members of the Lanzhou union met Mary Ellen of IBM in May [2].",
        "1097名、31人[1][2]。",
        "主要有：\n- 帮助1097名[1]",
        "---",
    ],
)
def test_what_is_borne_out_stays_as_it_is(text):
    assert found(text) == (text, [])


@pytest.mark.parametrize(
    ("text", "reason", "what"),
    [
        ("帮助9999名学生[1]。", "number_not_in_source", ["9999名"]),
        ("帮助1097名学生[2]。", "number_not_in_source", ["1097名"]),
        ("武威市帮助1097名学生[1]。", "name_not_in_source", ["武威"]),
        ("李卫东说全国总工会来过[1]。", "name_not_in_source", ["李卫东"]),
        ("《兰州条例》规定帮助1097名[1]。", "name_not_in_source", ["兰州条例"]),
        ("Microsoft 和 IBM 资助了1097名[1]。", "name_not_in_source", ["IBM"]),
        ("31 members met Peter Ellen [2].", "name_not_in_source", ["Peter"]),
        ("帮助1097名学生。", "no_source", []),
        ("兰州有以下情况：", "no_source", []),
        ("共有9999名：", "no_source", []),
        ("帮助1097名学生[9]。", "unknown_source", ["[9]"]),
        ("帮助1097名学生[1][9]。", "unknown_source", ["[9]"]),
    ],
)
def test_what_is_not_is_marked(text, reason, what):
    shown, doubts = found(text)
    assert doubts == [(reason, what)]
    assert shown == text.replace("[9]", "") + "（未核实）"


def test_only_the_sentence_that_fails_is_marked():
    shown, doubts = found("帮助9999名[1]。帮助1097名[1]。")
    assert shown == "帮助9999名[1]。（未核实）帮助1097名[1]。"
    assert len(doubts) == 1


def test_the_remark_is_in_the_question_s_language():
    shown, _ = found("It helped 9999 people [1].", "How many were helped?")
    assert shown == "It helped 9999 people [1]. (unverified)"


def test_names_between_scripts_are_not_compared_but_figures_are():
    assert found("Lanzhou's centre helped 1,097 students [1].")[1] == []
    assert found("Lanzhou's centre helped 1,098 students [1].")[1] == [("number_not_in_source", ["1,098"])]
    assert found("玛丽见了31人[2]。")[1] == []


def test_a_name_may_be_said_in_another_way_that_the_synonyms_know():
    synonyms = Synonyms((("全国总工会", "中华全国总工会"),))
    assert found("中华全国总工会来过[1]。")[1] != []
    assert found("中华全国总工会来过[1]。", synonyms=synonyms)[1] == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The union met in May.", []),
        ("Lanzhou grew. ", []),
        ("The Lanzhou union", ["Lanzhou"]),
        ("New York grew", ["New", "York"]),
        ("IBM grew by Monday", ["IBM"]),
        ("加入WTO成员", ["WTO"]),
    ],
)
def test_latin_names(text, names):
    assert list(latin_names(text)) == names


def test_the_clause_that_bears_a_sentence_out():
    (start, end) = SOURCES[1].supporting("一千零九十七名子女上了大学") or (0, 0)
    assert LANZHOU.text[start:end] == "帮扶中心帮助1097名困难家庭子女圆了大学梦;"
    assert SOURCES[1].supporting("zzz") is None
