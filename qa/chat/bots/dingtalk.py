"""钉钉: an app's robot in stream mode. The SDK connects again by itself after 3 to 10 s, as often as needed."""

from __future__ import annotations

import asyncio
import logging
import time
from threading import Event

import httpx2
from dingtalk_stream import (
    AckMessage,
    CallbackMessage,
    ChatbotHandler,
    ChatbotMessage,
    Credential,
    DingTalkStreamClient,
)

from qa.chat.bots.dispatcher import BotMessage, Dispatcher, fitted, markdown
from qa.chat.bots.run import until
from qa.chat.card import Card, one_line
from qa.configuration.config import Config

logger = logging.getLogger(__name__)

# A robot's message may have 20,000 bytes, its envelope included.
_MAX_BYTES = 18_000
_TITLE_CHARS = 40
_TIMEOUT_S = 15
_GROUP = "2"


def serve(config: Config, dispatcher: Dispatcher, closing: Event) -> None:
    """Receive questions until `closing` is set."""
    asyncio.run(_serve(config, dispatcher, closing))


async def _serve(config: Config, dispatcher: Dispatcher, closing: Event) -> None:
    settings = config.dingtalk
    # The SDK takes another address only from the environment, when it is imported.
    DingTalkStreamClient.OPEN_CONNECTION_API = f"{settings.base_url}/v1.0/gateway/connections/open"
    sdk_logger = logging.getLogger("dingtalk_stream")
    sdk_logger.setLevel(logging.ERROR)  # it warns of each ping
    client = DingTalkStreamClient(Credential(settings.client_id, settings.revealed("client_secret")), sdk_logger)
    logger.info("dingtalk: connecting to %s", settings.base_url)
    with httpx2.Client(timeout=_TIMEOUT_S) as http:
        client.register_callback_handler(ChatbotMessage.TOPIC, _Handler(dispatcher, http))
        await until(closing, asyncio.create_task(client.start()))


class _Handler(ChatbotHandler):  # type: ignore[misc]
    """Acknowledges each message at once; its answer goes to the address that came with the message."""

    def __init__(self, dispatcher: Dispatcher, http: httpx2.Client) -> None:
        super().__init__()
        self._dispatcher, self._http = dispatcher, http

    async def process(self, callback: CallbackMessage) -> tuple[int, str]:
        message = ChatbotMessage.from_dict(callback.data)
        if message.sender_id != message.chatbot_user_id:
            self._dispatcher.submit(_question(message), lambda card: _reply(self._http, message, card))
        return AckMessage.STATUS_OK, "OK"


def _question(message: ChatbotMessage) -> BotMessage:
    user = message.sender_staff_id or message.sender_id
    # The platform takes the robot's mention out of the text.
    text = " ".join(message.get_text_list() or ()).strip()
    return BotMessage(message.message_id, f"{message.conversation_id}:{user}", user, text)


def _reply(http: httpx2.Client, message: ChatbotMessage, card: Card) -> None:
    """Post a card to the message's session webhook, in a group with a mention of who asked.

    Raises:
        httpx2.HTTPError, RuntimeError: it can't be reached, refuses, or is no longer valid.
    """
    if (message.session_webhook_expired_time or 0) / 1000 < time.time():
        raise RuntimeError("the time in which the platform takes an answer is over")
    who = message.sender_staff_id  # only for members of the organisation
    body = {
        "msgtype": "markdown",
        "markdown": {
            "title": one_line(card.value or card.text, _TITLE_CHARS),
            "text": fitted(card, markdown, _MAX_BYTES),
        },
        "at": {"atUserIds": [who] if who and message.conversation_type == _GROUP else []},
    }
    response = http.post(message.session_webhook, json=body)
    response.raise_for_status()
    if code := response.json().get("errcode"):
        raise RuntimeError(f"errcode {code}: {response.json().get('errmsg')}")
