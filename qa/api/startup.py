"""An engine brought up behind a server that already answers, and what routes ask for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Annotated, Any

from fastapi import Depends, Request

from index.errors import CitedQAError, IndexDamagedError, IndexMissingError, IndexUnusableError
from index.pauses import pauses
from index.store import Store
from qa.answering.responses import Part
from qa.api.observability import EngineResponse
from qa.configuration.config import Config
from qa.editing.editor import CorpusEditor
from qa.engine import Engine
from qa.errors import StoppedError
from qa.evaluation.self_test import self_test
from qa.exploring.overview import Overview
from qa.schemas import EXAMPLE_QUESTION, AskResponse, SearchResponse

Listener = Callable[[EngineResponse], None]


class WatchedEngine(Engine):
    """`tell` is called with each response before the one who asked has it, in the thread that made it."""

    def __init__(self, config: Config, tell: Listener) -> None:
        super().__init__(config)
        self._tell = tell

    def search(self, *args: Any, **options: Any) -> SearchResponse:  # noqa: ANN401 - what Engine.search takes
        response = super().search(*args, **options)
        self._tell(response)
        return response

    def stream(self, *args: Any, **options: Any) -> Iterator[Part]:  # noqa: ANN401 - what Engine.stream takes
        for part in super().stream(*args, **options):
            if isinstance(part, AskResponse):
                self._tell(part)
            yield part


logger = logging.getLogger(__name__)

_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 5.0


class Startup:
    """Makes an engine in the background and tries again for as long as it can't.

    `on_ready` is called once, from another thread, when the first question could be asked; `on_response` with each
    response from then on.
    """

    def __init__(
        self, config: Config, on_ready: Callable[[], None] | None = None, on_response: Listener | None = None
    ) -> None:
        self._config = config
        self._on_ready = on_ready
        self._on_response = on_response
        self._engine: Engine | None = None
        self._checked: tuple[Store, str | None] | None = None
        self._reason: CitedQAError = IndexUnusableError("the server is starting; try again in a moment")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="qa-startup", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the work, at the next file when the corpus is being indexed."""
        self._stopping.set()
        self._thread.join()

    @property
    def engine(self) -> Engine:
        """The engine, once it has an index and has answered a first question.

        Raises:
            CitedQAError: it is not ready; the message says why.
        """
        if self._engine is None:
            raise type(self._reason)(str(self._reason))
        return self._engine

    @property
    def checked_store(self) -> Store:
        """The index, once each leg of search has found in it what it must; looked at once a generation.

        Raises:
            CitedQAError: it is not ready or not healthy; the message says why.
        """
        engine = self.engine
        store = engine.store
        if self._checked is None or self._checked[0] is not store:
            self._checked = store, self_test(engine, store)
        if self._checked[1] is not None:
            raise IndexDamagedError(self._checked[1])
        return store

    def _tell(self, response: EngineResponse) -> None:
        if self._engine is not None and self._on_response is not None:  # the first question is our own
            self._on_response(response)

    def _run(self) -> None:
        engine: Engine | None = None
        for delay_s in pauses(_FIRST_RETRY_S, _LAST_RETRY_S):
            if self._stopping.is_set():
                return
            try:
                engine = engine or WatchedEngine(self._config, self._tell)
                self._prepare(engine)
            except StoppedError:
                return
            except CitedQAError as exc:
                self._wait_because(exc, delay_s)
            except Exception:
                logger.exception("the engine could not be started")
                self._wait_because(IndexUnusableError("the engine could not be started; see the server's log"), delay_s)
            else:
                self._engine = engine
                if self._on_ready:
                    self._on_ready()
                return

    def _prepare(self, engine: Engine) -> None:
        report = engine.index_if_missing(self._on_progress)
        for skipped in report.skipped if report else ():
            logger.warning("skipped: %s", skipped)
        # The first question loads the model and the dictionary; no client should wait for that.
        engine.ask(EXAMPLE_QUESTION, top_k=1, answer="extractive")
        if engine.model:
            engine.model.prepare()
        failure = self_test(engine, engine.store)
        if failure is not None:
            raise IndexDamagedError(failure)

    def _on_progress(self, path: str, done: float, total: int) -> None:
        if self._stopping.is_set():
            raise StoppedError
        if done == 0:
            logger.info("there is no index yet: indexing %d files", total)
        self._reason = IndexMissingError(
            f"the corpus is being indexed, {int(done)} of {total} files are done; try again"
        )

    def _wait_because(self, reason: CitedQAError, delay_s: float) -> None:
        if str(reason) != str(self._reason):
            logger.warning("not ready: %s", reason)
        self._reason = reason
        self._stopping.wait(delay_s)


# What any route that uses the engine can answer instead; see `qa.errors`.
ENGINE_PROBLEMS = (
    "internal",
    "config",
    "encoder",
    "index-missing",
    "index-unusable",
    "index-mismatch",
    "index-damaged",
    "index-busy",
)


async def _startup(request: Request) -> Startup:
    startup = request.app.state.startup
    assert isinstance(startup, Startup)
    return startup


ServerStartup = Annotated[Startup, Depends(_startup)]


async def _changes(request: Request) -> CorpusEditor:
    changes = request.app.state.changes
    assert isinstance(changes, CorpusEditor)
    return changes


ServerChanges = Annotated[CorpusEditor, Depends(_changes)]


async def _engine(request: Request) -> Engine:
    # FastAPI takes 0.03 ms to look up each step of a way to it.
    return (await _startup(request)).engine


ReadyEngine = Annotated[Engine, Depends(_engine)]


async def _config(request: Request) -> Config:
    config = request.app.state.config
    assert isinstance(config, Config)
    return config


Configured = Annotated[Config, Depends(_config)]


async def _base_url(request: Request, config: Configured) -> str:
    return config.server.public_url or str(request.base_url)


# What links begin with that are followed outside the server's own pages.
BaseUrl = Annotated[str, Depends(_base_url)]


async def _overview(request: Request) -> Overview:
    overview = request.app.state.overview
    assert isinstance(overview, Overview)
    return overview


SharedOverview = Annotated[Overview, Depends(_overview)]
