"""An engine that tells of each response it gives, whichever way it was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from qa.answering.responses import Part
from qa.api.records import Found
from qa.configuration.config import Config
from qa.engine import Engine
from qa.schemas import AskResponse, SearchResponse

Listener = Callable[[Found], None]


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
