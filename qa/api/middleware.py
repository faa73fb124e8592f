"""What wraps every request: its id, the bound on its body, and the last net under its errors."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qa.api.problems import internal_problem

logger = logging.getLogger(__name__)

REQUEST_ID = "X-Request-ID"
MAX_BODY_BYTES = 1_000_000
# A client that is still sending when it is refused may lose the answer, so this much more is read and dropped.
_DRAINED_BYTES = 15 * MAX_BODY_BYTES
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class RequestId:
    """Gives each response the id that the client sent, or a new one; answers and logs what nothing else caught."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = sent if _ACCEPTABLE_ID.fullmatch(sent) else uuid.uuid4().hex
        is_started = False

        async def send_with_id(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            logger.exception("%s %s failed; %s %s", scope["method"], scope["path"], REQUEST_ID, request_id)
            if is_started:
                raise
            await internal_problem()(scope, receive, send_with_id)


class BodyLimit:
    """Refuses bodies over `MAX_BODY_BYTES`, announced or not, without keeping them.

    `larger` holds routes, as in `POST /v1/documents`, with the bytes that they take instead.
    """

    def __init__(self, app: ASGIApp, larger: Mapping[str, int]) -> None:
        self._app = app
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = self._larger.get(f"{scope.get('method')} {scope.get('path')}", MAX_BODY_BYTES)
        is_refused = scope["type"] == "http" and _announced(scope) > limit
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received <= limit and not is_refused:
                return message
            while message.get("more_body") and received <= limit + _DRAINED_BYTES:
                message = await receive()
                received += len(message.get("body", b""))
            raise HTTPException(413, f"body: is larger than {limit} bytes; send a shorter request")

        await self._app(scope, receive_limited, send)


def _announced(scope: Scope) -> int:
    """How long a body says it is; 0 where it doesn't."""
    length = Headers(scope=scope).get("Content-Length", "")
    return int(length) if length.isdecimal() else 0
