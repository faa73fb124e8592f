"""How messages of 飞书 come: over a connection that the SDK opens, or by calls that prove to be the vendor's."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from threading import Event
from typing import Any

import lark_oapi.ws.client as lark_ws
import uvicorn
from lark_oapi import EventDispatcherHandler, LogLevel
from lark_oapi.core.model import RawRequest
from lark_oapi.ws.exception import ClientException
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from index.errors import ConfigError
from qa.api.server import listen as bound
from qa.configuration.config import Config

logger = logging.getLogger(__name__)

PATH = "/feishu/events"
_MAX_BODY_BYTES = 1 << 20
_GRACE_S = 5
_POLL_S = 0.25


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


def take_calls(config: Config, events: EventDispatcherHandler, closing: Event) -> None:
    """Receive events as calls; the SDK checks token and signature and decrypts them.

    Raises:
        ConfigError: the address can't be listened on.
    """
    settings = config.feishu
    lark_ws.loop.close()  # not needed

    async def receive(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                return Response(status_code=413)
        raw = RawRequest()
        raw.uri, raw.headers, raw.body = request.url.path, request.headers, bytes(body)
        done = await run_in_threadpool(events.do, raw)
        # The SDK gives 500 and its reason for what can't be proved to be the vendor's.
        if done.status_code != 200:
            return Response('{"msg":"refused"}', 403, media_type="application/json")
        return Response(done.content, media_type="application/json")

    try:
        listener = bound(settings.host, settings.port)
    except ConfigError as exc:
        raise ConfigError(str(exc).replace("server.", "feishu.").replace("--", "feishu.")) from exc
    with listener:
        host, port = listener.getsockname()[:2]
        logger.info("feishu: listening on http://%s:%d%s", host, port, PATH)
        app = Starlette(routes=[Route(PATH, receive, methods=["POST"])])
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
