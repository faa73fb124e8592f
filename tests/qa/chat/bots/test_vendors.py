"""What only one platform has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from index.errors import CitedQAError, ConfigError
from qa.configuration.config import Config
from tests.conftest import CANONICAL
from tests.qa.chat.bots import feishu
from tests.qa.chat.bots.dingtalk import Dingtalk
from tests.qa.chat.bots.every import configured, make_platform
from tests.qa.chat.bots.feishu import Feishu, FeishuCallback
from tests.qa.chat.bots.platforms import now_ms, running
from tests.qa.chat.bots.slack import BOT, Slack
from tests.qa.chat.bots.wecom import Wecom
from tests.qa.servers import wait_until


@pytest.fixture
def bot(request: pytest.FixtureRequest, seeds_config: Config) -> Any:
    platform = make_platform(request.param)
    with running(platform, configured(seeds_config, platform)):
        platform.wait()
        yield platform
    platform.close()


def on(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bot", [name], indirect=True)


@pytest.mark.parametrize(
    ("name", "key", "said"),
    [
        ("feishu", "app_secret", "feishu.app_id, feishu.app_secret: the platform refuses them: "),
        ("wecom", "secret", "wecom.bot_id, wecom.secret: the platform refuses them: "),
        ("slack", "bot_token", "slack.bot_token: Slack refuses it"),
        ("slack", "app_token", "slack.app_token: Slack refuses it: invalid_auth"),
    ],
)
def test_wrong_secret_ends_the_bot_with_its_key(seeds_config, name, key, said, monkeypatch):
    from lark_oapi.core.token import TokenManager

    monkeypatch.setattr(TokenManager.cache, "get", lambda key: None)  # kept for two hours from earlier tests
    platform = make_platform(name)
    config = configured(seeds_config, platform)
    group = type(getattr(config, name))(**platform.settings() | {key: "wrong-secret"})
    with pytest.raises(ConfigError) as caught, running(platform, config.model_copy(update={name: group})) as bot:
        bot.join(30)
    platform.close()
    assert str(caught.value).startswith(said)
    assert "wrong-secret" not in str(caught.value)


def test_wrong_secret_of_dingtalk_is_told_and_tried_again(seeds_config, caplog):
    platform = Dingtalk()
    config = configured(seeds_config, platform)
    wrong = type(config.dingtalk)(**platform.settings() | {"client_secret": "wrong-secret"})
    with running(platform, config.model_copy(update={"dingtalk": wrong})):
        wait_until(lambda: "authFailed" in caplog.text)
    platform.close()
    assert "wrong-secret" not in caplog.text


@on("dingtalk")
def test_dingtalk_rich_text_own_messages_and_late_answers(bot: Dingtalk, caplog):
    rich = {"richText": [{"text": "兰州帮扶中心"}, {"downloadCode": "picture"}, {"text": "资助了多少学生"}]}
    bot.ask("", message="m1", msgtype="richText", content=rich)
    assert "1097名" in bot.reply().text
    bot.ask("", message="m2", msgtype="picture", content={"downloadCode": "picture"})
    assert "请用文字提问" in bot.reply().text
    bot.ask(CANONICAL, message="m3", senderId="$robot")
    bot.ask(CANONICAL, message="m4", sessionWebhookExpiredTime=now_ms() - 1000)
    wait_until(lambda: "message m4: the answer could not be sent" in caplog.text)
    assert bot.replies.empty()


@on("dingtalk")
def test_dingtalk_pings_and_the_platforms_wish_to_part(bot: Dingtalk, caplog):
    bot.tell("ping")
    wait_until(lambda: bot.is_acknowledged("ping"))
    assert caplog.text == ""
    first = bot.connections.pop()
    first.send(json.dumps({"type": "SYSTEM", "headers": {"topic": "disconnect", "messageId": "x"}, "data": "{}"}))
    bot.wait()
    bot.ask(CANONICAL)
    assert "1097名" in bot.reply().text


@on("feishu")
def test_feishu_only_answers_people_who_mean_it(bot: Feishu):
    bot.push("m1", "cli_other", {"chat_id": "c", "chat_type": "p2p", "content": '{"text": "你好"}'}, sender_type="app")
    bot.ask(CANONICAL, message="m2", mentions=[{"key": "@_user_1", "id": {"open_id": "ou_bob"}, "name": "Bob"}])
    bot.ask(CANONICAL, message="m3", mentions=None)
    rows = [
        [{"tag": "at", "user_id": "@_user_1"}, {"tag": "text", "text": "兰州帮扶中心"}],
        [{"tag": "a", "text": "资助了多少学生"}],
    ]
    bot.ask("", message="m4", message_type="post", content=json.dumps({"title": "", "content": rows}))
    reply = bot.reply()
    assert (reply.to, "1097名" in reply.text) == ("m4", True)
    bot.ask("", message="m5", message_type="image", content='{"image_key": "k"}')
    assert "请用文字提问" in bot.reply().text
    assert bot.replies.empty()


@on("feishu")
def test_feishu_threads_are_conversations_of_all_in_them(bot: Feishu):
    bot.ask(CANONICAL, user="ada", message="m1", thread_id="t1")
    bot.reply()
    bot.ask("那武威呢", user="bob", message="m2", thread_id="t1")
    assert "按“" in bot.reply().text


def test_feishu_refusal_while_it_runs_ends_the_bot(seeds_config):
    platform = Feishu()
    with pytest.raises(ConfigError, match="feishu: the platform refuses the connection"):
        with running(platform, configured(seeds_config, platform)) as bot:
            platform.wait()
            platform.routes["/callback/ws/endpoint"] = lambda body, path: (200, {"code": 1000040350, "msg": "too many"})
            platform.connections.pop().close()
            bot.join(30)
    platform.close()


@on("feishu-callback")
def test_feishu_calls_must_be_the_vendors(bot: FeishuCallback):
    challenge = {"type": "url_verification", "token": feishu.TOKEN, "challenge": "c-1"}
    assert bot.call(challenge).json() == {"challenge": "c-1"}
    event: dict[str, Any] = {
        "schema": "2.0",
        "header": {"event_id": "e", "event_type": "im.message.receive_v1", "token": feishu.TOKEN},
        "event": {
            "sender": {"sender_id": {"open_id": "u"}, "sender_type": "user"},
            "message": {
                "message_id": "m",
                "chat_id": "c",
                "chat_type": "p2p",
                "message_type": "text",
                "content": json.dumps({"text": CANONICAL}),
            },
        },
    }
    other_token = {**event, "header": {**event["header"], "token": "other"}}
    for refused in (
        bot.call({**challenge, "token": "other"}),
        bot.call(event, signed_with="other"),
        bot.call(event, key="other"),
        bot.call(other_token),
        bot.post(json.dumps(event).encode()),
        bot.post(json.dumps(challenge | {"token": "other"}).encode()),
        bot.post(b"\xff"),
        bot.post(b"[]"),
    ):
        assert (refused.status_code, refused.json()) == (403, {"msg": "refused"})
    assert bot.post(b"x" * (1 << 20) + b"x").status_code == 413
    assert bot.replies.empty()
    assert bot.call(event).json() == {"msg": "success"}
    assert "1097名" in bot.reply().text


@on("wecom")
def test_wecom_stream_begins_before_it_ends_and_holds_other_messages(bot: Wecom):
    bot.ask(CANONICAL, message="m1")
    reply = bot.reply()
    assert reply.stream == bot.begun[0]
    bot.push("m2", "ada", {"chattype": "single", "msgtype": "voice", "voice": {"content": CANONICAL}})
    assert "1097名" in bot.reply().text
    items = [{"msgtype": "text", "text": {"content": CANONICAL}}, {"msgtype": "image", "image": {"url": "u"}}]
    bot.push("m3", "ada", {"chattype": "single", "msgtype": "mixed", "mixed": {"msg_item": items}})
    assert "1097名" in bot.reply().text
    bot.push("m4", "ada", {"chattype": "single", "msgtype": "image", "image": {"url": "u"}})
    assert "请用文字提问" in bot.reply().text


def test_wecom_that_is_replaced_ends(seeds_config):
    platform = make_platform("wecom")
    with pytest.raises(CitedQAError, match="another process has connected as this robot"):
        with running(platform, configured(seeds_config, platform)) as bot:
            platform.wait()
            body = {"msgid": "e1", "msgtype": "event", "event": {"eventtype": "disconnected_event"}}
            frame = {"cmd": "aibot_event_callback", "headers": {"req_id": "r"}, "body": body}
            platform.connection.send(json.dumps(frame))
            bot.join(30)
    platform.close()


@on("slack")
def test_slack_only_answers_people_who_mean_it(bot: Slack):
    told = {"user": "ADA", "text": CANONICAL, "channel": "C1"}
    bot.push({**told, "type": "message", "channel_type": "channel", "ts": "1"})
    bot.push({**told, "type": "message", "channel_type": "im", "ts": "2", "bot_id": "B2"})
    bot.push({**told, "type": "message", "channel_type": "im", "ts": "3", "user": BOT})
    bot.push({**told, "type": "message", "channel_type": "im", "ts": "4", "subtype": "message_changed"})
    bot.push({**told, "type": "app_mention", "ts": "5", "text": f"<@{BOT}> R&amp;D <https://a.b|a.b> {CANONICAL}"})
    assert bot.reply().to == "C1/5"
    bot.push({**told, "type": "app_mention", "ts": "6", "thread_ts": "5", "text": f"那武威呢 <@{BOT}>"})
    follow_up = bot.reply()
    assert (follow_up.to, "按“" in follow_up.text) == ("C1/5", True)
    bot.ask_alone(CANONICAL, message="7")
    assert bot.reply().to == "Dada/None"
    assert bot.replies.empty()


def test_a_platform_that_is_not_there_yet_is_waited_for(seeds_config, caplog, monkeypatch):
    monkeypatch.setattr("qa.chat.bots.run._FIRST_PAUSE_S", 0.05)
    platform = Feishu()
    answer = platform.routes["/open-apis/bot/v3/info"]
    platform.routes["/open-apis/bot/v3/info"] = lambda body, path: (502, {"down": True})
    with running(platform, configured(seeds_config, platform)):
        wait_until(lambda: "trying again" in caplog.text)
        platform.routes["/open-apis/bot/v3/info"] = answer
        platform.wait()
        platform.ask(CANONICAL)
        assert "1097名" in platform.reply().text
    platform.close()


def test_feishu_takes_no_address_that_would_give_its_secrets_away(seeds_config):
    platform = Feishu()
    config = configured(seeds_config, platform)
    open_address = type(config.feishu)(**platform.settings() | {"base_url": "http://10.0.0.1"})
    with pytest.raises(ConfigError, match="feishu.base_url: domain must use https"):
        with running(platform, config.model_copy(update={"feishu": open_address})) as bot:
            bot.join(30)
    platform.close()
