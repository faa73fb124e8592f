"""Waiting that ends when a bot is told to end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from threading import Event
from typing import TypeVar

logger = logging.getLogger(__name__)

_POLL_S = 0.25
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
Found = TypeVar("Found")


async def until(closing: Event, task: asyncio.Task[None]) -> None:
    """Let a task run until `closing` is set, then cancel it; what it raises of its own is raised."""
    while not closing.is_set() and not task.done():
        await asyncio.wait({task}, timeout=_POLL_S)
    while not task.done():
        # More than once: a vendor's loop takes the first one for a lost connection.
        task.cancel()
        await asyncio.wait({task}, timeout=_POLL_S)
    if not task.cancelled():
        task.result()


def patiently(closing: Event, attempt: Callable[[], Found], *errors: type[Exception]) -> Found | None:
    """What `attempt` returns once it raises none of `errors`, tried again and again; None when told to end before."""
    pause = _FIRST_PAUSE_S
    while not closing.is_set():
        try:
            return attempt()
        except errors as exc:
            logger.warning("cannot reach the chat platform, trying again: %s: %s", type(exc).__name__, exc)
        closing.wait(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)
    return None
