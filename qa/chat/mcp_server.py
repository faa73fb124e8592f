"""The MCP server over an engine, whatever carries its messages: tools to ask, search and fetch, and the documents."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypeVar

import anyio
import mcp_types as types
from anyio import to_thread
from fastapi import APIRouter, Request
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, ValidationError
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from index.errors import CitedQAError, IndexMissingError, IndexUnusableError
from qa.answering.responses import server_url
from qa.api.startup import Startup
from qa.chat import mcp_tools as tools
from qa.chat.card import one_line
from qa.chat.errors import quoted
from qa.configuration.config import Config
from qa.engine import Engine
from qa.schemas import EXAMPLE_QUESTION

logger = logging.getLogger(__name__)
router = APIRouter()

_SCHEME = "cited-qa://documents/"
_PAGE = 100
_MAX_EXPLAINED, _MAX_FIELD_CHARS = 5, 80
# A client gives up on a call after about a minute; before that it should be told how far the indexing is.
_PATIENCE_S = 40.0
_POLL_S = 0.1
# What is said while the engine starts and while the corpus is read for the first time.
_PASSING = (IndexUnusableError, IndexMissingError)
_INSTRUCTIONS = f"""
The user's own documents, searchable, with citations that can be checked character by character; many are Chinese.
Use `ask` for a question of fact, in the user's own words and language (for example {EXAMPLE_QUESTION}): its answer
stands in the documents. Cite the sources it returns, by title and url, and quote figures exactly. When its status is
no_answer, say that the documents do not say it; do not answer from memory as if they did. Use `search` to explore a
subject or to gather passages for a longer text, and `fetch` to read more around a passage.
""".strip()

Context = ServerRequestContext[Any, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Tool:
    """A tool: what it takes and gives, and what runs it. The second part of what it returns is to be read."""

    arguments: type[BaseModel]
    result: type[BaseModel]
    run: Callable[[Engine, Any, str], tuple[BaseModel, str]]
    title: str
    description: str


def _as_json(run: Callable[[Engine, Any, str], BaseModel]) -> Callable[[Engine, Any, str], tuple[BaseModel, str]]:
    """What is to be read is the result itself: ChatGPT's connectors read JSON from the text."""

    def both(engine: Engine, given: Any, base_url: str) -> tuple[BaseModel, str]:  # noqa: ANN401
        result = run(engine, given, base_url)
        return result, json.dumps(result.model_dump(mode="json"), ensure_ascii=False)

    return both


_TOOLS = {
    "ask": _Tool(
        tools.AskArguments,
        tools.AskResult,
        tools.ask,
        "Ask the documents",
        "Answer a question of fact from the user's documents, with the exact quotes it rests on and a link to each "
        "(根据用户的文档回答问题，并给出可核对的原文出处). Best for who, when, where, how many, what, in any language, "
        f"such as {EXAMPLE_QUESTION}. Pass the question on as the user put it. With status no_answer the documents "
        "hold no answer; the nearest passages are listed.",
    ),
    "search": _Tool(
        tools.SearchArguments,
        tools.SearchResult,
        _as_json(tools.search),
        "Search the documents",
        "Find the passages of the user's documents that fit a question or keywords best, with the text of each and a "
        "link to it (在用户的文档中检索段落). Works by words and by meaning, across Simplified and Traditional Chinese "
        "and other languages. Pass the id of a result to fetch to read around it.",
    ),
    "fetch": _Tool(
        tools.FetchArguments,
        tools.FetchResult,
        _as_json(tools.fetch),
        "Read a document",
        "Read a document of the user's, or of a long one the part around a passage (读取文档全文或段落上下文), by the "
        f"id of a search result or citation. At most {tools.MAX_FETCHED_CHARS} characters at once.",
    ),
}
_READ_ONLY = types.ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)


def mcp_server(engine: Callable[[], Engine], base_url: str | None = None) -> Server[Any]:
    """A server that answers with what `engine` gives; it is called in a worker thread and may wait, or raise.

    Links begin with `base_url`, or where that is None with the address that the request was sent to.
    """
    handlers = _Handlers(engine, base_url)
    return Server(
        "cited-qa",
        version=version("cited-qa"),
        title="cited-qa",
        instructions=_INSTRUCTIONS,
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=handlers.list_resources,
        on_list_resource_templates=handlers.list_templates,
        on_read_resource=handlers.read_resource,
    )


