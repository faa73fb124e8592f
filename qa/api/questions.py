"""Routes that answer questions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query

from index.types import Filters
from qa.api.deps import ENGINE_PROBLEMS, ReadyEngine
from qa.api.examples import EXAMPLE_RESPONSE
from qa.api.models import AskParams
from qa.api.problems import Responses, documented
from qa.conversation import Turn
from qa.schemas import AskRequest, AskResponse, SearchRequest, SearchResponse

router = APIRouter(prefix="/v1", tags=["questions"])

_ANSWERED: Responses = {
    200: {
        "description": "An answer with its citations, or the reason why there is none",
        "content": {"application/json": {"example": EXAMPLE_RESPONSE.model_dump()}},
    }
}
_BODY_PROBLEMS = documented("malformed-json", "body-too-large", "invalid-request", *ENGINE_PROBLEMS)


@router.post("/ask", summary="Answer a question", responses={**_ANSWERED, **_BODY_PROBLEMS})
def ask(engine: ReadyEngine, request: Annotated[AskRequest, Body()]) -> AskResponse:
    """Answer a question from the documents.

    The answer is quoted from the documents, never composed. Each citation says where its quote stands:
    `text[start:end]` of `GET /v1/documents/{id}/text`, in code points, is exactly `quote`; its `url` returns just that.
    When the documents hold no answer, `status` is `no_answer` and `reason` says why; the nearest passages are listed
    all the same. A follow-up such as 那武威呢 is understood from `history`; `interpreted_as` says how.
    """
    history = [Turn(turn) if isinstance(turn, str) else Turn(turn.question, turn.answer) for turn in request.history]
    return engine.ask(
        request.query, top_k=request.top_k, filters=_filters(request), explain=request.explain, history=history
    )


@router.get(
    "/ask",
    summary="Answer a question in the address",
    responses={**_ANSWERED, **documented("invalid-request", *ENGINE_PROBLEMS)},
)
def ask_by_address(engine: ReadyEngine, params: Annotated[AskParams, Query()]) -> AskResponse:
    """Answer a question without a body, as in `/v1/ask?q=兰州帮扶中心资助了多少学生`."""
    return ask(engine, params.to_request())


@router.post("/search", summary="Find passages", responses=_BODY_PROBLEMS)
def search(engine: ReadyEngine, request: Annotated[SearchRequest, Body()]) -> SearchResponse:
    """Rank the passages that fit a query, without an answer."""
    return engine.search(request.query, top_k=request.top_k, filters=_filters(request), explain=request.explain)


def _filters(request: SearchRequest) -> Filters | None:
    return request.filters.to_filters() if request.filters else None
