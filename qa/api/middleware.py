"""What every response carries, its id above all, and the last net under errors."""

from __future__ import annotations

import logging
import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qa.api.problems import internal_problem

logger = logging.getLogger(__name__)

REQUEST_ID = "X-Request-ID"
# A browser is to take nothing for HTML that isn't, to show no page of ours within another's, and to tell no other site
# which document was read.
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
}
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class Envelope:
    """Gives each response the id that the client sent, or a new one, and headers for browsers.

    It answers and logs what nothing else caught. A route's own headers stay as they are.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = sent if _ACCEPTABLE_ID.fullmatch(sent) else uuid.uuid4().hex
        scope["state"]["request_id"] = request_id
        is_started = False

        async def send_whole(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_whole)
        except Exception:
            logger.exception("%s %s failed; %s %s", scope["method"], scope["path"], REQUEST_ID, request_id)
            if is_started:
                raise
            await internal_problem()(scope, receive, send_whole)
