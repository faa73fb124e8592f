"""企业微信: an intelligent robot by the SDK's long connection, which is opened again here whenever it ends."""

from __future__ import annotations

import asyncio
import logging
import re
import warnings
from concurrent.futures import Future
from contextlib import suppress
from threading import Event
from typing import Any

with warnings.catch_warnings():
    # The SDK names a type that newer websockets still have but warn of.
    warnings.simplefilter("ignore", DeprecationWarning)
    from aibot import WSClient, WSClientOptions, generate_req_id

from index.errors import CitedQAError, ConfigError
from qa.chat.bots.dispatcher import BotMessage, Dispatcher, fitted, markdown, say
from qa.chat.bots.run import until
from qa.chat.card import Card
from qa.configuration.config import Config
from qa.configuration.settings import WecomConfig

logger = logging.getLogger(__name__)

# A stream's content may have 20,480 bytes.
_MAX_BYTES = 20_000
_REPLY_S = 30
_POLL_S = 0.25
_CLOSE_S = 5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
# In a group the text holds the robot's mention, as in @小助手 有多少人.
_MENTION = re.compile(r"(?<!\S)@\S+")


def serve(config: Config, dispatcher: Dispatcher, closing: Event) -> None:
    """Receive questions until `closing` is set.

    Raises:
        ConfigError: the platform refuses the robot.
        CitedQAError: another process has connected as the same robot.
    """
    asyncio.run(_serve(config.wecom, dispatcher, closing))


async def _serve(settings: WecomConfig, dispatcher: Dispatcher, closing: Event) -> None:
    await until(closing, asyncio.create_task(_Robot(settings, dispatcher).stay()))


class _Robot:
    """One robot. `stay` keeps it connected: the SDK does not come back from an orderly close, and gives up at last."""

    def __init__(self, settings: WecomConfig, dispatcher: Dispatcher) -> None:
        self._settings, self._dispatcher = settings, dispatcher
        self._loop = asyncio.get_running_loop()
        self._client: WSClient | None = None
        self._fault: Exception | None = None
        self._is_known = False
        self._pause_s = _FIRST_PAUSE_S

    async def stay(self) -> None:
        """Connect, again whenever the connection ends, until cancelled."""
        while True:
            logger.info("wecom: connecting to %s", self._settings.url)
            self._client = client = self._make_client()
            try:
                await client.connect()
                # The SDK tells nothing of an orderly close.
                while client.is_connected and self._fault is None:  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_S)
            finally:
                await self._leave(client)
            if self._fault is not None:
                raise self._fault
            logger.warning("wecom: not connected; trying again in %.0f s", self._pause_s)
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _make_client(self) -> WSClient:
        options = WSClientOptions(
            self._settings.bot_id,
            self._settings.revealed("secret"),
            ws_url=self._settings.url,
            max_reconnect_attempts=0,
            logger=_Log(),
        )
        client = WSClient(options)
        client.on("authenticated", self._on_authenticated)
        client.on("error", self._on_error)
        client.on("message", self._on_message)
        client.on("event.disconnected_event", self._on_replaced)
        return client

    async def _leave(self, client: WSClient) -> None:
        before = asyncio.all_tasks()
        client.disconnect()
        if begun := asyncio.all_tasks() - before:
            await asyncio.wait(begun, timeout=_CLOSE_S)

    def _on_authenticated(self) -> None:
        logger.info("wecom: connected")
        self._is_known, self._pause_s = True, _FIRST_PAUSE_S

    def _on_error(self, error: Exception) -> None:
        logger.warning("wecom: %s: %s", type(error).__name__, error)
        if str(error).startswith("Authentication failed") and not self._is_known:
            self._fault = ConfigError(f"wecom.bot_id, wecom.secret: the platform refuses them: {error}")

    def _on_replaced(self, frame: dict[str, Any]) -> None:
        self._fault = CitedQAError("wecom: another process has connected as this robot; only one can")

    async def _on_message(self, frame: dict[str, Any]) -> None:
        body = frame["body"]
        stream, begun = generate_req_id("stream"), asyncio.Event()
        question = _question(body)
        if self._dispatcher.submit(question, lambda card: self._reply(frame, stream, begun, card)):
            # Shows at once that the question has come, within the time that the platform waits for a first reply.
            with suppress(Exception):
                searching = fitted(say("searching", question.text), markdown, _MAX_BYTES)
                await self._send(frame, stream, searching, is_last=False)
        begun.set()

    def _reply(self, frame: dict[str, Any], stream: str, begun: asyncio.Event, card: Card) -> None:
        """Finish the stream with a card.

        Raises:
            RuntimeError, TimeoutError: there is no connection, or the platform refuses.
        """

        async def finish() -> None:
            await begun.wait()
            await self._send(frame, stream, fitted(card, markdown, _MAX_BYTES), is_last=True)

        sent: Future[None] = asyncio.run_coroutine_threadsafe(finish(), self._loop)
        sent.result(_REPLY_S)

    async def _send(self, frame: dict[str, Any], stream: str, text: str, *, is_last: bool) -> None:
        assert self._client is not None
        await self._client.reply_stream(frame, stream, text, is_last)


def _question(body: dict[str, Any]) -> BotMessage:
    """The question in a message: its text, what was heard in it, or the texts in it."""
    user = body["from"]["userid"]
    kind = body.get("msgtype")
    items = body["mixed"]["msg_item"] if kind == "mixed" else [body]
    text = " ".join(item[item["msgtype"]]["content"] for item in items if item["msgtype"] in ("text", "voice"))
    chat = body.get("chatid") or "single"
    if body.get("chattype") == "group":
        text = _MENTION.sub("", text)
    return BotMessage(body["msgid"], f"{chat}:{user}", user, text.strip())


class _Log:
    """What the SDK tells, without what it tells of each message."""

    def debug(self, message: str, *args: object) -> None:
        """Holds what people write."""

    def info(self, message: str, *args: object) -> None:
        logger.debug("%s", message)

    def warn(self, message: str, *args: object) -> None:
        logger.warning("wecom: %s", message)

    def error(self, message: str, *args: object) -> None:
        logger.warning("wecom: %s", message)
