"""Answers of more than one clause, on invented documents."""

from __future__ import annotations

import pytest

from qa.configuration.config import load_config
from qa.engine import Engine

DOCUMENTS = {
    "library.txt": """市图书馆2023年工作安排

今年要抓好三项工作。

一是扩大馆藏,全年新增图书二万册,重点补充少儿读物。

二是延长开放时间,周末开放到晚上九点。

三是建设社区分馆,年内建成五所。
""",
    "values.txt": """东湖中学的校训

校长用“四个坚持”概括办学经验。

坚持立德树人,把品德放在首位;坚持因材施教,让每个学生有所长;坚持家校合作,每月开放一天;坚持勤俭办学,不搞攀比。
""",
    "skills.txt": """青年职工培训纲要

公司注重培养青年职工的三种能力。

沟通能力。通过例会和演讲比赛,让青年职工敢说话、会说话。

学习能力。每季度发放一次购书补贴,组织读书会。

协作能力。跨部门组队完成项目,互相评分。
""",
    "garden.txt": """植物园简介

植物园的温室为何常年保持二十五度?温室里种着热带兰花。这种兰花低于二十度就会落叶,所以温室装了地热系统。
""",
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    base = tmp_path_factory.mktemp("parts")
    (base / "docs").mkdir()
    for name, text in DOCUMENTS.items():
        (base / "docs" / name).write_text(text, encoding="utf-8")
    (base / "config.yaml").write_text("corpus: docs\n", encoding="utf-8")
    engine = Engine(load_config(base / "config.yaml"))
    engine.index()
    return engine


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("市图书馆今年要抓好哪三项工作", ["扩大馆藏", "延长开放时间", "建设社区分馆"]),
        ("东湖中学的“四个坚持”是什么", ["立德树人", "因材施教", "家校合作", "勤俭办学"]),
        ("公司培养青年职工的哪三种能力", ["沟通能力", "学习能力", "协作能力"]),
    ],
)
def test_every_part_of_a_list_is_cited(engine, question, parts):
    response = engine.ask(question)
    assert response.answer is not None
    assert len(response.citations) == len(parts)
    for part, citation in zip(parts, response.citations, strict=True):
        assert part in citation.quote
        text = engine.document(citation.document_id).text
        assert text[citation.start : citation.end] == citation.quote
    assert response.answer.text == "\n".join(citation.quote for citation in response.citations)


def test_as_many_parts_as_asked_for_or_none(engine):
    response = engine.ask("市图书馆今年要抓好哪五项工作")
    assert len(response.citations) <= 1


def test_a_figure_is_answered_by_its_clause_alone(engine):
    response = engine.ask("图书馆全年新增图书多少册")
    assert response.answer is not None
    assert response.answer.value == "二万册"
    assert len(response.citations) == 1
