"""Connections as uvicorn handles them, with bounds that it lacks: on their number, and on the wait for a request."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose request doesn't come, and one that is too many.

    uvicorn waits for ever for the head of a request, so a few hundred clients that send theirs a byte a minute would
    keep everyone else out.
    """

    def __init__(self, *args: Any, max_connections: int, head_timeout_s: float, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **options)
        self._max_connections = max_connections
        self._head_timeout_s = head_timeout_s
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._max_connections:
            transport.abort()
        else:
            self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_waiting():
            self._expect_head()
        else:
            self._stop_expecting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_waiting() and self.conn.their_state is h11.SEND_BODY:
            self._expect_head()

    def _is_waiting(self) -> bool:
        """Whether a request has not begun, or one that was refused is still being sent."""
        is_refused = self.cycle is not None and self.cycle.response_complete
        return self.conn.their_state is h11.IDLE or (is_refused and self.conn.their_state is h11.SEND_BODY)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_expecting()

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
