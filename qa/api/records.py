"""One record a request: what logs, metrics and traces tell of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlette.types import Scope

from qa.api.access import Caller
from qa.schemas import AskResponse, SearchResponse

# What nginx and others call it when the client went away first, or the connection broke.
ABORTED = 499
UNROUTED = "none"


@dataclass(slots=True)
class Record:
    """A request. `route` is its template, as in /v1/documents/{document_id}; times are of `perf_counter`."""

    scope: Scope
    began: float = field(default_factory=time.perf_counter)
    began_ns: int = field(default_factory=time.time_ns)
    status: int = ABORTED
    sent_bytes: int = 0
    duration_s: float = 0.0
    responses: list[Found] = field(default_factory=list)

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """The path as it was asked for, without the question that may follow it."""
        return str(self.scope["path"])

    @property
    def route(self) -> str:
        """One of few, whatever was asked for."""
        if "route" in self.scope:
            return str(self.scope["route"].path)
        return self.scope["root_path"] if "endpoint" in self.scope and self.scope["root_path"] else UNROUTED

    @property
    def client(self) -> str | None:
        return self.scope["client"][0] if self.scope.get("client") else None

    @property
    def key(self) -> str | None:
        """The name of the key that came with it."""
        caller = self.scope["state"].get("caller")
        return caller.name if isinstance(caller, Caller) else None

    @property
    def request_id(self) -> str | None:
        found = self.scope["state"].get("request_id")
        return str(found) if found else None

    @property
    def rejected(self) -> str | None:
        """Why it was turned away before a route saw it, or cut off."""
        found = self.scope["state"].get("rejected")
        return str(found) if found else None


Found = AskResponse | SearchResponse
Sink = Callable[[Record], None]

current: ContextVar[Record | None] = ContextVar("record", default=None)


def note(response: Found) -> None:
    """Add an answer to the record of the request that it is for, if there is one."""
    record = current.get()
    if record is not None:
        record.responses.append(response)


def reject(scope: Scope, reason: str) -> None:
    """Note why a request is turned away."""
    scope["state"]["rejected"] = reason
