"""Every error as RFC 9457 problem+json, with a `type` that clients can rely on.

What our own errors mean stands in `qa.errors`; `_HTTP` adds what only HTTP knows. `problem_table` renders both, for the
OpenAPI page. A request that pydantic refuses is explained in one line.
"""

from __future__ import annotations

import difflib
import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match

from index.errors import CitedQAError
from qa.api.models import AskParams, DocumentsParams, IndexRequest, SliceParams
from qa.errors import EXIT_FAILURE, EXIT_USAGE, MEANINGS, Meaning, meaning
from qa.schemas import EXAMPLE_QUESTION, AskRequest, FilterSpec, Problem

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "/problems/"
RETRY_AFTER_S = 5
INTERNAL = "something failed in the server; its log says what, under this X-Request-ID"

MALFORMED_JSON = Meaning(400, EXIT_USAGE, "malformed-json", "The body is not JSON")
_NOT_FOUND = Meaning(404, EXIT_USAGE, "not-found", "There is nothing at this address")
_METHOD = Meaning(405, EXIT_USAGE, "method-not-allowed", "This address does not take this method")
TOO_LARGE = Meaning(413, EXIT_USAGE, "body-too-large", "The body is too large")
_PRECONDITION = Meaning(412, EXIT_USAGE, "precondition-failed", "The document is another version by now")
LONG_ADDRESS = Meaning(414, EXIT_USAGE, "address-too-long", "The address is too long")
LONG_HEADERS = Meaning(431, EXIT_USAGE, "headers-too-large", "The headers are too large")
MALFORMED_REQUEST = Meaning(400, EXIT_USAGE, "malformed-request", "This is not HTTP as it should be")
AMBIGUOUS = Meaning(400, EXIT_USAGE, "ambiguous-length", "The request gives its length in two ways")
UNAUTHORIZED = Meaning(401, EXIT_USAGE, "unauthorized", "A valid API key is needed")
_READ_ONLY = Meaning(403, EXIT_USAGE, "forbidden", "This key may not do that")
FOREIGN_ORIGIN = Meaning(403, EXIT_USAGE, "foreign-origin", "A web page of another origin may not do that")
SLOW_BODY = Meaning(408, EXIT_FAILURE, "slow-body", "The body did not come in time")
TOO_MANY = Meaning(429, EXIT_FAILURE, "too-many-requests", "Too many requests in a short time")
OVERLOADED = Meaning(503, EXIT_FAILURE, "overloaded", "The server has more to do than it can")
TIMED_OUT = Meaning(504, EXIT_FAILURE, "timed-out", "The answer took too long")
WRONG_HOST = Meaning(421, EXIT_USAGE, "wrong-host", "This server does not go by that name")
_HTTP = {
    kind.status: kind
    for kind in (MALFORMED_JSON, UNAUTHORIZED, _READ_ONLY, _NOT_FOUND, _METHOD, SLOW_BODY, TOO_LARGE, _PRECONDITION)
}
_EARLY = (
    AMBIGUOUS,
    LONG_ADDRESS,
    LONG_HEADERS,
    MALFORMED_REQUEST,
    FOREIGN_ORIGIN,
    WRONG_HOST,
    TOO_MANY,
    OVERLOADED,
    TIMED_OUT,
)
_KNOWN = {kind.type: kind for kind in (*_HTTP.values(), *_EARLY, *MEANINGS.values())}

INVALID = _KNOWN["invalid-request"]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

_MAX_SHOWN_CHARS = 40
# What was sent may be in it, and that may be a megabyte.
_MAX_DETAIL_CHARS = 2000
_MAX_EXPLAINED = 10
_FIELDS = {
    "body": {
        **{name: name for model in (AskRequest, IndexRequest) for name in model.model_fields},
        **{n: f"filters.{n}" for n in FilterSpec.model_fields},
    },
    "query": {name: name for model in (AskParams, DocumentsParams, SliceParams) for name in model.model_fields},
}

Responses = dict[int | str, dict[str, Any]]


def problem_body(kind: Meaning, detail: str) -> Problem:
    """One problem; `detail` is made one line of valid Unicode, and cut where it is endless."""
    line = " ".join(detail.encode("utf-8", "backslashreplace").decode().split())
    if len(line) > _MAX_DETAIL_CHARS:
        line = f"{line[:_MAX_DETAIL_CHARS]}…"
    return Problem(type=TYPE_PREFIX + kind.type, title=kind.title, status=kind.status, detail=line)


