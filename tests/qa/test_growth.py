"""No question, history or document id stalls the process: twice as much of anything takes about twice the time."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable

import pytest

from index.errors import QueryError
from qa.configuration.config import Config
from qa.engine import Engine
from qa.schemas import MAX_ANSWER_CHARS, MAX_QUERY_CHARS, MAX_TOP_K, MAX_TURNS
from qa.understanding.conversation import Turn, interpret
from qa.understanding.question import Question

FLOODS: dict[str, Callable[[int], str]] = {
    "one letter": lambda n: "a" * n,
    "one Han character": lambda n: "中" * n,
    "many Han characters": lambda n: "".join(chr(0x4E00 + i) for i in range(n)),
    "digits": lambda n: "1" * n,
    "Han digits": lambda n: "一" * n,
    "codes": lambda n: " ".join(f"a{i}" for i in range(n))[:n],
    "hyphens": lambda n: "1-" * (n // 2),
    "scales": lambda n: "1万" * (n // 2),
    "years": lambda n: "2019年" * (n // 5),
    "months": lambda n: "1月" * (n // 2),
    "spaces": lambda n: f"学{' ' * (n - 2)}生",
    "brackets": lambda n: "[" * n,
    "quotes": lambda n: "“《" * (n // 2),
    "marks": lambda n: "e" + "\u0301" * (n - 1),
    "places": lambda n: "兰州武威" * (n // 4),
    "people": lambda n: "王小明" * (n // 3),
    "pinyin": lambda n: "lanzhou " * (n // 8),
    "list": lambda n: "甲、" * (n // 2),
    "exclusions": lambda n: "".join(f"不要{i}," for i in range(n))[:n],
    "words": lambda n: " ".join(map(str.lower, map(chr, range(0x41, 0x5B)))) * (n // 50),
    "mixture": lambda n: "".join(random.Random(1).choices("019aé 中一二万年月元、,。（[《“多少谁-.", k=n)),
}
pytestmark = pytest.mark.slow
ASKING = ("资助了多少学生", "什么时候", "谁", "哪些", "什么是", "")


@pytest.fixture(scope="module")
def engine(seeds_config: Config) -> Engine:
    return Engine(seeds_config)


def cost(call: Callable[[], object]) -> float:
    """Processor time; short ones count as one length, in which nothing can be told."""
    started = time.process_time()
    call()
    return max(0.02, time.process_time() - started)


def assert_twice(full: Callable[[], object], half: Callable[[], object]) -> None:
    """Fail when `full` takes much more than twice what `half` does, which is tried again: others may disturb it."""
    ratios = (cost(full) / cost(half) for _ in range(4))
    assert any(ratio < 3 for ratio in ratios)


def assert_linear(call: Callable[[str], object], flood: Callable[[int], str]) -> None:
    half = flood(MAX_QUERY_CHARS // 2)[: MAX_QUERY_CHARS // 2]
    full = flood(MAX_QUERY_CHARS)[:MAX_QUERY_CHARS]
    assert_twice(lambda: call(full), lambda: call(half))


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_understanding(flood: Callable[[int], str]) -> None:
    def understand(text: str) -> None:
        question = Question.of(text)
        _ = question.query, question.names, question.unit, question.counted, question.asks_list, question.mentioned

    for asking in ASKING:
        assert_linear(understand, lambda n, asking=asking: asking + flood(n))  # type: ignore[misc]


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_ask_search_and_why_not(engine: Engine, flood: Callable[[int], str]) -> None:
    document = engine.documents(limit=1)[0].id
    assert_linear(engine.ask, flood)
    assert_linear(engine.ask, lambda n: "资助了多少学生" + flood(n))
    assert_linear(lambda text: engine.search(text, top_k=MAX_TOP_K, explain=True), flood)
    assert_linear(lambda text: engine.why_not(document, text), flood)


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_history(engine: Engine, flood: Callable[[int], str]) -> None:
    encode = engine.encoder.encode_documents
    for question in ("那武威呢", "他是谁", "该中心在哪里", "当时呢"):
        assert_linear(lambda text: interpret(question, [Turn(text, text)], encode), flood)  # noqa: B023
        assert_linear(lambda text: interpret(question + text, [Turn("王小明是谁", text)], encode), flood)  # noqa: B023


def test_many_turns(engine: Engine) -> None:
    """Twice the turns, each as long as is read, take about twice the time."""

    def read(turns: int) -> object:
        long = Turn("兰州武威" * 50, "王小明在2019年" * 10_000)
        return interpret("那武威呢", [long, *[Turn("那武威呢", long.answer)] * turns], engine.encoder.encode_documents)

    assert_twice(lambda: read(32), lambda: read(16))


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([Turn("问")] * (MAX_TURNS + 1), f"history: has {MAX_TURNS + 1} turns; at most {MAX_TURNS} are accepted"),
        ([Turn("问" * (MAX_QUERY_CHARS + 1))], "history.0.question: has 4001 characters; at most 4000 are accepted"),
        ([Turn("问"), Turn("问", "答" * (MAX_ANSWER_CHARS + 1))], "history.1.answer: has 100001 characters"),
        ([Turn("\ud800")], "history.0.question: holds half of a surrogate pair"),
    ],
    ids=["turns", "question", "answer", "surrogate"],
)
def test_history_beyond_the_bounds(engine: Engine, history: list[Turn], message: str) -> None:
    with pytest.raises(QueryError, match=re.escape(message)):
        engine.ask("资助了多少学生", history=history)


def test_codes_are_found_as_before() -> None:
    """The linear pattern finds what the cubic one found."""
    before = re.compile(
        "[a-z]*[0-9]+[a-z0-9-]*[a-z][a-z0-9-]*|[a-z]+-?[0-9]+[a-z0-9-]*|(?<![0-9])(?:19|20)[0-9]{2}(?=年|\\b)"
    )
    chance = random.Random(2)
    for _ in range(5000):
        text = "".join(
            chance.choices(["a", "b", "1", "2", "-", "20", "19", "2019", "年", " ", "é", "_", "."], k=8)
        ).strip()
        assert Question(text, text).places == list(dict.fromkeys(before.findall(text)))
