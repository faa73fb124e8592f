from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any

import pytest

from qa.chat.bots.dispatcher import BotMessage, Dispatcher
from qa.chat.card import Card
from qa.configuration.config import Config
from qa.engine import Engine
from qa.schemas import MAX_QUERY_CHARS, AskResponse
from qa.understanding.conversation import Turn
from tests.conftest import CANONICAL
from tests.qa.servers import wait_until


class Gate(Engine):
    """Notes what is asked, and answers once it is open."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.opened, self.asked = threading.Event(), list[tuple[str, tuple[Turn, ...]]]()

    def ask(self, query: str, *, history: tuple[Turn, ...] = (), **options: Any) -> AskResponse:  # type: ignore[override]
        self.asked.append((query, history))
        assert self.opened.wait(30)
        return super().ask(CANONICAL)


@contextmanager
def dispatcher_over(
    config: Config, *, is_open: bool = True, **bots: Any
) -> Iterator[tuple[Dispatcher, Gate, Queue[Card]]]:
    engine = Gate(config.model_copy(update={"bots": type(config.bots)(**bots)}))
    if is_open:
        engine.opened.set()
    dispatcher = Dispatcher(engine)
    yield dispatcher, engine, Queue()
    engine.opened.set()
    dispatcher.close(grace_s=10)


def question(text: str, *, message: str | None = None, chat: str = "c", user: str = "ada") -> BotMessage:
    return BotMessage(message or text, chat, user, text)


def test_turns_of_a_conversation_come_in_order_while_others_are_answered(seeds_config):
    with dispatcher_over(seeds_config, is_open=False, workers=3, turns=2) as (dispatcher, engine, cards):
        for text in ("a", "b", "c", "d"):
            assert dispatcher.submit(question(text), cards.put)
        assert dispatcher.submit(question("x", chat="other"), cards.put)
        wait_until(lambda: len(engine.asked) == 2)
        assert sorted(text for text, _ in engine.asked) == ["a", "x"]
        engine.opened.set()
        for _ in range(5):
            cards.get(timeout=10)
        asked = [(text, [turn.question for turn in turns]) for text, turns in engine.asked if text != "x"]
        assert asked == [("a", []), ("b", ["a"]), ("c", ["a", "b"]), ("d", ["b", "c"])]
        assert "1097" in engine.asked[-1][1][-1].answer


def test_no_turns_are_kept_where_none_are_wanted(seeds_config):
    with dispatcher_over(seeds_config, turns=0) as (dispatcher, engine, cards):
        for text in ("a", "b"):
            dispatcher.submit(question(text), cards.put)
            cards.get(timeout=10)
        assert engine.asked[-1] == ("b", ())


def test_a_conversation_is_forgotten_in_time(seeds_config):
    with dispatcher_over(seeds_config, forget_after_s=0.05) as (dispatcher, engine, cards):
        dispatcher.submit(question("a"), cards.put)
        cards.get(timeout=10)
        wait_until(lambda: not dispatcher.remembers("c"))
        dispatcher.submit(question("b"), cards.put)
        cards.get(timeout=10)
        assert engine.asked[-1] == ("b", ())


def test_too_many_waiting_is_said_and_bounded(seeds_config):
    with dispatcher_over(seeds_config, is_open=False, workers=1, max_waiting=3) as (dispatcher, engine, cards):
        taken = [dispatcher.submit(question(str(number), user=f"u{number}"), cards.put) for number in range(5)]
        assert taken == [True, True, True, False, False]
        assert {cards.get(timeout=10).text for _ in range(2)} == {
            "Too many questions are waiting; please ask again later."
        }
        engine.opened.set()
        assert [cards.get(timeout=10).value for _ in range(3)] == ["1097名"] * 3


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "请用文字提问"), (" \n", "请用文字提问"), ("问" * (MAX_QUERY_CHARS + 1), f"缩短到{MAX_QUERY_CHARS}字")],
)
def test_what_is_no_question_is_said(seeds_config, text, said):
    with dispatcher_over(seeds_config) as (dispatcher, engine, cards):
        assert not dispatcher.submit(question(text, message="m"), cards.put)
        assert said in cards.get(timeout=10).text
        assert engine.asked == []


def test_without_a_limit_nobody_is_held_back(seeds_config):
    with dispatcher_over(seeds_config, rate_limit=None) as (dispatcher, _, cards):
        assert all(dispatcher.submit(question(str(number)), cards.put) for number in range(50))


def test_closing_answers_what_was_taken_and_takes_no_more(seeds_config, caplog):
    with dispatcher_over(seeds_config, is_open=False) as (dispatcher, engine, cards):
        dispatcher.submit(question("a"), cards.put)
        threading.Timer(0.1, engine.opened.set).start()
        dispatcher.close(grace_s=10)
        assert cards.get_nowait().value == "1097名"
        assert not dispatcher.submit(question("b"), cards.put)
    with dispatcher_over(seeds_config, is_open=False) as (dispatcher, engine, cards):
        dispatcher.submit(question("a"), cards.put)
        dispatcher.close(grace_s=0.01)
        assert "1 questions stay without an answer" in caplog.text


def test_a_link_needs_a_base(seeds_config):
    with dispatcher_over(seeds_config) as (dispatcher, _, cards):
        dispatcher.submit(question("a"), cards.put)
        assert cards.get(timeout=10).sources[0].url.startswith("/")