class _Handlers:
    def __init__(self, engine: Callable[[], Engine], base_url: str | None) -> None:
        self._engine = engine
        self._base_url = base_url

    def _base(self, context: Context) -> str:
        if self._base_url is not None:
            return self._base_url
        return str(context.request.base_url) if isinstance(context.request, Request) else ""

    async def list_tools(self, context: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=name,
                    title=tool.title,
                    description=tool.description,
                    annotations=_READ_ONLY,
                    input_schema=tool.arguments.model_json_schema(),
                    output_schema=tool.result.model_json_schema(mode="serialization"),
                )
                for name, tool in _TOOLS.items()
            ]
        )

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = _TOOLS.get(params.name)
        if tool is None:
            raise MCPError(
                types.INVALID_PARAMS, f"there is no tool {quoted(params.name)}; there are: {', '.join(_TOOLS)}"
            )
        base_url = self._base(context)
        try:
            given = tool.arguments.model_validate(params.arguments or {})
            result, text = await to_thread.run_sync(lambda: tool.run(self._engine(), given, base_url))
        except ValidationError as exc:
            return _failed(_explained(exc))
        except CitedQAError as exc:
            return _failed(str(exc))
        except Exception:
            logger.exception("the tool %s failed", params.name)
            return _failed("something failed in the server; its log says what")
        return types.CallToolResult(
            content=[types.TextContent(text=text)], structured_content=result.model_dump(mode="json")
        )

    async def list_resources(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        cursor = (params.cursor if params else None) or ""
        page, following = await self._run(lambda: tools.list_documents(self._engine(), cursor, _PAGE))
        resources = [
            types.Resource(
                uri=_SCHEME + info.id,
                name=info.path,
                title=info.title or None,
                mime_type="text/plain",
                description=f"{info.collection}, read {info.read_at}",
            )
            for info in page
        ]
        return types.ListResourcesResult(resources=resources, next_cursor=following)

    async def list_templates(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        template = types.ResourceTemplate(
            uri_template=f"{_SCHEME}{{document_id}}",
            name="document",
            title="Document",
            mime_type="text/plain",
            description="The text of a document, by the document_id of a search result or citation",
        )
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        if not params.uri.startswith(_SCHEME):
            raise MCPError(types.INVALID_PARAMS, f"{quoted(params.uri)}: is not a document; they begin with {_SCHEME}")
        document_id = params.uri.removeprefix(_SCHEME)
        text = await self._run(lambda: tools.read_document(self._engine(), document_id))
        return types.ReadResourceResult(
            contents=[types.TextResourceContents(uri=params.uri, mime_type="text/plain", text=text)]
        )

    @staticmethod
    async def _run(work: Callable[[], T]) -> T:
        try:
            return await to_thread.run_sync(work)
        except CitedQAError as exc:
            raise MCPError(types.INVALID_PARAMS, _one_line(str(exc))) from exc


def _failed(message: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=_one_line(message))], is_error=True)


def _explained(error: ValidationError) -> str:
    wrong = error.errors(include_url=False, include_input=False)[:_MAX_EXPLAINED]
    return "; ".join(_explained_one(each["type"], each["loc"], each["msg"]) for each in wrong)


def _explained_one(kind: str, place: tuple[int | str, ...], message: str) -> str:
    field = one_line(".".join(str(part) for part in place), _MAX_FIELD_CHARS)
    if kind == "missing":
        return f"{field}: is missing; add it"
    if kind == "extra_forbidden":
        return f"{field}: is not known; leave it out"
    return f"{field}: {message[0].lower()}{message[1:]}"


def _one_line(text: str) -> str:
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())


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


class _Waiting:
    """An engine that is waited for while it comes up, but not when it can't."""

    def __init__(self, config: Config) -> None:
        self._ready = threading.Event()
        self.startup = Startup(config, self._ready.set)

    def engine(self) -> Engine:
        deadline = time.monotonic() + _PATIENCE_S
        while not self._ready.wait(_POLL_S) and time.monotonic() < deadline:
            try:
                return self.startup.engine
            except CitedQAError as exc:
                if type(exc) not in _PASSING:
                    raise
        return self.startup.engine


def serve_stdio(config: Config) -> None:
    """Answer a client until it closes stdin. Nothing but messages goes to stdout; what happens is said on stderr."""
    logging.getLogger("qa").setLevel(logging.INFO)
    waiting = _Waiting(config)
    waiting.startup.start()
    server = mcp_server(waiting.engine, server_url(config.server))

    async def run() -> None:
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())

    try:
        anyio.run(run)
    finally:
        waiting.startup.stop()
