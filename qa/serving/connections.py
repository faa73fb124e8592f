"""Connections as uvicorn handles them, with bounds that it lacks: on their number, and on the head of a request."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from qa.api.addresses import neighbourhood
from qa.api.problems import MALFORMED_REQUEST, MEDIA_TYPE, problem_body

# Beyond these a head is not even parsed: a line costs 6 µs of the loop, and anyone may send them.
# An address may hold a question of more than the greatest length, percent-encoded, and be refused with a clear 422.
MAX_HEAD_BYTES = 1 << 20
MAX_HEAD_LINES = 200
_BLANK_LINE = re.compile(rb"\n\r?\n")
# A client that has just connected is given the time to ask.
_FRESH_S = 1.0


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose request doesn't come, and one that is too many.

    uvicorn waits for ever for the head of a request, so a few hundred clients that send theirs a byte a minute would
    keep everyone else out. Where there are too many, the one goes that has waited for its client longest, of the
    address that has most.
    """

    def __init__(self, *args: Any, max_connections: int, head_timeout_s: float, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **options)
        self._max_connections = max_connections
        self._head_timeout_s = head_timeout_s
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = self._head_lines = 0
        self._head_end = b""
        self._heard_at = 0.0
        self._neighbourhood = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._heard_at = self.loop.time()
        self._neighbourhood = neighbourhood(self.client[0] if self.client else "")
        self._expect_head()
        if len(self.connections) > self._max_connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        self._heard_at = self.loop.time()
        if self._is_waiting() and (refusal := self._unfit(data)):
            self._refuse(refusal)
            return
        super().data_received(data)
        if self._is_waiting():
            self._expect_head()
        else:
            self._head_bytes = self._head_lines = 0
            self._stop_expecting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_waiting() and self.conn.their_state is h11.SEND_BODY:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_expecting()

    def send_400_response(self, msg: str) -> None:
        """Say that it is no HTTP; uvicorn calls this."""
        self._refuse(msg)

    def _is_waiting(self) -> bool:
        """Whether a request has not begun, or one that was refused is still being sent."""
        is_refused = self.cycle is not None and self.cycle.response_complete
        return self.conn.their_state is h11.IDLE or (is_refused and self.conn.their_state is h11.SEND_BODY)

    def _unfit(self, data: bytes) -> str | None:
        """Why the head that goes on with `data` is not to be parsed."""
        if self.conn.their_state is not h11.IDLE:
            return None
        blank = _BLANK_LINE.search(self._head_end + data)
        head = data[: blank.start()] if blank else data
        self._head_bytes += len(head)
        self._head_lines += head.count(b"\n")
        self._head_end = data[-2:]
        if self._head_bytes > MAX_HEAD_BYTES:
            return f"address and headers are longer than {MAX_HEAD_BYTES} bytes"
        if self._head_lines > MAX_HEAD_LINES:
            return f"there are more than {MAX_HEAD_LINES} headers; send fewer"
        return None

    def _refuse(self, detail: str) -> None:
        """Answer a request that is not parsed, and close."""
        kind = MALFORMED_REQUEST
        if not self.transport.is_closing():
            body = problem_body(kind, detail).model_dump_json().encode()
            head = f"HTTP/1.1 {kind.status} Refused\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
            self.transport.write(head.encode() + b"Connection: close\r\n\r\n" + body)
            self.transport.close()

    def _make_room(self) -> None:
        others = [other for other in self.connections if isinstance(other, BoundedProtocol)]
        counts = Counter(other._neighbourhood for other in others)
        before = self.loop.time() - _FRESH_S
        idle = [other for other in others if other._heard_at < before and other._is_held_up()]
        loser = max(idle, key=lambda other: (counts[other._neighbourhood], -other._heard_at), default=self)
        if counts[loser._neighbourhood] < counts[self._neighbourhood]:
            loser = self
        loser.transport.abort()

    def _is_held_up(self) -> bool:
        """Whether it waits for its client, to send or to read."""
        return self._is_waiting() or self.flow.write_paused

    def _expect_head(self) -> None:
        """Give the client its time to send the head of a request, counted from the head's first byte."""
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._head_timeout_s, self._give_up)

    def _stop_expecting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self._is_waiting() and not self.transport.is_closing():
            self.transport.abort()
