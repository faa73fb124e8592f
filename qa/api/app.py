"""The application: routes, errors, documentation and the engine's life, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio import to_thread
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from starlette.middleware.gzip import GZipMiddleware

from qa.api import documents, health, jobs, overview, pages, questions
from qa.api.access import KEY_HEADER, Access, Gate, KeyRing, keys_of
from qa.api.docs import DESCRIPTION, TAGS, Api, add_pages
from qa.api.limits import Admission, RateLimit
from qa.api.logs import AccessLog
from qa.api.metrics import Metrics
from qa.api.middleware import REQUEST_ID, Envelope
from qa.api.observability import Recording
from qa.api.problems import add_handlers
from qa.api.records import Found, note
from qa.api.startup import Startup
from qa.api.tracing import make_tracer
from qa.chat import dify, mcp_server, openai_routes
from qa.chat.errors import ErrorDialects
from qa.chat.mcp_server import mcp_sessions
from qa.configuration.config import Config
from qa.configuration.settings import ServerConfig
from qa.editing.editor import CorpusEditor
from qa.editing.worker import Worker
from qa.exploring.overview import Overview

_SPARE_THREADS = 8
_METHODS = ["GET", "POST", "DELETE"]
_HEADERS = ["Authorization", "Content-Type", "If-Match", "If-None-Match", KEY_HEADER, REQUEST_ID]
# Smaller responses fit in one packet anyway; a higher level costs more time than it saves.
_MIN_PACKED_BYTES = 1400
_PACKING = 5


def create_app(config: Config, on_ready: Callable[[], None] | None = None) -> FastAPI:
    """The HTTP API over the index that `config` names.

    Nothing is loaded before the application starts. Then it answers at once; the engine comes up in the background,
    indexing the corpus first where there is no index, and until `/readyz` says 200 questions are refused with 503 and
    the reason. `on_ready` is called once when that is over.

    Raises:
        ConfigError: the API keys can't be used, or OpenTelemetry is configured and not installed.
    """
    changes = CorpusEditor(config)
    metrics = Metrics(lambda: startup.engine, changes.jobs)

    def tell(response: Found) -> None:
        metrics.answered(response)
        note(response)

    startup = Startup(config, on_ready, tell)
    keys = keys_of(config)
    tracers, close_tracer = make_tracer(config.server.otlp_endpoint)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
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

    app = Api(
        title="cited-qa",
        version=version("cited-qa"),
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    app.state.startup, app.state.metrics, app.state.changes = startup, metrics, changes
    app.state.config, app.state.overview = config, Overview()
    for routes in (questions, documents, jobs, overview, openai_routes, dify, mcp_server, health, pages):
        app.include_router(routes.router)
    app.mount(pages.ASSETS, pages.Assets(directory=pages.FOLDER), name="web")
    add_pages(app)
    add_handlers(app)
    _wrap(app, config.server, keys)
    app.add_middleware(Envelope)
    app.add_middleware(ErrorDialects)
    # An event stream is never packed, so that each event leaves at once.
    app.add_middleware(GZipMiddleware, minimum_size=_MIN_PACKED_BYTES, compresslevel=_PACKING)
    app.add_middleware(Recording, metrics=metrics, sinks=[AccessLog(config.server), *tracers])
    return app


def _wrap(app: FastAPI, server: ServerConfig, keys: KeyRing) -> None:
    """Add what a request passes on its way to a route; what is added last comes first."""
    app.add_middleware(Admission, server=server, uploads={"POST /v1/documents": server.max_upload_mb << 20})
    app.add_middleware(Gate)
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


def _operation_id(route: APIRoute) -> str:
    return route.name
