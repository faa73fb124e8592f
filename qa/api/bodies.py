"""What a request may be, before anything reads it: the parts of its head, the size, pace and shape of its body."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping

from anyio import CancelScope, current_time, fail_after
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from qa.api.problems import AMBIGUOUS, INVALID, LONG_ADDRESS, LONG_HEADERS, MALFORMED_JSON, SLOW_BODY, TOO_LARGE
from qa.errors import Meaning

MAX_BODY_BYTES = 1_000_000
MAX_DEPTH = 64
# A key that no field takes costs a clause of the explanation: 125,000 of them stalled the loop for half a second.
MAX_KEYS = 10_000
MAX_PATH_BYTES = 8192
# A question of the greatest length in full, percent-encoded, is 48 kB.
MAX_QUERY_BYTES = 65_536
MAX_HEADERS_BYTES = 32_768
# A body that was announced only now is given this time to come, unless they are so many times too many.
_FRESH_S = 0.5
_MOST_FRESH = 4
# A client that is still sending when it is refused may lose the answer, so this much more is read and dropped.
_DRAINED_BYTES = 15 * MAX_BODY_BYTES
_CLOSE = {"Connection": "close"}
# The end of a string may be missing, so that one which never ends is looked at once.
_STRING = re.compile(rb'"(?:[^"\\]+|\\.)*+"?', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_OTHERS = bytes(set(range(256)) - set(b"[]{}"))


class BodyRefusedError(Exception):
    """A body is not taken; the message says why, `kind` is the problem."""

    def __init__(self, kind: Meaning, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind, self.headers = kind, headers


def unfit_head(scope: Scope) -> tuple[Meaning, str] | None:
    """What is wrong with the head of a request, and why; None when it may be read on."""
    headers = scope["headers"]
    names = {name for name, _ in headers}
    if b"content-length" in names and b"transfer-encoding" in names:
        # A proxy before us may see another end of this body, and so another beginning of the next request.
        return AMBIGUOUS, "Content-Length and Transfer-Encoding exclude each other; send one of them"
    if len(scope["raw_path"]) > MAX_PATH_BYTES:
        return LONG_ADDRESS, f"the path is longer than {MAX_PATH_BYTES} bytes"
    if len(scope["query_string"]) > MAX_QUERY_BYTES:
        return INVALID, f"query: the address has more than {MAX_QUERY_BYTES} bytes of it; send a shorter question"
    if sum(len(name) + len(value) for name, value in headers) > MAX_HEADERS_BYTES:
        return LONG_HEADERS, f"the headers are longer than {MAX_HEADERS_BYTES} bytes together; send less in them"
    return None


def has_body(scope: Scope) -> bool:
    """Whether a body follows the head."""
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def unfit_shape(body: bytes) -> str | None:
    """Why a JSON text is not to be parsed: it is nested too deeply, or has too many keys. Takes time by its length."""
    openings = body.count(b"[") + body.count(b"{")
    if openings <= MAX_DEPTH and body.count(b":") <= MAX_KEYS:
        return None
    bare = _STRING.sub(b"", body)
    if bare.count(b":") > MAX_KEYS:
        return f"body: has more than {MAX_KEYS} keys; send fewer"
    brackets = bare.translate(_BRACKETS, _OTHERS)
    levels = 0
    while levels < MAX_DEPTH and b"[]" in brackets:
        brackets = brackets.replace(b"[]", b"")  # the innermost pairs go
        levels += 1
    return f"body: is nested more than {MAX_DEPTH} levels deep; send it flatter" if b"[" in brackets else None


class Bodies:
    """Reads bodies, so many at once; for one more, that is given up which is waited for longest, of who sends most."""

    def __init__(self, most: int, timeout_s: float) -> None:
        self._most = most
        self._timeout_s = timeout_s
        self._waiting: dict[CancelScope, tuple[float, Callable[[], str]]] = {}

    async def read(self, scope: Scope, receive: Receive, payer: Callable[[], str]) -> Receive:
        """Read a body, and return a `receive` that gives it again; `payer` says who sends it.

        Raises:
            BodyRefusedError: it is larger than `MAX_BODY_BYTES`, was not complete in time, or is not to be parsed.
        """
        if len(self._waiting) >= self._most:
            self._make_room()
        with CancelScope() as cancel:
            self._waiting[cancel] = current_time(), payer
            try:
                return await self._read(scope, receive)
            finally:
                del self._waiting[cancel]
        raise BodyRefusedError(SLOW_BODY, "body: others were faster; send it at once", _CLOSE)

    def _make_room(self) -> None:
        before = current_time() - (_FRESH_S if len(self._waiting) < _MOST_FRESH * self._most else 0.0)
        names = {cancel: payer() for cancel, (since, payer) in self._waiting.items() if since <= before}
        if names:
            counts = Counter(names.values())
            max(names, key=lambda cancel: counts[names[cancel]]).cancel()  # the first of those that are equal

    async def _read(self, scope: Scope, receive: Receive) -> Receive:
        parts: list[bytes] = []
        limited = limit_size(scope, receive, MAX_BODY_BYTES)
        try:
            with fail_after(self._timeout_s):
                while True:
                    message = await limited()
                    parts.append(message.get("body", b""))
                    if not message.get("more_body"):
                        break
        except TimeoutError as exc:
            detail = f"body: was not complete after {self._timeout_s:g} s; send it faster"
            raise BodyRefusedError(SLOW_BODY, detail, _CLOSE) from exc
        except HTTPException as exc:
            raise BodyRefusedError(TOO_LARGE, exc.detail) from exc
        whole = b"".join(parts)
        if reason := unfit_shape(whole):
            raise BodyRefusedError(MALFORMED_JSON, reason)
        # A client that went away sends no `http.request`; the route is told so.
        body: Message | None = message if message["type"] != "http.request" else {**message, "body": whole}

        async def give() -> Message:
            nonlocal body
            given, body = body, None
            return given if given is not None else await receive()

        return give


def limit_size(scope: Scope, receive: Receive, limit: int) -> Receive:
    """A `receive` that raises HTTPException 413 for a body over `limit` bytes, announced or not, without keeping it."""
    length = Headers(scope=scope).get("Content-Length", "")
    is_refused = length.isdecimal() and int(length) > limit
    received = 0

    async def give() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received <= limit and not is_refused:
            return message
        while message.get("more_body") and received <= limit + _DRAINED_BYTES:
            message = await receive()
            received += len(message.get("body", b""))
        raise HTTPException(TOO_LARGE.status, f"body: is larger than {limit} bytes; send a shorter request")

    return give


def limit_pauses(receive: Receive, timeout_s: float) -> Receive:
    """A `receive` that raises HTTPException 408 when the next part of a body doesn't come in time."""
    is_complete = False

    async def give() -> Message:
        nonlocal is_complete
        if is_complete:
            return await receive()
        try:
            with fail_after(timeout_s):
                message = await receive()
        except TimeoutError as exc:
            detail = f"body: nothing came for {timeout_s:g} s; send it faster"
            raise HTTPException(SLOW_BODY.status, detail, _CLOSE) from exc
        is_complete = not message.get("more_body", False)
        return message

    return give
