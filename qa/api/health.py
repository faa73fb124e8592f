"""Routes for whoever watches the server."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from index.errors import CitedQAError
from qa.api.deps import ENGINE_PROBLEMS, ServerStartup
from qa.api.metrics import CONTENT_TYPE, Metrics
from qa.api.models import Health, Ready
from qa.api.problems import documented, problem
from qa.errors import meaning
from qa.schemas import IndexOut

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> Health:
    """Say that the process runs; true from its first moment."""
    return Health()


@router.get("/readyz", summary="Can it answer?", response_model=Ready, responses=documented(*ENGINE_PROBLEMS))
def readyz(startup: ServerStartup) -> Ready | JSONResponse:
    """Say whether questions can be answered, or why not (503): the index is being built, missing or unusable.

    The index counts as usable when lexical and dense search each find in it what stands in it.
    """
    try:
        store = startup.checked_store
        counts = store.counts()
    except CitedQAError as exc:
        return problem(replace(meaning(exc), status=503), str(exc))
    return Ready(index=IndexOut(generation=store.generation, model=store.encoder, passages=counts[1]))


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=PlainTextResponse,
    responses={200: {"description": "Requests, answers, times, the index, memory; of all workers together"}},
)
def metrics(request: Request) -> Response:
    """Give the figures in Prometheus' text format."""
    found = request.app.state.metrics
    assert isinstance(found, Metrics)
    return Response(found.page(), media_type=CONTENT_TYPE)
