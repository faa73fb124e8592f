"""Who may ask: API keys, and which web pages may reach a server that needs none.

`Access` looks at each request once, before anything else does, and leaves what it finds on `request.state.caller`.
`KeyGate` then refuses whoever has no valid key, whatever the route; a route that needs an admin's says `require_admin`.
"""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from qa.api.addresses import LOOPBACK_NAMES, is_loopback
from qa.api.keys import Caller, KeyRing
from qa.api.problems import FOREIGN_ORIGIN, UNAUTHORIZED, WRONG_HOST, problem
from qa.configuration.settings import ServerConfig

logger = logging.getLogger(__name__)

KEY_HEADER = "X-API-Key"
# Nothing under these is read or looked for without a key.
GUARDED = ("/v1/", "/retrieval", "/mcp", "/metrics")
_ASK_FOR_KEY = f"send a valid API key: `Authorization: Bearer KEY` or `{KEY_HEADER}: KEY`"
_ANYONE = Caller(role="admin")  # where there are no keys
_CHALLENGE = {"WWW-Authenticate": "Bearer"}
# How a key is sent, as the OpenAPI description has it.
SECURITY_SCHEMES = {
    "HTTPBearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "`Authorization: Bearer KEY`; needed when keys are configured",
    },
    "APIKeyHeader": {
        "type": "apiKey",
        "in": "header",
        "name": KEY_HEADER,
        "description": "The same key, for clients that can't send that",
    },
}


def admitted_hosts(server: ServerConfig, keys: KeyRing) -> frozenset[str] | None:
    """The host names that a request may be addressed to, in small letters; None for any.

    A server without keys trusts what reaches it on loopback. A web page reaches it too, in its reader's browser, under
    a name of its own that leads to 127.0.0.1 (DNS rebinding); so it is asked for by names that no page can have.
    """
    named = {host.strip("[]").lower() for host in server.allowed_hosts}
    if not named and (keys or not is_loopback(server.host)):
        return None
    public = urlsplit(server.public_url or "").hostname
    return frozenset(named.union(LOOPBACK_NAMES, {server.host.lower()}, {public} if public else ()))


class Access:
    """Says whose a request is; refuses one that a foreign web page sent, or that is meant for another host."""

    def __init__(self, app: ASGIApp, server: ServerConfig, keys: KeyRing) -> None:
        self._app = app
        self._keys, self._has_keys = keys, bool(keys)
        self._hosts = admitted_hosts(server, keys)
        public = urlsplit(server.public_url or "")
        self._origins = {*server.cors_origins, *([f"{public.scheme}://{public.netloc}"] if public.netloc else [])}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        caller = scope.setdefault("state", {})["caller"] = self._caller(headers)
        if self._hosts is not None and _name_of(host) not in self._hosts:
            detail = "this server is not known by the name that was asked for; add it to server.allowed_hosts"
            await problem(WRONG_HOST, detail)(scope, receive, send)
        # No page has a key unless its reader gave it one; desktop clients send one with an origin of their own.
        elif not (self._has_keys and caller.role) and not self._is_own(origin, host):
            detail = "a web page of another origin sent this; add its origin to server.cors_origins to allow it"
            await problem(FOREIGN_ORIGIN, detail)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_own(self, origin: str | None, host: str) -> bool:
        """Whether no foreign web page sent it."""
        return origin is None or origin in self._origins or _authority(origin) == host.lower()

    def _caller(self, headers: Headers) -> Caller:
        if not self._has_keys:
            return _ANYONE
        scheme, _, token = headers.get("authorization", "").partition(" ")
        sent = token.strip() if scheme.lower() == "bearer" else ""
        return self._keys.caller(sent or headers.get(KEY_HEADER, "").strip())


class KeyGate:
    """Refuses a request without a valid key before its body is read, where all routes need one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_refused = scope["type"] == "http" and scope["path"].startswith(GUARDED) and not scope["state"]["caller"].role
        await (problem(UNAUTHORIZED, _ASK_FOR_KEY, _CHALLENGE) if is_refused else self._app)(scope, receive, send)


def _name_of(host: str) -> str:
    """The host name in a Host header, without the port; empty when it makes no sense."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _authority(origin: str) -> str:
    """Host and port of an origin. The scheme is left out: a proxy may speak TLS for a server that doesn't."""
    return origin.partition("://")[2].lower()


async def require_admin(request: Request) -> Caller:
    """Whose request it is, once an admin's key came with it or none is needed.

    Raises:
        HTTPException: 401 without a valid key, 403 with one that may only read.
    """
    caller = request.state.caller
    assert isinstance(caller, Caller)
    if caller.role is None:
        raise HTTPException(401, _ASK_FOR_KEY, _CHALLENGE)
    if caller.role != "admin":
        raise HTTPException(403, f"the key {caller.name!r} may only read; use one with the role admin")
    return caller
