"""Server-sent events by our own response and by sse-starlette: processor time for an event.

    python benchmarks/events.py [EVENTS]

Both are given the same texts by an iterator that does not wait, and their bytes are thrown away.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from threading import Event
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import ASGIApp

from qa.api.sse import EventStream, event
from qa.schemas import Delta

SCOPE: dict[str, Any] = {"type": "http", "asgi": {"spec_version": "2.4"}, "method": "GET", "path": "/", "headers": []}
TRIES = 5


async def ours(count: int) -> AsyncIterator[bytes]:
    """Events as `qa.api.sse` writes them."""
    for number in range(count):
        yield event("delta", Delta(text=f"帮助{number}名"))


async def theirs(count: int) -> AsyncIterator[ServerSentEvent]:
    """Events as sse-starlette takes them."""
    for number in range(count):
        yield ServerSentEvent(Delta(text=f"帮助{number}名").model_dump_json(), event="delta")


async def cost_us(make: Callable[[], ASGIApp], count: int) -> tuple[float, int]:
    """Processor time for an event in microseconds, and the bytes of all."""
    size = 0

    async def send(message: Any) -> None:  # noqa: ANN401
        nonlocal size
        size += len(message.get("body", b""))

    async def receive() -> Any:  # noqa: ANN401
        await asyncio.sleep(3600)

    response = make()
    start = time.process_time()
    await response(SCOPE, receive, send)
    return (time.process_time() - start) / count * 1e6, size


def main() -> None:
    """Print the best of some tries for each."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    ways: dict[str, Callable[[], ASGIApp]] = {
        "qa.api.sse": lambda: EventStream(ours(count), Event()),
        "sse-starlette": lambda: EventSourceResponse(theirs(count)),
    }
    for name, make in ways.items():
        costs = [asyncio.run(cost_us(make, count)) for _ in range(TRIES)]
        print(f"{name:14} {min(cost for cost, _ in costs):6.1f} us an event, {costs[0][1]} bytes")


if __name__ == "__main__":
    main()
