"""The application: routes, errors, documentation and the engine's life, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio import to_thread
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from qa.api import documents, health, jobs, questions
from qa.api.access import Access, keys_of, require_read
from qa.api.docs import DESCRIPTION, TAGS, Api, add_pages
from qa.api.middleware import BodyLimit, RequestId
from qa.api.problems import add_handlers
from qa.api.startup import Startup
from qa.changes import Changes
from qa.chat import dify, mcp_http, openai_routes
from qa.chat.errors import ErrorDialects
from qa.chat.mcp_http import mcp_sessions
from qa.config import Config
from qa.worker import Worker


def create_app(config: Config, on_ready: Callable[[], None] | None = None) -> FastAPI:
    """The HTTP API over the index that `config` names.

    Nothing is loaded before the application starts. Then it answers at once; the engine comes up in the background,
    indexing the corpus first where there is no index, and until `/readyz` says 200 questions are refused with 503 and
    the reason. `on_ready` is called once when that is over.

    Raises:
        ConfigError: the API keys can't be used.
    """
    startup = Startup(config, on_ready)
    changes = Changes(config)
    keys = keys_of(config)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await to_thread.run_sync(changes.start)
        worker = Worker(changes, lambda: startup.engine)
        startup.start()
        worker.start()
        async with mcp_sessions(config, startup) as app.state.mcp:
            yield
        await to_thread.run_sync(worker.stop)
        await to_thread.run_sync(startup.stop)

    app = Api(
        title="cited-qa", version=version("cited-qa"), description=DESCRIPTION, openapi_tags=TAGS, lifespan=lifespan,
        docs_url=None, redoc_url=None, generate_unique_id_function=_operation_id,
    )  # fmt: skip
    app.state.startup = startup
    app.state.changes = changes
    app.state.config = config
    for routes in (questions, documents, jobs, openai_routes, dify, mcp_http):
        app.include_router(routes.router, dependencies=[Depends(require_read)])
    app.include_router(health.router)
    add_pages(app)
    add_handlers(app)
    app.add_middleware(BodyLimit, larger={"POST /v1/documents": config.server.max_upload_mb << 20})
    app.add_middleware(Access, server=config.server, keys=keys)
    app.add_middleware(RequestId)
    app.add_middleware(ErrorDialects)  # added last, so it wraps all the rest
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
