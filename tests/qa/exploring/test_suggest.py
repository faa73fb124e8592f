from __future__ import annotations

import pytest

from index.types import Passage
from qa.engine import Engine
from qa.exploring.overview import Overview
from qa.exploring.suggest import MAX_SUGGESTED, suggest


def passage(text: str, number: int = 1, document: str = "a") -> Passage:
    return Passage(f"{document}-{number}", number, document, "c", "p", "t", (), 1, None, 1, 0, len(text), text)


@pytest.fixture(scope="module")
def engine(seeds_config) -> Engine:
    return Engine(seeds_config)


def questions(engine: Engine, *texts: str) -> list[str]:
    """What would be asked, answered or not."""
    asked: list[str] = []

    def ask(text: str):
        asked.append(text)
        return engine.ask(text, top_k=1)

    suggest([[passage(text, n)] for n, text in enumerate(texts)], ask)
    return asked


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("去年活动很多,帮助1097名困难家庭子女圆了大学梦,受到好评。", "帮助多少名困难家庭子女圆了大学梦？"),
        ("幫助1097名困難家庭子女圓了大學夢。", "幫助多少名困難家庭子女圓了大學夢？"),
        ("全年发放助学金２６０多万元给学生。", "全年发放助学金多少元给学生？"),
        ("The new reading room holds 4321 old books.", "The new reading room holds how many old books?"),
    ],
)
def test_the_figure_is_taken_out_and_asked_for(engine, text, question):
    assert questions(engine, text) == [question]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "没有数字的一句话在这里。",
        "帮助1097名和200名困难家庭子女。",
        "其中200名学生得到了连续资助。",
        "短了300名。",
        "实行三级和職工服務站規範化建設。",
        "全市每100名职工配备工会干部。",
        "《关于1097名学生的通知》已经下发。",
    ],
    ids=str,
)
def test_what_makes_no_question_is_not_asked(engine, text):
    assert questions(engine, text) == []


def test_only_what_is_answered_from_its_own_document_is_suggested(engine):
    assert suggest([[passage("帮助1097名困难家庭子女圆了大学梦。")]], lambda text: engine.ask(text, top_k=1)) == []


def test_suggestions_of_the_seeds_come_from_several_documents(engine):
    made = Overview()
    found = made.questions(engine)
    assert 3 <= len(found) <= MAX_SUGGESTED
    assert len({each.document_id for each in found}) >= 3
    assert len({each.question for each in found}) == len(found)
    for each in found:
        response = engine.ask(each.question)
        assert response.answer and response.citations[0].document_id == each.document_id
    assert made.questions(engine) is found
