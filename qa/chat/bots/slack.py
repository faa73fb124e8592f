"""Slack: an app in socket mode. The SDK opens another connection when one ends, and checks it every 5 s."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from threading import Event
from typing import Any

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.error import BoltError
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.models.blocks import RichTextBlock, RichTextElementParts, RichTextSectionElement

from index.errors import ConfigError
from qa.chat.bots.dispatcher import BotMessage, Dispatcher, fitted, marked, runs
from qa.chat.bots.run import patiently
from qa.chat.card import Card
from qa.configuration.config import Config

logger = logging.getLogger(__name__)

# Slack refuses blocks of some 13,000 characters together.
_MAX_CHARS = 9_000
_PING_S = 5
_MENTION = re.compile(r"<@[UW][A-Z0-9]+(?:\|[^<>]*)?>")
# Links and names in brackets: <https://a.b|a.b>, <#C1|general>. Brackets that were typed come as entities.
_LINK = re.compile(r"<[#!]?([^<|>]+)(?:\|([^<>]+))?>")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def serve(config: Config, dispatcher: Dispatcher, closing: Event) -> None:
    """Receive questions until `closing` is set.

    Raises:
        ConfigError: Slack refuses a token.
    """
    app = patiently(closing, lambda: _make_app(config, dispatcher), OSError)
    if app is None:
        return
    handler = SocketModeHandler(app, config.slack.revealed("app_token"), ping_interval=_PING_S)
    try:
        logger.info("slack: connecting to %s", config.slack.base_url)
        patiently(closing, lambda: _connect(handler), OSError)
        closing.wait()
    finally:
        handler.close()  # type: ignore[no-untyped-call]


def _make_app(config: Config, dispatcher: Dispatcher) -> App:
    """The app with its listeners; raises ConfigError when Slack refuses the bot's token, OSError when out of reach."""
    token = config.slack.revealed("bot_token")
    quiet = logging.getLogger("slack")
    quiet.setLevel(logging.WARNING)
    client = WebClient(token, base_url=config.slack.base_url, logger=quiet)
    client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=2))
    try:
        app = App(token=token, client=client, logger=quiet)
    except BoltError as exc:
        raise ConfigError("slack.bot_token: Slack refuses it; it begins with xoxb-, see docs/bots.md") from exc

    def hear(event: dict[str, Any]) -> None:
        if event.get("bot_id") is None and event.get("subtype") is None:
            dispatcher.submit(_question(event), lambda card: _reply(client, event, card))

    def hear_direct(event: dict[str, Any]) -> None:
        # Messages in channels come as app_mention when they are for the bot.
        if event.get("channel_type") == "im":
            hear(event)

    app.event("app_mention")(hear)
    app.event("message")(hear_direct)
    return app


def _connect(handler: SocketModeHandler) -> bool:
    try:
        handler.connect()  # type: ignore[no-untyped-call]
    except SlackApiError as exc:
        raise ConfigError(f"slack.app_token: Slack refuses it: {exc.response['error']}; it begins with xapp-") from exc
    return True


def _question(event: dict[str, Any]) -> BotMessage:
    """The question in an event. A thread is a conversation; in a direct chat so is all that is outside of threads."""
    is_direct = event.get("channel_type") == "im"
    thread = event.get("thread_ts") or ("" if is_direct else event["ts"])
    text = typed(event.get("text", ""))
    # The time of a message is its name within the channel; an event that comes again has another event_id at times.
    return BotMessage(f"{event['channel']}:{event['ts']}", f"{event['channel']}:{thread}", event["user"], text.strip())


def typed(text: str) -> str:
    """What a person typed, without mentions: links by their labels, entities as characters."""
    text = _LINK.sub(lambda match: match[2] or match[1], _MENTION.sub(" ", text))
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    return text


def _reply(client: WebClient, event: dict[str, Any], card: Card) -> None:
    """Post a card in the thread of the question.

    Raises:
        SlackApiError, OSError: Slack refuses, or can't be reached.
    """
    written = fitted(card, marked, _MAX_CHARS, len)
    plain = "".join(run.text for run in runs(written))
    for entity, character in reversed(_ENTITIES):
        plain = plain.replace(character, entity)
    client.chat_postMessage(
        channel=event["channel"],
        thread_ts=event.get("thread_ts") or (None if event.get("channel_type") == "im" else event["ts"]),
        text=plain,
        blocks=[RichTextBlock(elements=[RichTextSectionElement(elements=list(_elements(written)))])],
        unfurl_links=False,
        unfurl_media=False,
    )


def _elements(written: str) -> Iterator[RichTextElementParts.Text | RichTextElementParts.Link]:
    """Elements that are text and links, so nothing in documents is markup or a mention."""
    for run in runs(written):
        if run.url:
            yield RichTextElementParts.Link(url=run.url, text=run.text)
        else:
            yield RichTextElementParts.Text(text=run.text, style={"bold": True} if run.is_strong else None)