def problem(kind: Meaning, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response for one problem."""
    body = problem_body(kind, detail)
    extra = {"Retry-After": str(RETRY_AFTER_S)} if kind.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return JSONResponse(body.model_dump(), kind.status, {**extra, **(headers or {})}, MEDIA_TYPE)


def internal_problem() -> JSONResponse:
    """The response to an error that nobody expected; what it was stands in the log only."""
    return problem(MEANINGS[CitedQAError], INTERNAL)


def documented(*types: str) -> Responses:
    """What the OpenAPI page says of these problem types, by status."""
    responses: Responses = {}
    for kind in (_KNOWN[name] for name in types):
        entry = responses.setdefault(
            kind.status,
            {"description": "", "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}},
        )
        entry["description"] += f"{'; ' if entry['description'] else ''}{kind.title} (`{TYPE_PREFIX}{kind.type}`)"
        example = Problem(
            type=TYPE_PREFIX + kind.type, title=kind.title, status=kind.status, detail="what to do about it"
        )
        entry["content"][MEDIA_TYPE].setdefault("example", example.model_dump())
    return responses


def problem_table() -> str:
    """All problem types as a Markdown table."""
    rows = sorted(_KNOWN.values(), key=lambda kind: (kind.status, kind.type))
    lines = [f"| {kind.status} | `{TYPE_PREFIX}{kind.type}` | {kind.title} |" for kind in rows]
    return "\n".join(["| status | type | title |", "|---|---|---|", *lines])


def add_handlers(app: FastAPI) -> None:
    """Turn every error that a route raises into a problem."""
    app.add_exception_handler(CitedQAError, _on_own_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)


async def _on_own_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, CitedQAError)
    kind = meaning(error)
    if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.warning("%s %s: %s", request.method, request.url.path, error)
    return problem(kind, str(error))


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    kind = MALFORMED_JSON if is_malformed_json(error) else INVALID
    return problem(kind, explain(error, _body_example(request)))


def _body_example(request: Request) -> str:
    """A body that the route takes, as its description shows it; one of a question where there is none."""
    route = request.scope.get("route")
    fields = route.dependant.body_params if isinstance(route, APIRoute) else []
    config = getattr(fields[0].field_info.annotation, "model_config", {}) if fields else {}
    examples = config.get("json_schema_extra", {}).get("examples") or [{"query": EXAMPLE_QUESTION}]
    return json.dumps(examples[0], ensure_ascii=False)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    kind = _HTTP.get(status) or Meaning(status, EXIT_FAILURE, status.phrase.lower().replace(" ", "-"), status.phrase)
    if kind is _METHOD:
        allowed = ", ".join(_allowed_methods(request))
        return problem(kind, f"{request.url.path}: takes {allowed}, not {request.method}", {"Allow": allowed})
    if kind is _NOT_FOUND:
        return problem(kind, f"{request.url.path}: no such address; see /docs")
    if kind is MALFORMED_JSON:
        return problem(kind, "body: can't be read as JSON; send one JSON object in UTF-8")
    return problem(kind, error.detail, error.headers)


def _allowed_methods(request: Request) -> list[str]:
    """What this address takes; Starlette knows only of the first route that has it."""
    scopes = [{**request.scope, "method": method} for method in _METHODS]
    return [
        str(scope["method"])
        for scope in scopes
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    ]


def is_malformed_json(error: RequestValidationError) -> bool:
    """Whether the body could not even be parsed."""
    return any(part["type"] == "json_invalid" for part in error.errors())


def explain(error: RequestValidationError, example: str) -> str:
    """What is wrong with which of the first few fields, and what to do. `example` is a body that would do."""
    return "; ".join(dict.fromkeys(_explain_one(part, example) for part in error.errors()[:_MAX_EXPLAINED]))


def _explain_one(error: Mapping[str, Any], example: str) -> str:
    place, *path = error["loc"]
    kind, field = error["type"], ".".join(str(part) for part in path)
    if kind == "json_invalid":
        return f"body: is not valid JSON: {error['ctx']['error']} at character {path[0]}; send one JSON object in UTF-8"
    if kind == "string_unicode":
        return f"{field or 'body'}: holds half of a surrogate pair; send whole Unicode characters"
    if not field:
        return f"body: must be a JSON object such as {example}, sent as Content-Type: application/json"
    if kind == "missing":
        return f"{field}: is missing; add it"
    if kind == "extra_forbidden":
        return f"{field}: {_hint(str(place), str(path[-1]))}"
    message = str(error["msg"])
    return f"{field}: {message[0].lower()}{message[1:]}{_shown(error.get('input'))}"


def _hint(place: str, name: str) -> str:
    fields = _FIELDS.get(place, {})
    near = difflib.get_close_matches(name, fields, n=1)
    return f"is not a known field; did you mean {fields[near[0]]!r}?" if near else "is not a known field; remove it"


def _shown(value: object) -> str:
    is_short = isinstance(value, str | int | float) and 0 < len(str(value)) <= _MAX_SHOWN_CHARS
    return f" (got {value})" if is_short else ""
