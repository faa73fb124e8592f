"""Routes that answer questions."""

from __future__ import annotations

from threading import Event
from typing import Annotated

from fastapi import APIRouter, Body, Query
from fastapi.responses import Response

from index.types import Filters
from qa.answering.responses import whole
from qa.api.deps import ENGINE_PROBLEMS, ReadyEngine
from qa.api.examples import EXAMPLE_RESPONSE
from qa.api.models import AskParams
from qa.api.problems import Responses, documented
from qa.api.sse import EVENTS_CONTENT, as_json, event_stream, patient_response
from qa.engine import Engine
from qa.schemas import AskRequest, AskResponse, SearchRequest, SearchResponse
from qa.understanding.conversation import Turn

router = APIRouter(prefix="/v1", tags=["questions"])

_RESPONSE = {"example": EXAMPLE_RESPONSE.model_dump()}
_ANSWERED: Responses = {
    200: {
        "description": "An answer with its citations, or the reason why there is none",
        "content": {"application/json": _RESPONSE},
    }
}
_ANSWERED_OR_STREAMED: Responses = {
    200: {**_ANSWERED[200], "content": {"application/json": _RESPONSE, **EVENTS_CONTENT}}
}
_BODY_PROBLEMS = documented("malformed-json", "body-too-large", "invalid-request", *ENGINE_PROBLEMS)


@router.post(
    "/ask",
    summary="Answer a question",
    response_model=AskResponse,
    responses={**_ANSWERED_OR_STREAMED, **_BODY_PROBLEMS},
)
def ask(engine: ReadyEngine, request: Annotated[AskRequest, Body()]) -> Response:
    """Answer a question from the documents.

    An extractive answer is quoted from the documents, never composed. A generated one is written by the configured
    language model from passages chosen before: its text holds marks such as [2] for the citation with that `n`, and
    what its sources don't bear out is listed in `unsupported` and marked in the text. When the model fails, the answer
    is extractive and `fallback` says why. Each citation says where its quote stands: `text[start:end]` of
    `GET /v1/documents/{id}/text`, in code points, is exactly `quote`; its `url` opens the page that shows
    it. When the documents hold no answer, `status` is `no_answer` and `reason` says why; the nearest passages are
    listed all the same. A follow-up such as 那武威呢 is understood from `history`; `interpreted_as` says how.

    With `stream` the answer comes as server-sent events: `sources`, `delta` (any number), then `done` with the whole
    response, or `error` with a problem. A `delta` with `replace` takes the place of the text so far.
    """
    return _answered(engine, request)


@router.get(
    "/ask",
    summary="Answer a question in the address",
    response_model=AskResponse,
    responses={**_ANSWERED, **documented("invalid-request", *ENGINE_PROBLEMS)},
)
def ask_by_address(engine: ReadyEngine, params: Annotated[AskParams, Query()]) -> Response:
    """Answer a question without a body, as in `/v1/ask?q=兰州帮扶中心资助了多少学生`."""
    return _answered(engine, params.to_request())


@router.post("/search", summary="Find passages", response_model=SearchResponse, responses=_BODY_PROBLEMS)
def search(engine: ReadyEngine, request: Annotated[SearchRequest, Body()]) -> Response:
    """Rank the passages that fit a query, without an answer."""
    return as_json(
        engine.search(request.query, top_k=request.top_k, filters=_filters(request), explain=request.explain)
    )


def _answered(engine: Engine, request: AskRequest) -> Response:
    history = [Turn(turn) if isinstance(turn, str) else Turn(turn.question, turn.answer) for turn in request.history]
    stop = Event()
    parts = engine.stream(
        request.query,
        top_k=request.top_k,
        filters=_filters(request),
        explain=request.explain,
        history=history,
        answer=request.answer,
        stop=stop,
    )
    if request.stream:
        return event_stream(parts, stop)
    # What is quoted is there at once; a model takes its time.
    is_generated = engine.kind_of(request.answer) == "generated"
    return patient_response(parts, stop) if is_generated else as_json(whole(parts))


def _filters(request: AskRequest | SearchRequest) -> Filters | None:
    return request.filters.to_filters() if request.filters else None
