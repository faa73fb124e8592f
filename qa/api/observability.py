"""The outermost layer: it measures each request and tells of it when the last byte of the response is sent."""

from __future__ import annotations

import time
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qa.api.metrics import Metrics
from qa.api.records import ABORTED, Record, Sink, current


class Recording:
    """Measures each request and tells the sinks."""

    def __init__(self, app: ASGIApp, metrics: Metrics, sinks: Sequence[Sink]) -> None:
        self._app = app
        self._metrics = metrics
        self._sinks = [metrics.end, *sinks]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        record = Record(scope)
        self._metrics.begin()
        is_told = False
        status = ABORTED

        def tell() -> None:
            nonlocal is_told
            if not is_told:
                is_told = True
                record.duration_s = time.perf_counter() - record.began
                for sink in self._sinks:
                    sink(record)

        async def send_counted(message: Message) -> None:
            nonlocal status
            await send(message)
            if message["type"] == "http.response.start":
                status = message["status"]
                return
            record.sent_bytes += len(message.get("body", b""))
            if not message.get("more_body"):
                record.status = status
                tell()

        token = current.set(record)
        try:
            await self._app(scope, receive, send_counted)
        finally:
            current.reset(token)
            tell()
