"""The bodies of requests: how long they may be, and how long they may take to come."""

from __future__ import annotations

from anyio import fail_after
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from qa.api.problems import SLOW_BODY, TOO_LARGE

MAX_BODY_BYTES = 1_000_000
# A client that is still sending when it is refused may lose the answer, so this much more is read and dropped.
_DRAINED_BYTES = 15 * MAX_BODY_BYTES
_CLOSE = {"Connection": "close"}


def has_body(scope: Scope) -> bool:
    """Whether a body follows the head."""
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def has_two_lengths(scope: Scope) -> bool:
    """Whether a proxy before us may see another end of this body, and so another beginning of the next request."""
    headers = Headers(scope=scope)
    return "content-length" in headers and "transfer-encoding" in headers


async def read_whole(scope: Scope, receive: Receive, timeout_s: float) -> Receive:
    """Read a body, and return a `receive` that gives it again.

    Raises:
        HTTPException: 413, it is larger than `MAX_BODY_BYTES`; 408, it was not complete in time.
    """
    parts: list[bytes] = []
    limited = limit_size(scope, receive, MAX_BODY_BYTES)
    try:
        with fail_after(timeout_s):
            while True:
                message = await limited()
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    break
    except TimeoutError as exc:
        detail = f"body: was not complete after {timeout_s:g} s; send it faster"
        raise HTTPException(SLOW_BODY.status, detail, _CLOSE) from exc
    # A client that went away sends no `http.request`; the route is told so.
    body: Message | None = message if message["type"] != "http.request" else {**message, "body": b"".join(parts)}

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
