"""An answer that takes its time: as server-sent events while it is made, or in one piece.

What makes it, `Engine.stream`, waits for a model: it runs in worker threads of its own, and ends when the client goes
away. sse-starlette would replace `EventStream` and `event`, at three times the processor time for an event
(`benchmarks/events.py`); what takes the lines here, the threads and waiting in one piece, it does not have.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from threading import Event
from typing import Any, TypeVar

from anyio import CancelScope, CapacityLimiter, create_task_group, to_thread
from anyio.lowlevel import RunVar
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from index.errors import CitedQAError
from qa.answering.responses import Part
from qa.api.problems import INTERNAL, problem_body
from qa.errors import MEANINGS, meaning
from qa.schemas import AskResponse, Delta, Sources

logger = logging.getLogger(__name__)

MEDIA_TYPE = "text/event-stream"
# While nothing comes a comment is sent this often, so that no proxy takes the connection for dead.
HEARTBEAT_S = 10.0
# Proxies are not to keep events back; X-Accel-Buffering says so to nginx.
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
EVENTS_CONTENT: dict[str, Any] = {
    MEDIA_TYPE: {
        "schema": {
            "type": "object",
            "description": "With `stream`: one event after the other, with JSON in `data`",
            "properties": {
                "event": {"type": "string", "enum": ["sources", "delta", "done", "error"]},
                "data": {"type": "string"},
            },
            "required": ["event", "data"],
        },
        "example": 'event: sources\ndata: {"id": "…", "citations": […], "hits": […], …}\n\n'
        'event: delta\ndata: {"text": "帮助1097名困难家庭子女", "replace": false}\n\n'
        'event: done\ndata: {"id": "…", "status": "answered", "answer": {…}, …}\n\n',
    }
}
HEARTBEAT = b": waiting\n\n"
_NAMES: dict[type[BaseModel], str] = {Sources: "sources", Delta: "delta", AskResponse: "done"}

T = TypeVar("T")

# How many answers may be waited for at once; more wait for their turn.
_MAX_WAITING = 64
_room: RunVar[CapacityLimiter] = RunVar("qa-waiting-room")


def event_stream(parts: Iterator[Part], stop: Event) -> StreamingResponse:
    """The parts as events. `stop` is set when nobody reads them any more.

    Raises:
        CitedQAError: there is not even a first part, so that the error can still be an ordinary response.
    """
    first = next(parts)
    return EventStream(_events(first, parts, stop), stop)


class EventStream(StreamingResponse):
    """Events as they come. `stop` is set when it is over, even where the client left before the first one."""

    def __init__(self, events: AsyncIterator[bytes], stop: Event) -> None:
        super().__init__(events, media_type=MEDIA_TYPE, headers=HEADERS)
        self._stop = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._stop.set()


def as_json(response: BaseModel) -> Response:
    """A response that is written once: FastAPI would check our own model again first."""
    return Response(response.model_dump_json(), media_type="application/json")


def patient_response(parts: Iterator[Part], stop: Event) -> Response:
    """The response that the parts end with, as JSON; when the client goes away before that, so does the work.

    Raises:
        CitedQAError: as `event_stream`.
    """
    next(parts)
    return _PatientResponse(parts, stop)


class _PatientResponse(Response):
    def __init__(self, parts: Iterator[Part], stop: Event) -> None:
        super().__init__(media_type="application/json")
        self._parts, self._stop = parts, stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            done = await self._done(receive)
        finally:
            self._stop.set()
        if isinstance(done, Exception):
            raise done
        if isinstance(done, AskResponse):
            await as_json(done)(scope, receive, send)

    async def _done(self, receive: Receive) -> Part | Exception | None:
        """The last part, or what went wrong, as an error raised inside a task group would be wrapped up."""
        done: Part | Exception | None = None
        async with create_task_group() as group:
            group.start_soon(_cancel_when_left, receive, group.cancel_scope)
            try:
                async for part in in_thread(self._parts, self._stop):
                    done = part or done
            except Exception as exc:
                done = exc
            group.cancel_scope.cancel()
        return done


async def _cancel_when_left(receive: Receive, scope: CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _events(first: Part, parts: Iterator[Part], stop: Event) -> AsyncIterator[bytes]:
    yield event(_NAMES[type(first)], first)
    try:
        async for part in in_thread(parts, stop):
            yield HEARTBEAT if part is None else event(_NAMES[type(part)], part)
    except CitedQAError as exc:
        yield event("error", problem_body(meaning(exc), str(exc)))
    except Exception:
        logger.exception("a streamed answer failed")
        yield event("error", problem_body(MEANINGS[CitedQAError], INTERNAL))


def event(name: str, data: BaseModel) -> bytes:
    """One event with JSON on one line, as JSON text has no line break."""
    return f"event: {name}\ndata: {data.model_dump_json()}\n\n".encode()


async def in_thread(parts: Iterator[T], stop: Event, heartbeat_s: float = HEARTBEAT_S) -> AsyncIterator[T | None]:
    """What an iterator that blocks gives, made in a worker thread; None whenever nothing came for `heartbeat_s`.

    However this ends, `stop` is set, which ends the iterator's own waiting, and its work is over.
    """
    waiting: asyncio.Task[T | None] | None = None
    try:
        while True:
            waiting = asyncio.create_task(to_thread.run_sync(next, parts, None, limiter=_waiting_room()))
            while not (await asyncio.wait({waiting}, timeout=heartbeat_s))[0]:
                yield None
            if (part := waiting.result()) is None:
                return
            yield part
    finally:
        stop.set()
        # Cancelled or not, a thread can't be left alone with an iterator that others may close.
        if waiting is not None and not waiting.done():
            with CancelScope(shield=True):
                await asyncio.wait({waiting})


def _waiting_room() -> CapacityLimiter:
    """Threads for those who wait for a model, so that they take none from those who don't."""
    try:
        return _room.get()
    except LookupError:
        limiter = CapacityLimiter(_MAX_WAITING)
        _room.set(limiter)
        return limiter
