"""MCP over streamable HTTP, as a route of the API. Each request stands alone, so any of several workers can answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Request
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from qa.api.startup import Startup
from qa.chat.mcp_server import mcp_server
from qa.configuration.config import Config

router = APIRouter()


class _Handed(Response):
    """Hands a request on; as a response it is answered after keys were checked, like any other."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


@asynccontextmanager
async def mcp_sessions(config: Config, startup: Startup) -> AsyncIterator[StreamableHTTPSessionManager]:
    """What handles the requests, for as long as the application runs."""
    server = mcp_server(lambda: startup.engine, config.server.public_url)
    # The API itself looks at Host and Origin, for this route as for all.
    manager = StreamableHTTPSessionManager(server, json_response=True, stateless=True)
    async with manager.run():
        yield manager


@router.post("/mcp", include_in_schema=False)
async def mcp(request: Request) -> Response:
    """Answer one message. There are no sessions, so there is nothing to listen to with GET or to end with DELETE."""
    return _Handed(request.app.state.mcp.handle_request)
