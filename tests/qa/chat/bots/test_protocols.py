"""What every bot does, over its platform's protocol."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from qa.configuration.config import Config
from qa.engine import Engine
from qa.schemas import AskResponse
from tests.conftest import CANONICAL
from tests.qa.chat.bots.every import BASE, NAMES, configured, make_platform
from tests.qa.chat.bots.platforms import Platform, running
from tests.qa.servers import wait_until

PLANTED = "<!channel> <@U1> <at id=all></at> [ours](https://evil.example) *all* 1097名"


class Staged(Engine):
    """Answers when it is let; breaks when it is told to, and gives what someone wrote into a document."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.let = threading.Event()

    def ask(self, query: str, **options: Any) -> AskResponse:
        assert self.let.wait(30)
        if query == "break":
            raise RuntimeError("the disk is gone")
        found = super().ask(query, **options)
        assert found.answer
        citation = found.citations[0].model_copy(update={"quote": PLANTED, "title": PLANTED})
        answer = found.answer.model_copy(update={"text": PLANTED, "value": None})
        return found.model_copy(update={"answer": answer, "citations": [citation]})


@pytest.fixture(scope="module", params=NAMES)
def bot(request: pytest.FixtureRequest, seeds_config: Config) -> Iterator[Platform]:
    """A platform whose bot runs."""
    platform = make_platform(request.param)
    with running(platform, configured(seeds_config, platform)):
        platform.wait()
        yield platform
    platform.close()


def test_canonical_question_with_its_citation(seeds_config, bot: Platform):
    expected = Engine(seeds_config).ask(CANONICAL)
    bot.ask(CANONICAL, user="ann", message="a1")
    reply = bot.reply()
    wait_until(lambda: bot.is_acknowledged("a1"))
    assert "1097名" in reply.text and "来源" in reply.text and "第" in reply.text
    assert reply.links == [BASE + citation.url for citation in expected.citations]
    bot.ask_alone(CANONICAL, user="ann", message="a2")
    assert bot.reply().links == reply.links


def test_follow_up_in_its_conversation_and_not_in_another(bot: Platform):
    bot.ask("兰州帮扶中心资助了多少学生", user="bea", chat="c1", message="b1")
    assert "1097名" in bot.reply().text
    bot.ask("那武威呢", user="bea", chat="c1", message="b2")
    assert "武威" in bot.reply().text.partition("按“")[2]
    bot.ask("那武威呢", user="bob", chat="c1", message="b3")
    assert "按“" not in bot.reply().text
    bot.ask_alone("那武威呢", user="bea", message="b4")
    assert "按“" not in bot.reply().text


def test_repeated_message_is_acknowledged_and_answered_once_and_not_found_is_said(bot: Platform):
    for _ in range(3):
        bot.ask(CANONICAL, user="cat", message="c1")
        wait_until(lambda: bot.is_acknowledged("c1"))
    bot.ask("火星上有多少工会会员", user="cat", message="c2")
    assert "1097名" in bot.reply().text
    assert "没有找到答案" in bot.reply().text
    assert bot.replies.empty()


def test_reply_that_is_refused_is_logged_and_the_bot_goes_on(bot: Platform, caplog):
    bot.is_failing = True
    bot.ask(CANONICAL, user="dan", message="d1")
    wait_until(lambda: "message" in caplog.text and "could not be sent" in caplog.text)
    bot.is_failing = False
    bot.ask(CANONICAL, user="dan", message="d2")
    assert "1097名" in bot.reply().text


def test_connection_is_made_again(bot: Platform):
    if not bot.connects:
        pytest.skip("calls need no connection")
    bot.connections.pop().close()
    bot.wait()
    bot.ask(CANONICAL, user="eve", message="e1")
    assert "1097名" in bot.reply().text


def test_slow_answer_broken_answer_rate_limit_and_documents_that_call_everyone(seeds_config, platform, caplog):
    config = configured(seeds_config, platform, rate_limit="1/minute")
    engine = Staged(config)
    with running(platform, config, engine):
        platform.wait()
        platform.ask("break", message="m1")
        wait_until(lambda: platform.is_acknowledged("m1"))
        assert platform.replies.empty()
        engine.let.set()
        failed = platform.reply().text
        assert "please try again later" in failed and "disk" not in failed
        assert "the disk is gone" in caplog.text
        for message in ("m2", "m3", "m4"):
            platform.ask(CANONICAL, message=message)
        assert "太频繁" in platform.reply().text
        platform.ask(CANONICAL, user="bob", message="m5")
        reply = platform.reply()
        assert "1097名" in reply.text
        assert reply.calls == []
        assert len(reply.links) == 1 and reply.links[0].startswith(BASE)
        assert platform.replies.empty()
