"""The application: routes, errors, documentation and the engine's life, put together."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version

from anyio import to_thread
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from index.errors import CitedQAError
from qa.api import documents, jobs, questions
from qa.api.access import KEY_HEADER, Access, KeyGate
from qa.api.keys import KeyRing, keys_of
from qa.api.limits import AdmissionControl, RateLimit
from qa.api.models import Health, Ready
from qa.api.observability import CONTENT_TYPE, EngineResponse, Metrics, Recording, note
from qa.api.problems import add_handlers, documented, internal_problem, problem
from qa.api.sinks import AccessLog, make_tracer
from qa.api.startup import ENGINE_PROBLEMS, ServerStartup, Startup
from qa.chat import dify, mcp_server, openai_routes
from qa.chat.errors import ErrorDialects
from qa.chat.mcp_server import mcp_sessions
from qa.configuration.config import Config
from qa.configuration.settings import ServerConfig
from qa.editing.editor import CorpusEditor
from qa.editing.worker import Worker
from qa.errors import meaning
from qa.exploring.overview import Overview
from qa.schemas import IndexOut
from qa.serving import docs

logger = logging.getLogger(__name__)

REQUEST_ID = "X-Request-ID"
# A browser is to take nothing for HTML that isn't, to show no page of ours within another's, and to tell no other site
# which document was read.
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
}
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_SPARE_THREADS = 8
_METHODS = ["GET", "POST", "DELETE"]
_HEADERS = ["Authorization", "Content-Type", "If-Match", "If-None-Match", KEY_HEADER, REQUEST_ID]
# Smaller responses fit in one packet anyway; a higher level costs more time than it saves.
_MIN_PACKED_BYTES = 1400
_PACKING = 5

health = APIRouter(tags=["health"])


def create_app(
    config: Config, on_ready: Callable[[], None] | None = None, on_stuck: Callable[[], None] | None = None
) -> FastAPI:
    """The HTTP API over the index that `config` names.

    Nothing is loaded before the application starts. Then it answers at once; the engine comes up in the background,
    indexing the corpus first where there is no index, and until `/readyz` says 200 questions are refused with 503 and
    the reason. `on_ready` is called once when that is over; `on_stuck` when a request that was given up still computes.

    Raises:
        ConfigError: the API keys can't be used, or OpenTelemetry is configured and not installed.
    """
    changes = CorpusEditor(config)
    metrics = Metrics(lambda: startup.engine, changes.jobs)

    def tell(response: EngineResponse) -> None:
        metrics.answered(response)
        note(response)

    startup = Startup(config, on_ready, tell)
    keys = keys_of(config)
    tracers, close_tracer = make_tracer(config.server.otlp_endpoint)

    app = docs.Api(
        title="cited-qa",
        version=version("cited-qa"),
        description=docs.DESCRIPTION,
        openapi_tags=docs.TAGS,
        lifespan=partial(_life, startup, changes, close_tracer),
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    app.state.startup, app.state.metrics, app.state.changes = startup, metrics, changes
    app.state.config, app.state.overview = config, Overview()
    _add_routes(app)
    _wrap(app, config.server, keys, on_stuck or (lambda: None))
    app.add_middleware(Recording, metrics=metrics, sinks=[AccessLog(config.server), *tracers])
    return app


@asynccontextmanager
async def _life(
    startup: Startup, changes: CorpusEditor, close_tracer: Callable[[], None], app: FastAPI
) -> AsyncIterator[None]:
    """What runs beside the routes, from the first request to the last."""
    config: Config = app.state.config
    # Those that wait for a place hold no thread, and a few threads are kept for whoever watches the server.
    to_thread.current_default_thread_limiter().total_tokens = config.server.max_concurrent + _SPARE_THREADS
    await to_thread.run_sync(changes.start)
    worker = Worker(changes, lambda: startup.engine)
    startup.start()
    worker.start()
    async with mcp_sessions(config, startup) as app.state.mcp:
        yield
    await to_thread.run_sync(worker.stop)
    await to_thread.run_sync(startup.stop)
    await to_thread.run_sync(close_tracer)


def _add_routes(app: FastAPI) -> None:
    for module in (questions, documents, jobs, openai_routes, dify, mcp_server):
        app.include_router(module.router)
    app.include_router(health)
    docs.add_pages(app)
    add_handlers(app)


def _wrap(app: FastAPI, server: ServerConfig, keys: KeyRing, on_stuck: Callable[[], None]) -> None:
    """Add what a request passes on its way to a route; what is added last comes first."""
    uploads = {"POST /v1/documents": server.max_upload_mb << 20}
    app.add_middleware(AdmissionControl, server=server, uploads=uploads, on_stuck=on_stuck)
    app.add_middleware(KeyGate)
    if server.rate_limit:
        app.add_middleware(RateLimit, rate=server.rate_limit)
    app.add_middleware(Access, server=server, keys=keys)
    if server.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=server.cors_origins,
            allow_methods=_METHODS,
            allow_headers=_HEADERS,
            expose_headers=["ETag", "Location", "Retry-After", REQUEST_ID],
        )
    app.add_middleware(Envelope)
    app.add_middleware(ErrorDialects)
    # An event stream is never packed, so that each event leaves at once.
    app.add_middleware(GZipMiddleware, minimum_size=_MIN_PACKED_BYTES, compresslevel=_PACKING)


def _operation_id(route: APIRoute) -> str:
    return route.name


class Envelope:
    """Gives each response the id that the client sent, or a new one, and headers for browsers.

    It answers and logs what nothing else caught. A route's own headers stay as they are.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = sent if _ACCEPTABLE_ID.fullmatch(sent) else uuid.uuid4().hex
        scope["state"]["request_id"] = request_id
        is_started = False

        async def send_whole(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_whole)
        except Exception:
            logger.exception("%s %s failed; %s %s", scope["method"], scope["path"], REQUEST_ID, request_id)
            if is_started:
                raise
            await internal_problem()(scope, receive, send_whole)


@health.get("/healthz", summary="Is the process alive?")
async def healthz() -> Health:
    """Say that the process runs; true from its first moment."""
    return Health()


@health.get("/readyz", summary="Can it answer?", response_model=Ready, responses=documented(*ENGINE_PROBLEMS))
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


@health.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=PlainTextResponse,
    responses={200: {"description": "Requests, answers, times, the index, memory; of all workers together"}},
)
def metrics(request: Request) -> Response:
    """Give the figures in Prometheus' text format."""
    figures = request.app.state.metrics
    assert isinstance(figures, Metrics)
    return Response(figures.page(), media_type=CONTENT_TYPE)
