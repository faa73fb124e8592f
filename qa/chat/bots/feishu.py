"""飞书 and Lark: an app's bot, by the SDK's long connection, or by calls to an address of ours."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from collections.abc import Coroutine, Iterator
from functools import partial
from threading import Event
from typing import Any

import lark_oapi.ws.client as lark_ws
import requests
import uvicorn
from lark_oapi import AccessTokenType, BaseRequest, Client, EventDispatcherHandler, HttpMethod, LogLevel
from lark_oapi.api.im.v1 import EventMessage, P2ImMessageReceiveV1, ReplyMessageRequest, ReplyMessageRequestBody
from lark_oapi.core.exception import ObtainAccessTokenException
from lark_oapi.core.model import RawRequest
from lark_oapi.ws.exception import ClientException
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from index.errors import ConfigError
from qa.api.addresses import listen as bound
from qa.chat.bots.dispatcher import BotMessage, Dispatcher, Run, fitted, marked, runs
from qa.chat.bots.run import patiently
from qa.chat.card import Card
from qa.configuration.config import Config

logger = logging.getLogger(__name__)

# The request that holds a post may have 30 KB; the marks of its elements come on top of the text.
_MAX_BYTES = 15_000
_TIMEOUT_S = 15
_MENTION = re.compile(r"@_(?:user_\d+|all)")
PATH = "/feishu/events"
_MAX_BODY_BYTES = 1 << 20
_GRACE_S = 5
_POLL_S = 0.25


def serve(config: Config, dispatcher: Dispatcher, closing: Event) -> None:
    """Receive questions until `closing` is set.

    Raises:
        ConfigError: the platform refuses the app, or the address can't be listened on.
    """
    settings = config.feishu
    quiet = logging.getLogger("Lark")
    quiet.handlers.clear()  # the SDK writes to stdout, and at a lower level addresses that hold keys
    builder = Client.builder().app_id(settings.app_id).app_secret(settings.revealed("app_secret"))
    try:
        client = builder.domain(settings.base_url).timeout(_TIMEOUT_S).log_level(LogLevel.WARNING).build()
    except ValueError as exc:
        raise ConfigError(f"feishu.base_url: {exc}") from exc
    bot_id = patiently(closing, lambda: _identity(client), requests.RequestException, json.JSONDecodeError)
    if bot_id is None:
        return
    events = EventDispatcherHandler.builder(
        settings.revealed("encrypt_key"), settings.revealed("verification_token"), LogLevel.WARNING
    ).register_p2_im_message_receive_v1(_Receiver(client, dispatcher, bot_id))
    (take_calls if settings.mode == "callback" else listen)(config, events.build(), closing)


def _identity(client: Client) -> str:
    """The bot's open_id, by which its mentions are known.

    Raises:
        ConfigError: the platform refuses the app.
        requests.RequestException, json.JSONDecodeError: it can't be reached, or something else answers.
    """
    request = BaseRequest.builder().http_method(HttpMethod.GET).uri("/open-apis/bot/v3/info")
    try:
        response = client.request(request.token_types({AccessTokenType.TENANT}).build())
    except ObtainAccessTokenException as exc:
        if exc.code is None:
            raise requests.HTTPError(str(exc)) from exc
        raise ConfigError(f"feishu.app_id, feishu.app_secret: the platform refuses them: {exc}") from exc
    if response.code is None:
        raise requests.HTTPError(f"status {response.raw.status_code}")
    if not response.success():
        raise ConfigError(f"feishu.app_id: the app has no bot, or it is not published: {response.code} {response.msg}")
    return str(json.loads(response.raw.content)["bot"]["open_id"])


class _Receiver:
    """Hands messages to the dispatcher; the SDK acknowledges them when this returns."""

    def __init__(self, client: Client, dispatcher: Dispatcher, bot_id: str) -> None:
        self._client, self._dispatcher, self._bot_id = client, dispatcher, bot_id

    def __call__(self, event: P2ImMessageReceiveV1) -> None:
        sender, message = event.event.sender, event.event.message
        mentions = message.mentions or []
        if sender.sender_type != "user":
            return
        if message.chat_type != "p2p" and not any(mention.id.open_id == self._bot_id for mention in mentions):
            return
        user = sender.sender_id.open_id
        names = {mention.key: "" if mention.id.open_id == self._bot_id else mention.name for mention in mentions}
        text = _MENTION.sub(lambda match: names.get(match[0]) or "", _text(message))
        conversation = f"{message.chat_id}:{message.thread_id or user}"
        self._dispatcher.submit(
            BotMessage(message.message_id, conversation, user, text.strip()),
            lambda card: self._reply(message.message_id, card),
        )

    def _reply(self, message_id: str, card: Card) -> None:
        """Reply to a message with a post: its elements are text and links, so nothing in documents is markup.

        Raises:
            RuntimeError: the platform refuses.
            requests.RequestException: it can't be reached.
        """
        content = {"zh_cn" if card.phrases.language == "zh" else "en_us": {"content": list(_rows(card))}}
        body = ReplyMessageRequestBody.builder().msg_type("post").content(json.dumps(content, ensure_ascii=False))
        # Of several replies with one uuid within an hour the platform keeps the first.
        request = ReplyMessageRequest.builder().message_id(message_id)
        response = self._client.im.v1.message.reply(request.request_body(body.uuid(message_id).build()).build())
        if not response.success():
            raise RuntimeError(f"code {response.code}: {response.msg}")


def _rows(card: Card) -> Iterator[list[dict[str, Any]]]:
    """The lines of a card as elements of a post; each is a paragraph, so empty ones are left out."""
    for line in fitted(card, marked, _MAX_BYTES).split("\n"):
        if row := [_element(run) for run in runs(line)]:
            yield row


def _element(run: Run) -> dict[str, Any]:
    if run.url:
        return {"tag": "a", "text": run.text, "href": run.url}
    return {"tag": "text", "text": run.text, **({"style": ["bold"]} if run.is_strong else {})}


def _text(message: EventMessage) -> str:
    """The text of a text message or a post; empty for others."""
    content = json.loads(message.content or "{}")
    if message.message_type == "text":
        return str(content.get("text", ""))
    if message.message_type == "post":
        elements = (element for row in content.get("content", []) for element in row)
        return " ".join(element.get("text", "") for element in elements if element.get("tag") in ("text", "a", "md"))
    return ""


def listen(config: Config, events: EventDispatcherHandler, closing: Event) -> None:
    """Receive events by the SDK's long connection; it connects again by itself, within minutes, as often as needed.

    Raises:
        ConfigError: the platform refuses the app, at the start or later.
    """
    settings = config.feishu
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    lark_ws.loop.close()  # the SDK makes one when it is imported, and runs in the one of this name
    lark_ws.loop = loop
    refused: list[ClientException] = []
    loop.set_task_factory(lambda loop, coro, **named: _watched(loop, coro, refused, named))
    client = lark_ws.Client(
        settings.app_id, settings.revealed("app_secret"), LogLevel.WARNING, events, domain=settings.base_url
    )
    loop.create_task(_stop(loop, closing))
    logger.info("feishu: connecting to %s", settings.base_url)
    try:
        client.start()
    except ClientException as exc:
        refused.append(exc)
    except RuntimeError:
        if not closing.is_set() and not refused:
            raise
    finally:
        _finish(loop, client)
        asyncio.set_event_loop(None)
    if refused:
        raise ConfigError(f"feishu: the platform refuses the connection: {refused[0]}; see docs/bots.md")


async def _stop(loop: asyncio.AbstractEventLoop, closing: Event) -> None:
    while not closing.is_set():  # noqa: ASYNC110 - an event of threads
        await asyncio.sleep(_POLL_S)
    loop.stop()


def _watched(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any],
    refused: list[ClientException],
    named: dict[str, Any],
) -> asyncio.Task[Any]:
    """A task that ends the loop when the platform refuses: the SDK would go on without a connection."""
    task = asyncio.Task(coroutine, loop=loop, **named)

    def note(done: asyncio.Task[Any]) -> None:
        if not done.cancelled() and isinstance(error := done.exception(), ClientException):
            refused.append(error)
            loop.stop()

    task.add_done_callback(note)
    return task


def _finish(loop: asyncio.AbstractEventLoop, client: lark_ws.Client) -> None:
    """End the SDK's tasks, which would connect again, then the connection."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(client._disconnect())
    loop.close()


