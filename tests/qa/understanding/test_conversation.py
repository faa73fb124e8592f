"""Follow-ups are made to stand alone, by rules that know no subject."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.encoder import load_encoder
from qa.configuration.config import load_config
from qa.engine import Engine
from qa.evaluation.evaluate import EvalQuestion, evaluate
from qa.understanding.conversation import Turn, interpret
from tests.conftest import CANONICAL
from tests.qa.commands import assert_fails, run_qa
from tests.qa.servers import serving

encode = load_encoder().encode_documents

ELLIPTICAL = [
    # Another place, organisation, person or thing.
    ("青川县图书馆2019年接待了多少读者", "那平武县呢", "平武县图书馆2019年接待了多少读者"),
    ("城东图书馆有多少册书", "滨湖体育馆呢?", "滨湖体育馆有多少册书"),
    ("城东图书馆有多少册书", "体育馆呢", "城东体育馆有多少册书"),
    ("上海交通大学有多少名教授", "那复旦大学的情况呢", "复旦大学有多少名教授"),
    ("上海的地铁有几条线", "北京怎么样", "北京的地铁有几条线"),
    ("上海的地铁有几条线", "换成南京", "南京的地铁有几条线"),
    ("上海的地铁有几条线", "南京?", "南京的地铁有几条线"),
    ("钟楼是哪一年建的", "鼓楼呢", "鼓楼是哪一年建的"),
    ("滨江路小学的校长是谁", "教导主任呢", "滨江路小学的教导主任是谁"),
    ("2019年营业收入是多少", "净利润呢", "2019年净利润是多少"),
    ("成人票多少钱", "儿童票呢", "儿童票多少钱"),
    ("怎样申请低保", "那医疗救助呢", "怎样申请医疗救助"),
    ("入会需要什么手续", "那退会呢", "退会需要什么手续"),
    # Another year, month, number or letter.
    ("青川县图书馆2019年接待了多少读者", "2020年呢", "青川县图书馆2020年接待了多少读者"),
    ("青川县图书馆2019年接待了多少读者", "去年呢", "青川县图书馆去年接待了多少读者"),
    ("2019年3月的产量是多少", "5月呢", "2019年5月的产量是多少"),
    ("第一期工程花了多少钱", "那第二期呢", "第二期工程花了多少钱"),
    ("A座有几层", "B座呢", "B座有几层"),
    ("青川县图书馆2019年接待了多少读者", "那平武县图书馆2021年呢", "平武县图书馆2021年接待了多少读者"),
    # What the earlier question doesn't have is put in front.
    ("全县接待了多少游客", "2020年呢", "2020年全县接待了多少游客"),
    ("接待了多少游客", "平武县呢", "平武县接待了多少游客"),
    # A question that breaks off.
    ("青川县图书馆接待了多少读者", "平武县接待了多少", "平武县图书馆接待了多少读者"),
    # As it was typed.
    ("青川縣圖書館有多少讀者", "那平武縣呢", "平武縣圖書館有多少讀者"),
    (
        "How many students did the Lakeside centre help in 2019?",
        "What about Hillside?",
        "How many students did the Hillside centre help in 2019?",
    ),
    (
        "How many students did the Lakeside centre help in 2019?",
        "and in 2020?",
        "How many students did the Lakeside centre help in 2020?",
    ),
    (
        "How many students did the Lakeside centre help?",
        "how about teachers?",
        "How many teachers did the Lakeside centre help?",
    ),
    (
        "How many books does the Eastside Library hold?",
        "what about the Harbour Library?",
        "How many books does the Harbour Library hold?",
    ),
    ("When does the museum open?", "what about the library", "When does the library open?"),
]

REFERRING = [
    ("城东图书馆有多少册书", "它什么时候建成的", "城东图书馆什么时候建成的"),
    ("城东图书馆有多少册书", "该馆有几个阅览室", "城东图书馆有几个阅览室"),
    ("红旗小学的校长是谁", "这所学校有多少学生", "红旗小学有多少学生"),
    ("张江镇的人口是多少", "这个镇有几所学校", "张江镇有几所学校"),
    ("红旗小学的校长是谁", "她什么时候上任的", "红旗小学的校长什么时候上任的"),
    ("北京的地铁有几条线", "那里有几个火车站", "北京有几个火车站"),
    ("1998年的洪水淹没了哪些村", "当年发放了多少救济款", "1998年发放了多少救济款"),
    ("城东图书馆有多少册书", "什么时候建成的", "城东图书馆什么时候建成的"),
    ("城东图书馆有多少册书", "一共有多少个座位", "城东图书馆一共有多少个座位"),
    ("城东图书馆有多少册书", "购买了多少期刊", "城东图书馆购买了多少期刊"),
    ("How many books does the Eastside Library hold?", "When does it open?", "When does Eastside Library open?"),
]

ALONE = [
    ("城东图书馆有多少册书", "滨湖体育馆是哪一年建成的"),
    ("城东图书馆有多少册书", "请问镜湖最深多少米"),
    ("城东图书馆有多少册书", "安康杯是什么,它是哪一年开始的"),
    ("城东图书馆有多少册书", "其中外文书占多少"),
    ("城东图书馆有多少册书", "滨湖当地有什么体育馆"),
    ("城东图书馆有多少册书", "应该怎么申请低保"),
    ("城东图书馆有多少册书", "什么是四送"),
    ("城东图书馆有多少册书", "谁主持修建了石拱桥"),
    ("城东图书馆有多少册书", "其他图书馆什么时候开门"),
    ("城东图书馆有多少册书", "为什么要建立农民工工会"),
    ("城东图书馆有多少册书", "吉他比赛有多少人参加"),
    ("城东图书馆有多少册书", "📚"),
    ("", "那平武县呢"),
    ("How many books does the library hold?", "Who wrote the annual report of the harbour?"),
    ("How many books does the library hold?", "What is it called when a ship is moved by tugs into a harbour?"),
    ("How many books does the library hold?", "Is there a lighthouse?"),
]


@pytest.mark.parametrize(("before", "asked", "meant"), [*ELLIPTICAL, *REFERRING])
def test_follow_up(before, asked, meant):
    assert interpret(asked, [Turn(before)], encode) == meant


@pytest.mark.parametrize(("before", "asked"), ALONE)
def test_a_question_that_stands_alone_is_left_alone(before, asked):
    assert interpret(asked, [Turn(before)], encode) == asked
    assert interpret(asked, [], encode) == asked


def test_follow_ups_follow_each_other():
    history = [Turn("城东图书馆有多少册书"), Turn(" "), Turn("城西图书馆呢"), Turn("它什么时候建成的")]
    assert interpret("那城南图书馆呢", history, encode) == "城南图书馆什么时候建成的"


def test_what_was_answered_says_who_and_when():
    who = Turn("红旗小学的校长是谁", "校长王建国于2003年上任。")
    assert interpret("他毕业于哪所大学", [who], encode) == "王建国毕业于哪所大学"
    assert interpret("那一年学校有多少学生", [who], encode) == "2003年学校有多少学生"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"那呢它他该这里武威市多少有什么 2019年第一期,?", "what about ", "it ", "📚", "縣", "the "])
    ),
    st.one_of(st.text(max_size=20), st.sampled_from([before for before, *_ in ELLIPTICAL])),
    st.text(max_size=10),
)
def test_anything_can_be_said(parts, before, answer):
    asked = "".join(parts)
    found = interpret(asked, [Turn(before, answer)], encode)
    assert found.strip() or not asked.strip()


TEXTS = {
    "pingwu": "平武县图书馆年报\n\n2019年接待读者12万人次。2020年接待读者8万人次。\n",
    "qingchuan": "青川县图书馆年报\n\n2019年接待读者38万人次。2020年接待读者21万人次。\n",
}
FIRST = "青川县图书馆2019年接待了多少人次读者"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    base = tmp_path_factory.mktemp("conversation")
    (base / "docs").mkdir()
    for name, text in TEXTS.items():
        (base / "docs" / f"{name}.txt").write_text(text, encoding="utf-8")
    (base / "config.yaml").write_text("corpus: docs\n", encoding="utf-8")
    engine = Engine(load_config(base / "config.yaml"))
    engine.index()
    return engine


def test_follow_up_is_answered_and_says_how_it_was_understood(engine):
    found = engine.ask("那平武县呢", history=[Turn(FIRST)])
    assert (found.query, found.interpreted_as) == ("那平武县呢", "平武县图书馆2019年接待了多少人次读者")
    assert found.answer.value == "12万人次"
    assert found.citations[0].path == "docs/pingwu.txt"
    assert engine.ask(FIRST, history=[Turn("别的问题")]).interpreted_as is None


def test_history_in_a_question_file(engine):
    question = EvalQuestion(question="平武县呢", history=[FIRST], evidence=["12万人次"], answers=["12万人次"])
    assert evaluate(engine, [question]).total.value_accuracy == 1.0


def test_over_http(engine):
    with serving(engine.config) as client:
        for history in ([FIRST], [{"question": FIRST, "answer": "38万人次"}], ["说点别的", {"question": FIRST}]):
            found = client.post("/v1/ask", json={"query": "平武县呢", "history": history}).json()
            assert found["interpreted_as"] == "平武县图书馆2019年接待了多少人次读者"
            assert found["answer"]["value"] == "12万人次"
        found = client.get("/v1/ask", params={"q": "平武县呢", "history": ["说点别的", FIRST]}).json()
        assert found["answer"]["value"] == "12万人次"
        assert client.post("/v1/ask", json={"query": FIRST}).json()["interpreted_as"] is None
        refused(client, {"query": "x", "history": "青川"}, "history: ")
        refused(client, {"query": "x", "history": [3]}, "history.0")
        refused(client, {"query": "x", "history": [{"q": "青川"}]}, "history.0")
        refused(client, {"query": "x", "history": ["字" * 4001]}, "history.0")
        refused(client, {"query": "x", "history": ["字"] * 101}, "history: ")


def refused(client: httpx.Client, body: dict[str, object], words: str) -> None:
    response = client.post("/v1/ask", json=body)
    assert response.status_code == 422
    assert response.json()["detail"].startswith(words)


def test_on_the_command_line(engine):
    base: Path = engine.config.base
    done = run_qa("ask", "2020年呢", "--after", FIRST, "--after", "平武县呢", folder=base)
    understood, answer, *_ = done.stdout.splitlines()
    assert understood == "Understood as: 平武县图书馆2020年接待了多少人次读者"
    assert "8万人次" in answer
    found = json.loads(run_qa("ask", "2020年呢", "--after", FIRST, "--json", folder=base).stdout)
    assert found["interpreted_as"] == "青川县图书馆2020年接待了多少人次读者"
    assert_fails(run_qa("ask", "2020年呢", "--after", " ", folder=base), 2, "query: is empty")


def test_the_shipped_documents_know_the_other_place(seeds_config):
    found = Engine(seeds_config).ask("那武威呢", history=[Turn(CANONICAL)])
    assert found.answer.value == "2436人"
    assert "武威" in (found.interpreted_as or "")
