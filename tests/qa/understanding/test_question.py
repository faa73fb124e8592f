from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.text.fold import fold_text
from index.text.quantities import quantities
from qa.answering.clauses import accepts, fitting
from qa.understanding.question import Question

CHARS = "多少几哪谁吗什么时候年月日个名人兰州武威市不要别给我，。？? 0123百万元率whoenmay\n"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("医院有多少职工", "count"),
        ("图书馆收藏了多少册古籍", "count"),
        ("收藏了多少万册书", "count"),
        ("发了多少张卡", "count"),
        ("投资多少万", "money"),
        ("花了多少块钱", "money"),
        ("醫院有多少護士?", "count"),
        ("第几届运动会", "count"),
        ("额定功率是多少", "count"),
        ("预约电话是多少", "count"),
        ("How many people took part?", "count"),
        ("兰州 助学 人数", "count"),
        ("购置设备花了多少钱", "money"),
        ("發放了多少助學金", "money"),
        ("How much did the renovation cost?", "money"),
        ("就业率是多少", "share"),
        ("产值增长了多少", "share"),
        ("What share of the steel was recycled?", "share"),
        ("鼓楼建于哪一年", "date"),
        ("甚麼時候開始報名", "date"),
        ("When did it begin?", "date"),
        ("誰主持修建", "person"),
        ("Who is the project manager?", "person"),
        ("公司的总裁叫什么", "person"),
        ("由哪家公司承担", "organisation"),
        ("Which company was awarded the contract?", "organisation"),
        ("是不是取消了", "yesno"),
        ("有没有停车场", "yesno"),
        ("为什么调整时间", "reason"),
        ("怎么报名", "reason"),
        ("有哪些措施", "list"),
        ("什么是集体合同", "definition"),
        ("冬季采暖补助", "any"),
        ("zzz", "any"),
    ],
)
def test_kind(text, kind):
    question = Question.of(text)
    assert question.kind == kind
    assert question.asks_quantity == (kind in {"count", "money", "share", "date"})
    assert question.asks_name == (kind in {"person", "organisation"})


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("有多少名学生", "名"),
        ("资助了多少学生", "名"),
        ("慰问多少人次", "人次"),
        ("做了多少台手术", "台"),
        ("保修几年", "年"),
        ("开了几场讲座", "场"),
        ("助学 人数", "名"),
        ("多少資金", ""),
        ("预约电话是多少", ""),
        ("谁负责", ""),
    ],
)
def test_unit(text, unit):
    assert Question.of(text).unit == unit


@pytest.mark.parametrize(
    ("text", "wanted", "excluded"),
    [
        ("兰州资助了多少学生?别给我武威的", "兰州资助了多少学生?", ("武威",)),
        ("不是武威,兰州花了多少钱", "兰州花了多少钱", ("武威",)),
        ("蘭州資助了多少學生,不要武威的", "兰州资助了多少学生", ("武威",)),
        ("是不是取消了,为什么", "是不是取消了,为什么", ()),
        ("不要武威的", "不要武威的", ()),
        ("兰州资助了多少学生", "兰州资助了多少学生", ()),
    ],
)
def test_exclusion(text, wanted, excluded):
    question = Question.of(text)
    assert question.wanted.rstrip(",") == wanted
    assert question.excluded == excluded


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("兰州市资助了多少学生", ["兰州"]),
        ("武威市和兰州市", ["武威", "兰州"]),
        ("蘭州資助了多少學生", ["兰州"]),
        ("ISO9000认证是什么", ["iso9000"]),
        ("2019年的支出", ["2019"]),
        ("全国有多少城市", []),
        ("医院有多少职工", []),
    ],
)
def test_places(text, places):
    assert Question.of(text).places == places


def test_names_of_people_are_guessed():
    question = Question.of("王小明的电话")
    assert (question.places, question.names) == ([], ["王小明"])


def test_topic_leaves_out_the_words_that_ask():
    assert Question.of("请问兰州帮扶中心一共资助了多少学生?").topic.split() == ["兰州帮扶中心", "资助了", "学生"]
    assert Question.of("多少?").terms == []


@pytest.mark.parametrize(
    ("question", "text", "fits"),
    [
        ("有多少学生", "帮助1097名困难家庭子女,发放260多万元,连续四年", ["1097名"]),
        ("收藏了多少册古籍", "收藏了7654册古籍", ["7654册"]),
        ("获得多少块奖牌", "获得12块奖牌", ["12块"]),
        ("收了多少箱苹果", "收了3万箱苹果,共20集中", ["3万箱"]),
        ("花了多少钱", "帮助1097名困难家庭子女,发放260多万元,连续四年", ["260多万元"]),
        ("连续资助几年", "帮助1097名困难家庭子女,发放260多万元,连续四年", ["四年"]),
        ("哪一年", "2019年有3人,占5%", ["2019年"]),
        ("占比多少", "2019年有3人,占5%", ["5%"]),
        ("第几届", "举办第三届运动会,3个项目", ["第三届"]),
        ("有没有", "有3人", []),
        ("谁主持修建", "由知府李文忠主持修建", ["李文忠"]),
    ],
)
def test_fitting(question, text, fits):
    folded = fold_text(text)
    assert [folded[slice(*span)] for span in fitting(Question.of(question), folded)] == fits


@given(st.one_of(st.text(min_size=1, max_size=60), st.text(alphabet=CHARS, min_size=1, max_size=60)))
def test_any_text_is_a_question(text):
    question = Question.of(text)
    assert question.text == text
    assert len(question.terms) == len(set(question.terms))
    assert set(question.places) <= set(question.names)
    assert all(isinstance(name, str) and name for name in (*question.names, *question.excluded))
    folded = fold_text(text)
    for start, end in fitting(question, folded):
        assert 0 <= start < end <= len(folded)
    for quantity in quantities(folded):
        assert accepts(question, quantity) in (True, False)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("図書館は何時に開きますか", "time"),
        ("本は何冊借りられますか", "count"),
        ("入場料はいくらですか", "money"),
        ("保证金退还几倍", "count"),
        ("这几年办了什么展览", "any"),
        ("图书馆在哪里", "place"),
        ("Where is the library?", "place"),
    ],
)
def test_kinds_in_other_languages_and_of_other_units(text, kind):
    assert Question.of(text).kind == kind