async def _receive(events: EventDispatcherHandler, request: Request) -> Response:
    """One call of the platform's, or of a stranger's."""
    body = bytearray()
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MAX_BODY_BYTES:
                    return Response(status_code=413)
    except TimeoutError:
        return Response(status_code=408)
    raw = RawRequest()
    raw.uri, raw.headers, raw.body = request.url.path, request.headers, bytes(body)
    done = await run_in_threadpool(events.do, raw)
    # The SDK gives 500 and its reason for what can't be proved to be the vendor's.
    if done.status_code != 200:
        return Response('{"msg":"refused"}', 403, media_type="application/json")
    return Response(done.content, media_type="application/json")


def take_calls(config: Config, events: EventDispatcherHandler, closing: Event) -> None:
    """Receive events as calls; the SDK checks token and signature and decrypts them.

    Raises:
        ConfigError: the address can't be listened on.
    """
    settings = config.feishu
    lark_ws.loop.close()  # not needed
    try:
        listener = bound(settings.host, settings.port)
    except ConfigError as exc:
        raise ConfigError(str(exc).replace("server.", "feishu.").replace("--", "feishu.")) from exc
    with listener:
        host, port = listener.getsockname()[:2]
        logger.info("feishu: listening on http://%s:%d%s", host, port, PATH)
        app = Starlette(routes=[Route(PATH, partial(_receive, events), methods=["POST"])])
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                log_level=logging.WARNING,
                access_log=False,
                timeout_graceful_shutdown=_GRACE_S,
                server_header=False,
            )
        )

        def stop() -> None:
            closing.wait()
            server.should_exit = True

        threading.Thread(target=stop, daemon=True).start()
        server.run([listener])
