"""How much the server takes on: requests a minute, requests at once, and the time that each may take.

The order is: a rate for each key or address, then the body is read, then a place among those in work is waited for. So
slow senders hold none of the places where work is done. Where there is no room for one more, it is made at the cost of
whoever takes most of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from anyio import CancelScope, fail_after
from limits import parse_many
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qa.api.addresses import neighbourhood
from qa.api.bodies import Bodies, BodyRefusedError, has_body, limit_pauses, limit_size, unfit_head
from qa.api.observability import reject
from qa.api.problems import OVERLOADED, TIMED_OUT, TOO_MANY, problem
from qa.configuration.settings import ServerConfig
from qa.errors import Meaning

# Whoever watches the server must see it when it is busiest, too.
_WATCHED = frozenset({"/healthz", "/readyz", "/metrics"})
# One view of the page is some twenty files, which cost nothing and need no key.
_FILES = "/web/"
# What was cut off ends soon after; whatever does not is computing, and no thread can be told to stop that.
_OVERDUE_S = 5.0


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
        key = scope["state"]["caller"].name
        name = _address(scope) if key is None else f"key {key}"
        for rate in self._rates:
            if not self._limiter.hit(rate, name):
                reset = self._limiter.get_window_stats(rate, name).reset_time
                wait_s = max(1, round(reset - time.time()))
                await refuse(scope, receive, send, TOO_MANY, f"at most {rate} are taken", {"Retry-After": str(wait_s)})
                return
        await self._app(scope, receive, send)


def _address(scope: Scope) -> str:
    return f"address {neighbourhood(scope['client'][0] if scope.get('client') else '')}"


def _payer(scope: Scope) -> str:
    """Whose share of the room a request takes."""
    return f"{_address(scope)} {scope['state']['caller'].name or ''}"


class FullError(Exception):
    """There is no place, and none to wait for one."""


class Places:
    """Room for so many in work, and for so many that wait their turn, in the order in which they came."""

    def __init__(self, in_work: int, waiting: int) -> None:
        self._free = in_work
        self._max_waiting = waiting
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def take(self, payer: Callable[[], str], timeout_s: float) -> None:
        """Return when a place is this caller's, who gives it back; `payer` says whose share that takes.

        Raises:
            FullError: too many wait, or whoever has fewer waiting came and needed the room.
            TimeoutError: none was free in time.
        """
        if self._free and not self._waiting:
            self._free -= 1
            return
        if len(self._waiting) >= self._max_waiting:
            self._make_room(payer())
        entry = payer(), asyncio.get_running_loop().create_future()
        self._waiting.append(entry)
        try:
            with fail_after(timeout_s):
                await entry[1]
        except BaseException:
            if entry[1].done() and not entry[1].cancelled() and entry[1].exception() is None:
                self.give_back()
            raise
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    def give_back(self) -> None:
        """Let the next one have the place."""
        while self._waiting:
            _, turn = self._waiting.pop(0)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _make_room(self, payer: str) -> None:
        counts = Counter(name for name, _ in self._waiting)
        busiest, most = counts.most_common(1)[0] if counts else (payer, 0)
        if most <= counts[payer] + 1:
            raise FullError
        last = next(entry for entry in reversed(self._waiting) if entry[0] == busiest)
        self._waiting.remove(last)
        if not last[1].done():
            last[1].set_exception(FullError())


class AdmissionControl:
    """Bounds how many requests are inside and in work, and how long each takes.

    What the bounds don't admit is refused with 503 at once. Who has no key where keys are needed gets pages and files,
    without a place and without a body. A request that takes too long is answered with 504; a thread that works for it
    can't be stopped, so it keeps its place until it is done, and `on_stuck` is called when that takes long.
    """

    def __init__(
        self, app: ASGIApp, server: ServerConfig, uploads: Mapping[str, int], on_stuck: Callable[[], None]
    ) -> None:
        """`uploads` are routes with bodies that are streamed, as in `POST /v1/documents`, and the bytes they take."""
        self._app = app
        self._uploads = uploads
        self._on_stuck = on_stuck
        self._timeout_s = server.timeout_s
        self._read_timeout_s = server.read_timeout_s
        self._bodies = Bodies(server.max_concurrent + server.max_queued, server.read_timeout_s)
        self._places = Places(server.max_concurrent, server.max_queued)
        # They take long to come, so they keep no question out.
        self._upload_places = Places(server.max_concurrent, 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _WATCHED:
            await self._app(scope, receive, send)
        elif unfit := unfit_head(scope):
            await refuse(scope, receive, send, *unfit, {"Connection": "close"})
        elif not scope["state"]["caller"].role:
            await self._watch(scope, receive, send)
        elif limit := self._uploads.get(f"{scope['method']} {scope['path']}"):
            # It goes to the disk as it comes and may take long; what is limited is the wait for its next part.
            limited = limit_pauses(limit_size(scope, receive, limit), self._read_timeout_s)
            await self._work(self._upload_places, scope, limited, send)
        else:
            try:
                whole = await self._bodies.read(scope, receive, partial(_payer, scope)) if has_body(scope) else receive
            except BodyRefusedError as exc:
                await refuse(scope, receive, send, exc.kind, str(exc), exc.headers)
                return
            await self._work(self._places, scope, whole, send)

    async def _work(self, places: Places, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await places.take(partial(_payer, scope), self._timeout_s)
        except FullError:
            await refuse(scope, receive, send, OVERLOADED, f"{places.waiting} requests are waiting; try again later")
            return
        except TimeoutError:
            await refuse(scope, receive, send, OVERLOADED, f"no place was free for {self._timeout_s:g} s")
            return
        try:
            await self._watch(scope, receive, send)
        finally:
            places.give_back()

    async def _watch(self, scope: Scope, receive: Receive, send: Send) -> None:
        with CancelScope() as cancel:
            watch = _Watch(scope, receive, send, self._timeout_s, cancel, self._on_stuck)
            try:
                await self._app(scope, watch.receive, watch.send)
            finally:
                watch.stop()
        await watch.told()


class _Watch:
    """Cuts off a request whose response doesn't begin in time, or begins and then doesn't go on."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        limit_s: float,
        cancel: CancelScope,
        on_stuck: Callable[[], None],
    ) -> None:
        self._scope, self._receive, self._send, self._limit_s, self._cancel = scope, receive, send, limit_s, cancel
        self._on_stuck = on_stuck
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
        self._timer = self._loop.call_later(_OVERDUE_S, self._on_stuck)
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
