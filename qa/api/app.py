"""The application: routes, errors, documentation and the engine's life, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio import to_thread
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.gzip import GZipMiddleware

from qa.api import documents, health, jobs, overview, pages, questions
from qa.api.access import Access, keys_of, require_read
from qa.api.docs import DESCRIPTION, TAGS, Api, add_pages
from qa.api.middleware import BodyLimit, RequestId
from qa.api.problems import add_handlers
from qa.api.startup import Startup
from qa.changes import Changes
from qa.config import Config
from qa.overview import Overview
from qa.worker import Worker

# Smaller responses fit in one packet anyway; a higher level costs more time than it saves.
_MIN_PACKED_BYTES = 1400
_PACKING = 5


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
        yield
        await to_thread.run_sync(worker.stop)
        await to_thread.run_sync(startup.stop)

    app = Api(
        title="cited-qa", version=version("cited-qa"), description=DESCRIPTION, openapi_tags=TAGS, lifespan=lifespan,
        docs_url=None, redoc_url=None, generate_unique_id_function=_operation_id,
    )  # fmt: skip
    app.state.startup = startup
    app.state.changes = changes
    app.state.overview = Overview()
    for routes in (questions, documents, jobs, overview):
        app.include_router(routes.router, dependencies=[Depends(require_read)])
    for routes in (health, pages):
        app.include_router(routes.router)
    app.mount(pages.ASSETS, pages.Assets(directory=pages.FOLDER), name="web")
    add_pages(app)
    add_handlers(app)
    app.add_middleware(BodyLimit, larger={"POST /v1/documents": config.server.max_upload_mb << 20})
    app.add_middleware(Access, server=config.server, keys=keys)
    # An event stream is never packed, so that each event leaves at once.
    app.add_middleware(GZipMiddleware, minimum_size=_MIN_PACKED_BYTES, compresslevel=_PACKING)
    app.add_middleware(RequestId)  # added last, so it wraps all the rest
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
