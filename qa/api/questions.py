"""Routes that answer questions."""

from __future__ import annotations

from threading import Event
from typing import Annotated

from fastapi import APIRouter, Body, Query
from fastapi.responses import Response

from index.types import Filters
from qa.answering.responses import passage_link, whole
from qa.api.models import AskParams, Examples, WhyNotRequest
from qa.api.problems import Responses, documented
from qa.api.sse import EVENTS_CONTENT, as_json, event_stream, patient_response
from qa.api.startup import ENGINE_PROBLEMS, ReadyEngine, SharedOverview
from qa.engine import Engine
from qa.schemas import (
    EXAMPLE_QUESTION,
    AnswerOut,
    AskRequest,
    AskResponse,
    Citation,
    HitOut,
    IndexOut,
    SearchRequest,
    SearchResponse,
    WhyNotResponse,
)
from qa.understanding.conversation import Turn

_DOCUMENT = "08a5526a5db351bb"
_PATH = "seeds/000_ae71b4d254c1ee34.txt"
_TITLE = "沿着中国特色社会主义工会道路前进 ——兰州市总工会改革发展纪实"
_QUOTE = "开展“金秋助学”活动,帮助1097名困难家庭子女圆了大学梦,发放助学金260多万元"
_START = 6409
_END = _START + len(_QUOTE)

EXAMPLE_RESPONSE = AskResponse(
    id="827fbe85044d4cd8a07fb8c18c4f0036",
    query=EXAMPLE_QUESTION,
    status="answered",
    reason=None,
    answer=AnswerOut(text=_QUOTE, value="1097名", confidence=0.81),
    citations=[
        Citation(
            n=1,
            document_id=_DOCUMENT,
            path=_PATH,
            title=_TITLE,
            heading_path=["拓展领域,真情服务"],
            page=None,
            paragraph=41,
            start=_START,
            end=_END,
            quote=_QUOTE,
            url=passage_link(_DOCUMENT, _START, _END),
        )
    ],
    hits=[
        HitOut(
            rank=1,
            score=2.1181,
            passage_id=f"{_DOCUMENT}-37",
            document_id=_DOCUMENT,
            collection="seeds",
            path=_PATH,
            title=_TITLE,
            heading_path=["拓展领域,真情服务"],
            page=None,
            paragraph=41,
            start=_START,
            end=_END,
            text=_QUOTE,
            highlights=[(_START, _END)],
            also_in=[],
        )
    ],
    index=IndexOut(generation=5, model="bundled", passages=250),
    timings_ms={"total": 3.1},
)


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


@router.get("/examples", summary="Questions to begin with", responses=documented(*ENGINE_PROBLEMS))
def examples(engine: ReadyEngine, overview: SharedOverview) -> Examples:
    """Questions that the documents answer, made of their own sentences; each has been asked and was answered."""
    return Examples(questions=[example.question for example in overview.questions(engine)])


@router.post(
    "/why-not",
    summary="Why a document is not first",
    responses=documented("malformed-json", "body-too-large", "invalid-request", "document-not-found", *ENGINE_PROBLEMS),
)
def why_not(engine: ReadyEngine, request: Annotated[WhyNotRequest, Body()]) -> WhyNotResponse:
    """Compare the best passage of a document, named by id, path or file name, with the first hit for a question."""
    return engine.why_not(request.document, request.query)


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
