"""Questions to answers on small documents of other fields than the shipped ones."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from index.encoder import Vectors
from qa.configuration.config import load_config
from qa.engine import Engine
from qa.schemas import AskResponse

DOCUMENTS = {
    "hospital.txt": """市第二人民医院关于调整门诊时间的通知

各科室:

自2023年7月1日起,门诊时间调整为上午8点至12点,下午2点至5点30分。急诊24小时开放。

今年上半年,我院共接诊患者18.6万人次,其中急诊患者2.3万人次,住院患者9412人次,完成手术3127台,开放床位860张,平均住院日7.4天。

全院现有职工1320人,其中医生412名,护士655名。医院投入560万元购置核磁共振设备一台,投入85万元改造住院部电梯。

预约电话0931-8812345。体检费用为每人320元,老年人减免50%。

后勤服务由康泰物业公司承担。
""",
    "manual.md": """# 静音型空气净化器使用手册

## 技术参数

额定电压为220V,额定功率为45W,净重6.8公斤,适用面积30平方米。

## 保修

本产品整机保修三年,电机保修十年。客服热线400-820-1234。
""",
    "history.txt": """鼓楼的历史

鼓楼始建于1384年,由知府李文忠主持修建,清康熙二十三年重修。

鼓楼高38米,底座有台阶72级,楼上原有大鼓24面,其中完整保存下来的只有1面。

民国二十六年,鼓楼毁于战火。1985年,市政府拨款120万元重建,1987年10月竣工。

鼓楼的故事见于地方志《金城旧闻》。
""",
    "english.md": """# Harbour Bridge renovation

The renovation of the Harbour Bridge began on 4 March 2019 and cost $2.5 million.

About 1,200 workers took part, and 85% of the steel was recycled. The project manager is Helen Carter.
""",
}
Make = Callable[..., Engine]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Make an engine over documents given as name: text or bytes."""

    def made(documents: dict[str, str | bytes]) -> Engine:
        base = tmp_path_factory.mktemp("answer")
        (base / "docs").mkdir()
        for name, text in documents.items():
            (base / "docs" / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        (base / "config.yaml").write_text("corpus: docs\n", encoding="utf-8")
        engine = Engine(load_config(base / "config.yaml"))
        engine.index()
        return engine

    return made


@pytest.fixture(scope="module")
def engine(make: Make) -> Engine:
    return make(DOCUMENTS)


def assert_exact(engine: Engine, found: AskResponse) -> None:
    """Citations and hits against the files themselves."""
    base = engine.config.base
    for place, quote in [(c, c.quote) for c in found.citations] + [(h, h.text) for h in found.hits]:
        text = Path(base, place.path).read_bytes().decode()
        assert text[place.start : place.end] == quote
    assert (found.answer is None) == (not found.citations)
    if found.answer:
        assert found.answer.text == found.citations[0].quote
        assert found.answer.value is None or found.answer.value in found.answer.text


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("医院上半年接诊了多少患者", "18.6万人次"),
        ("住院患者有多少人次", "9412人次"),
        ("医院做了多少台手术", "3127台"),
        ("开放床位多少张", "860张"),
        ("平均住院日是多少天", "7.4天"),
        ("电机保修几年", "十年"),
        ("适用面积多少平方米", "30平方米"),
        ("净化器的额定功率是多少", "45W"),
        ("鼓樓高多少米", "38米"),
        ("鼓楼的台阶有多少级", "72级"),
        ("How many workers took part?", "1,200"),
    ],
)
def test_number_with_its_unit_among_several(engine, question, value):
    found = engine.ask(question)
    assert found.answer.value == value
    assert_exact(engine, found)


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("医院一共有多少职工", "1320人"),
        ("医院有多少名医生", "412名"),
        ("医院有多少护士", "655名"),
        ("急诊患者有多少人次", "2.3万人次"),
        ("鼓楼有多少面大鼓", "24面"),
    ],
)
def test_whole_and_part(engine, question, value):
    assert engine.ask(question).answer.value == value


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("购置核磁共振花了多少钱", "560万元"),
        ("改造电梯投了多少资金", "85万元"),
        ("體檢費用是多少錢", "320元"),
        ("How much did the renovation cost?", "$2.5 million"),
        ("鼓楼建于哪一年", "1384年"),
        ("鼓楼什么时候竣工", "1987年10月"),
        ("鼓楼什么时候毁于战火", "民国二十六年"),
        ("When did the renovation of the Harbour Bridge begin?", "4 March 2019"),
        ("老年人体检减免百分之几", "50%"),
        ("What share of the steel was recycled?", "85%"),
        ("体检预约电话是多少", "0931-8812345"),
        ("客服热线是多少", "400-820-1234"),
        ("鼓楼是谁主持修建的", "李文忠"),
        ("后勤由哪家公司承担", "康泰物业公司"),
        ("鼓楼的故事见于什么书", "《金城旧闻》"),
    ],
)
def test_value_of_each_kind(engine, question, value):
    found = engine.ask(question)
    assert found.answer.value == value
    assert_exact(engine, found)


