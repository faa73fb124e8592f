"""Problems as other protocols write their errors, on the addresses that speak these protocols.

Every error, whatever raises it, is a problem first; here its words and its status are translated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qa.api.problems import MEDIA_TYPE, TYPE_PREFIX
from qa.schemas import Problem

MODEL_NOT_FOUND = "model-not-found"
KNOWLEDGE_NOT_FOUND = "knowledge-not-found"

_FIELD = re.compile(r"([A-Za-z_][\w.]*): ")
_OPENAI_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_BAD_HEADER, _REFUSED, _NO_KNOWLEDGE = 1001, 1002, 2001
_MAX_SHOWN_CHARS = 80


def quoted(name: str) -> str:
    """A name that a client sent, as an error repeats it."""
    return repr(name if len(name) <= _MAX_SHOWN_CHARS else f"{name[:_MAX_SHOWN_CHARS]}…")


class OpenAIErrorBody(BaseModel):
    """What went wrong: `param` is the field that is wrong, `code` a stable name."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAIError(BaseModel):
    """An error as OpenAI's API returns it."""

    error: OpenAIErrorBody


class DifyError(BaseModel):
    """An error as Dify's external knowledge API has it: 1001, 1002 and 2001 as it defines them, else the status."""

    error_code: int
    error_msg: str


def openai_error(problem: Problem, headers: Mapping[str, str] | None = None) -> OpenAIError:
    """A problem in OpenAI's shape."""
    kind = problem.type.removeprefix(TYPE_PREFIX)
    place = _FIELD.match(problem.detail) if kind == "invalid-request" else None
    is_ours = problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return OpenAIError(
        error=OpenAIErrorBody(
            message=problem.detail,
            type="server_error" if is_ours else _OPENAI_TYPES.get(problem.status, "invalid_request_error"),
            param=place[1] if place else "model" if kind == MODEL_NOT_FOUND else None,
            code=_OPENAI_CODES.get(problem.status, kind.replace("-", "_")),
        )
    )


def dify_error(problem: Problem, headers: Mapping[str, str]) -> DifyError:
    """A problem in Dify's shape."""
    code = DIFY.status(problem.status)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        code = _REFUSED if scheme.lower() == "bearer" and key.strip() else _BAD_HEADER
    elif problem.type == TYPE_PREFIX + KNOWLEDGE_NOT_FOUND:
        code = _NO_KNOWLEDGE
    return DifyError(error_code=code, error_msg=problem.detail)


@dataclass(frozen=True, slots=True)
class ErrorDialect:
    """How a protocol writes errors; `statuses` are those it gives another number."""

    shape: type[BaseModel]
    translate: Callable[[Problem, Mapping[str, str]], BaseModel]
    statuses: Mapping[int, int] = field(default_factory=dict)

    def status(self, status: int) -> int:
        """The status that a problem gets."""
        return self.statuses.get(status, status)


OPENAI = ErrorDialect(OpenAIError, openai_error, {422: 400})
# Dify says to whoever enters a key that it is wrong when the answer is 403.
DIFY = ErrorDialect(DifyError, dify_error, {401: 403, 422: 400})
_ADDRESSES = (("/v1/chat/", OPENAI), ("/v1/models", OPENAI), ("/retrieval", DIFY))


def dialect_of(path: str) -> ErrorDialect | None:
    """What an address speaks; None for problems as they are."""
    return next((dialect for prefix, dialect in _ADDRESSES if path.startswith(prefix)), None)


def documented_in(dialect: ErrorDialect, responses: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Describe the problems among an operation's responses as they are sent."""
    for status in [status for status in responses if MEDIA_TYPE in responses[status].get("content", {})]:
        response = responses.pop(status)
        known = responses.setdefault(str(dialect.status(int(status))), response)
        if known is not response:
            known["description"] += f"; {response['description']}"
        known["content"] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{dialect.shape.__name__}"}}}
    shape = dialect.shape.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(shape.pop("$defs", {}))
    schemas[dialect.shape.__name__] = shape


class ErrorDialects:
    """Translates problems where another dialect is spoken; wraps whatever could answer with one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        dialect = dialect_of(scope["path"]) if scope["type"] == "http" else None
        if dialect is None:
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def translate(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_problem(message):
                start = message
            elif start is None:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    await _respond(dialect, start, body, scope, receive, send)

        await self._app(scope, receive, translate)


def _is_problem(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type") == MEDIA_TYPE


async def _respond(
    dialect: ErrorDialect, start: Message, body: bytes, scope: Scope, receive: Receive, send: Send
) -> None:
    shown = dialect.translate(Problem.model_validate_json(body), Headers(scope=scope))
    response = JSONResponse(shown.model_dump(), dialect.status(start["status"]))
    headers = MutableHeaders(raw=list(start["headers"]))
    headers.update({name: response.headers[name] for name in ("content-type", "content-length")})
    response.raw_headers = headers.raw
    await response(scope, receive, send)
