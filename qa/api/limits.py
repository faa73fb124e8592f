"""How much the server takes on: requests a minute, requests at once, and the time that each may take.

The order is: a rate for each key or address, then a bound on all that are inside, then the body is read, then a place
among those in work is waited for. So slow senders hold none of the places where work is done.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Mapping

from anyio import CancelScope, fail_after
from limits import parse_many
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qa.api.bodies import has_body, has_two_lengths, limit_pauses, limit_size, read_whole
from qa.api.observability import reject
from qa.api.problems import AMBIGUOUS, OVERLOADED, SLOW_BODY, TIMED_OUT, TOO_LARGE, TOO_MANY, problem
from qa.configuration.settings import ServerConfig
from qa.errors import Meaning

# Whoever watches the server must see it when it is busiest, too.
_WATCHED = frozenset({"/healthz", "/readyz", "/metrics"})
# One view of the page is some twenty files, which cost nothing and need no key.
_FILES = "/web/"
_IPV6_HOME_BITS = 64  # the least that a household gets; its devices choose addresses within as they like


class RateLimit:
    """Refuses with 429 what a key, or an address without one, sends beyond its rate. Each process counts for itself."""

    def __init__(self, app: ASGIApp, rate: str) -> None:
        self._app = app
        self._rates = parse_many(rate)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _WATCHED or scope["path"].startswith(_FILES):
            await self._app(scope, receive, send)
            return
        name = _payer(scope)
        for rate in self._rates:
            if not self._limiter.hit(rate, name):
                reset = self._limiter.get_window_stats(rate, name).reset_time
                wait_s = max(1, round(reset - time.time()))
                await refuse(scope, receive, send, TOO_MANY, f"at most {rate} are taken", {"Retry-After": str(wait_s)})
                return
        await self._app(scope, receive, send)


def _payer(scope: Scope) -> str:
    """Whose rate a request counts for."""
    name = scope["state"]["caller"].name
    if name is not None:
        return f"key {name}"
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "address unknown"
    if address.version == 6:
        return f"address {ipaddress.ip_network((address, _IPV6_HOME_BITS), strict=False)}"
    return f"address {address}"


class AdmissionControl:
    """Bounds how many requests are inside and in work, and how long each takes.

    What the bounds don't admit is refused with 503 at once. A request that takes too long is answered with 504; a
    thread that works for it can't be stopped, so it keeps its place until it is done.
    """

    def __init__(self, app: ASGIApp, server: ServerConfig, uploads: Mapping[str, int]) -> None:
        """`uploads` are routes with bodies that are streamed, as in `POST /v1/documents`, and the bytes they take."""
        self._app = app
        self._uploads = uploads
        self._timeout_s = server.timeout_s
        self._read_timeout_s = server.read_timeout_s
        self._capacity = server.max_concurrent + server.max_queued
        self._inside = 0
        self._places = asyncio.Semaphore(server.max_concurrent)

    @property
    def inside(self) -> int:
        """Requests being read, waiting, or in work."""
        return self._inside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _WATCHED:
            await self._app(scope, receive, send)
            return
        if self._inside >= self._capacity:
            await refuse(scope, receive, send, OVERLOADED, f"{self._inside} requests are waiting; try again later")
            return
        self._inside += 1
        try:
            await self._admitted(scope, receive, send)
        finally:
            self._inside -= 1

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        if has_two_lengths(scope):
            detail = "Content-Length and Transfer-Encoding exclude each other; send one of them"
            await refuse(scope, receive, send, AMBIGUOUS, detail, {"Connection": "close"})
            return
        limit = self._uploads.get(f"{scope['method']} {scope['path']}")
        if limit is not None:
            # It goes to the disk as it comes and may take long; what is limited is the wait for its next part.
            limited = limit_pauses(limit_size(scope, receive, limit), self._read_timeout_s)
            await self._watched(scope, limited, send)
            return
        if has_body(scope):
            try:
                receive = await read_whole(scope, receive, self._read_timeout_s)
            except HTTPException as exc:
                kind = TOO_LARGE if exc.status_code == TOO_LARGE.status else SLOW_BODY
                await refuse(scope, receive, send, kind, exc.detail, exc.headers)
                return
        try:
            if self._places.locked():
                with fail_after(self._timeout_s):
                    await self._places.acquire()
            else:
                await self._places.acquire()
        except TimeoutError:
            await refuse(scope, receive, send, OVERLOADED, f"no place was free for {self._timeout_s:g} s")
            return
        try:
            await self._watched(scope, receive, send)
        finally:
            self._places.release()

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        with CancelScope() as cancel:
            watch = _Watch(scope, receive, send, self._timeout_s, cancel)
            try:
                await self._app(scope, watch.receive, watch.send)
            finally:
                watch.stop()
        await watch.told()


class _Watch:
    """Cuts off a request whose response doesn't begin in time, or begins and then doesn't go on."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit_s: float, cancel: CancelScope) -> None:
        self._scope, self._receive, self._send, self._limit_s, self._cancel = scope, receive, send, limit_s, cancel
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._is_started = self._is_over = False
        self._refusal: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(limit_s, self._look)

    def stop(self) -> None:
        self._timer.cancel()

    async def told(self) -> None:
        """Return when the refusal, if there is one, has been sent."""
        if self._refusal is not None:
            await self._refusal

    async def receive(self) -> Message:
        message = await self._receive()
        if not self._is_started:
            self._last = self._loop.time()
        return message

    async def send(self, message: Message) -> None:
        if self._is_over:
            return
        self._is_started = True
        self._last = self._loop.time()
        await self._send(message)
        self._last = self._loop.time()

    def _look(self) -> None:
        left_s = self._last + self._limit_s - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
            return
        self._is_over = True
        reject(self._scope, TIMED_OUT.type)
        if not self._is_started:
            detail = f"there was no answer after {self._limit_s:g} s; ask for less, or raise server.timeout_s"
            self._refusal = self._loop.create_task(refuse(self._scope, self._receive, self._send, TIMED_OUT, detail))
        self._cancel.cancel()


async def refuse(
    scope: Scope, receive: Receive, send: Send, kind: Meaning, detail: str, headers: Mapping[str, str] | None = None
) -> None:
    """Answer with a problem, and let the logs and metrics know."""
    reject(scope, kind.type)
    await problem(kind, detail, headers)(scope, receive, send)