@pytest.mark.parametrize(
    ("question", "reason", "terms"),
    [
        ("上海帮扶中心资助了多少学生", "missing_terms", ["上海"]),
        ("鼓楼的门票多少钱", "no_quantity", []),
        ("火星上有多少居民", "low_confidence", []),
        ("医院的院长叫什么", "low_confidence", []),
    ],
)
def test_refusal(engine, question, reason, terms):
    found = engine.ask(question)
    assert (found.status, found.reason, found.missing_terms) == ("no_answer", reason, terms)
    assert found.hits
    assert_exact(engine, found)


def test_empty_corpus_has_no_hits(make):
    found = make({}).ask("鼓楼建于哪一年")
    assert (found.status, found.reason, found.hits) == ("no_answer", "no_hits", [])


def test_traditional_and_simplified_give_the_same_answer(engine):
    simplified, traditional = (engine.ask(text) for text in ("鼓楼是谁主持修建的", "鼓樓是誰主持修建的"))
    assert traditional.citations == simplified.citations


def test_excluded_names_do_not_answer(engine):
    assert engine.ask("医院有多少名医生,不要护士的").answer.value == "412名"


def test_near_identical_passages_count_once(make):
    sentence = "城东图书馆藏书52万册,其中古籍3万册,由建筑师林致远主持设计,每年接待读者二十余万人次。"
    engine = make({f"{name}.txt": sentence + end + "\n" for name, end in (("a", ""), ("b", ""), ("c", "(转载)"))})
    found = engine.ask("城东图书馆藏书多少册")
    assert found.answer.value == "52万册"
    assert [len(hit.also_in) for hit in found.hits] == [2]
    assert len({found.hits[0].path, *(copy.path for copy in found.hits[0].also_in)}) == 3
    assert_exact(engine, found)


def test_odd_characters_keep_offsets_exact(make):
    text = "\u200b城东图书馆\u3000藏书 ５２ 万\r\n册。😀\u0301\x07\ue000\r\n\r\n游泳馆的水池长50米。\u2028結束\n"
    engine = make({"odd.txt": text, "nul.txt": "城东图书馆藏书99万册。\0\n", "bom.txt": b"\xff\xfe\xff"})
    for question in ("城东图书馆有多少册书", "水池长多少米", "結束"):
        found = engine.ask(question)
        assert {hit.path for hit in found.hits} == {"docs/odd.txt"}
        base = engine.config.base
        stored = (base / "docs" / "odd.txt").read_bytes().decode()
        assert all(stored[hit.start : hit.end] == hit.text for hit in found.hits)
        assert all(stored[c.start : c.end] == c.quote for c in found.citations)
    assert engine.ask("水池长多少米").answer.value == "50米"


def test_many_threads_get_what_one_gets(engine):
    questions = ["医院有多少护士", "鼓楼建于哪一年", "How many workers took part?", "鼓楼的门票多少钱"]
    alone = {question: engine.ask(question) for question in questions}
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(engine.ask, questions * 8))
    for found in together:
        expected = alone[found.query]
        assert (found.answer, found.reason, found.citations) == (expected.answer, expected.reason, expected.citations)
        assert found.hits == expected.hits


def test_top_k_limits_what_is_shown_not_what_is_read(engine):
    few, many = engine.ask("医院有多少护士", top_k=1), engine.ask("医院有多少护士", top_k=100)
    assert (len(few.hits), few.answer) == (1, many.answer)
    assert [hit.rank for hit in many.hits] == list(range(1, len(many.hits) + 1))


def test_a_question_is_encoded_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an endpoint for an encoder each time is a request."""
    asked: list[str] = []
    encode = engine.encoder.encode_query

    def encode_query(text: str) -> Vectors:
        asked.append(text)
        return encode(text)

    monkeypatch.setattr(engine.encoder, "encode_query", encode_query)
    engine.ask("鼓楼有多少级台阶")
    assert len(asked) == 1
