"""What routes ask for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from qa.api.startup import Startup
from qa.configuration.config import Config
from qa.editing.editor import CorpusEditor
from qa.engine import Engine

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
