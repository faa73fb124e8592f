"""What every bot does, over its platform's protocol."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from qa.config import Config
from qa.engine import Engine
from qa.schemas import AskResponse
from tests.conftest import CANONICAL
from tests.qa.chat.bots.conftest import BASE, configured
from tests.qa.chat.bots.feishu import FeishuCallback
from tests.qa.chat.bots.platforms import Platform, running
from tests.qa.servers import wait_until


class Slow(Engine):
    """Answers when it is let."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.let = threading.Event()

    def ask(self, query: str, **options: Any) -> AskResponse:
        assert self.let.wait(30)
        if query == "break":
            raise RuntimeError("the disk is gone")
        return super().ask(query, **options)


def test_canonical_question_with_its_citation(seeds_config, platform: Platform):
    config = configured(seeds_config, platform)
    expected = Engine(config).ask(CANONICAL)
    with running(platform, config):
        ready(platform)
        platform.ask(CANONICAL)
        reply = platform.reply()
        wait_until(lambda: platform.is_acknowledged("m1"))
    assert "1097名" in reply.text
    assert reply.links == [BASE + citation.url for citation in expected.citations]
    assert "第" in reply.text and "来源" in reply.text


def test_follow_up_in_its_conversation_and_not_in_another(seeds_config, platform: Platform):
    with running(platform, configured(seeds_config, platform)):
        ready(platform)
        platform.ask("兰州帮扶中心资助了多少学生", user="ada", chat="c1", message="m1")
        assert "1097名" in platform.reply().text
        platform.ask("那武威呢", user="ada", chat="c1", message="m2")
        assert "武威" in platform.reply().text.partition("按“")[2]
        platform.ask("那武威呢", user="bob", chat="c1", message="m3")
        assert "按“" not in platform.reply().text
        platform.ask_alone("那武威呢", user="ada", message="m4")
        assert "按“" not in platform.reply().text


def test_repeated_message_is_acknowledged_and_answered_once(seeds_config, platform: Platform):
    with running(platform, configured(seeds_config, platform)):
        ready(platform)
        for _ in range(3):
            platform.ask(CANONICAL, message="m1")
        platform.ask("火星上有多少工会会员", message="m2")
        assert "1097名" in platform.reply().text
        assert "没有找到答案" in platform.reply().text
        assert platform.replies.empty()


def test_slow_answer_and_error_are_acknowledged_first(seeds_config, platform: Platform, caplog):
    config = configured(seeds_config, platform)
    engine = Slow(config)
    with running(platform, config, engine):
        ready(platform)
        platform.ask("break", message="m1")
        wait_until(lambda: platform.is_acknowledged("m1"), timeout_s=3)
        assert platform.replies.empty()
        engine.let.set()
        assert "disk" not in (text := platform.reply().text)
        assert "please try again later" in text
        platform.ask_alone(CANONICAL, message="m2")
        assert "1097名" in platform.reply().text
    assert "the disk is gone" in caplog.text


def test_rate_limit_is_one_persons(seeds_config, platform: Platform):
    with running(platform, configured(seeds_config, platform, rate_limit="1/minute")):
        ready(platform)
        platform.ask(CANONICAL, message="m1")
        assert "1097名" in platform.reply().text
        for message in ("m2", "m3", "m4"):
            platform.ask(CANONICAL, message=message)
        assert "太频繁" in platform.reply().text
        platform.ask(CANONICAL, user="bob", message="m5")
        assert "1097名" in platform.reply().text
        assert platform.replies.empty()


def test_reply_that_is_refused_is_logged_and_the_bot_goes_on(seeds_config, platform: Platform, caplog):
    with running(platform, configured(seeds_config, platform)):
        ready(platform)
        platform.is_failing = True
        platform.ask(CANONICAL, message="m1")
        wait_until(lambda: "message" in caplog.text and "could not be sent" in caplog.text)
        platform.is_failing = False
        platform.ask(CANONICAL, message="m2")
        assert "1097名" in platform.reply().text


def test_connection_is_made_again(seeds_config, platform: Platform, monkeypatch):
    if isinstance(platform, FeishuCallback):
        pytest.skip("calls need no connection")
    with running(platform, configured(seeds_config, platform)):
        ready(platform)
        platform.connections.pop().close()
        ready(platform)
        platform.ask(CANONICAL)
        assert "1097名" in platform.reply().text


def ready(platform: Platform) -> None:
    """Wait until the bot receives messages."""
    if isinstance(platform, FeishuCallback):
        import httpx

        def is_up() -> bool:
            try:
                return platform.post(b"").status_code == 403
            except httpx.TransportError:
                return False

        wait_until(is_up)
    else:
        wait_until(lambda: bool(platform.connections))
