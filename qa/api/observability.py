"""What is measured of each request, and the figures for Prometheus."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from index.errors import CitedQAError
from qa.api.keys import Caller
from qa.editing.jobs import Jobs
from qa.engine import Engine
from qa.schemas import AskResponse, SearchResponse

# What nginx and others call it when the client went away first, or the connection broke.
ABORTED = 499
UNROUTED = "none"


@dataclass(slots=True)
class RequestRecord:
    """A request. `route` is its template, as in /v1/documents/{document_id}; times are of `perf_counter`."""

    scope: Scope
    began: float = field(default_factory=time.perf_counter)
    began_ns: int = field(default_factory=time.time_ns)
    status: int = ABORTED
    sent_bytes: int = 0
    duration_s: float = 0.0
    responses: list[EngineResponse] = field(default_factory=list)

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
        request_id = self.scope["state"].get("request_id")
        return str(request_id) if request_id else None

    @property
    def rejected(self) -> str | None:
        """Why it was turned away before a route saw it, or cut off."""
        reason = self.scope["state"].get("rejected")
        return str(reason) if reason else None


EngineResponse = AskResponse | SearchResponse
Sink = Callable[[RequestRecord], None]

current: ContextVar[RequestRecord | None] = ContextVar("record", default=None)


def note(response: EngineResponse) -> None:
    """Add an answer to the record of the request that it is for, if there is one."""
    record = current.get()
    if record is not None:
        record.responses.append(response)


def reject(scope: Scope, reason: str) -> None:
    """Note why a request is turned away."""
    scope["state"]["rejected"] = reason


SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STARTED = "process_start_time_seconds"


class Metrics:
    """What the service does, and the page that tells it."""

    def __init__(self, engine: Callable[[], Engine], jobs: Jobs) -> None:
        """`engine` gives the engine, or raises CitedQAError while there is none."""
        own = self._own = CollectorRegistry()
        self._engine, self._jobs = engine, jobs
        self._requests = Counter("cited_qa_requests", "Requests", ["method", "route", "status"], registry=own)
        self._seconds = Histogram(
            "cited_qa_request_seconds", "Time to the last byte", ["route"], buckets=_SECONDS, registry=own
        )
        self._running = Gauge(
            "cited_qa_requests_running", "Requests not yet answered", multiprocess_mode="livesum", registry=own
        )
        self._rejected = Counter(
            "cited_qa_rejected", "Requests turned away or cut off, by type of problem", ["reason"], registry=own
        )
        self._stages = Histogram(
            "cited_qa_stage_seconds", "Parts of finding an answer", ["stage"], buckets=_SECONDS, registry=own
        )
        self._answers = Counter(
            "cited_qa_answers", "Answers and refusals, with the reason", ["status", "reason", "kind"], registry=own
        )
        self._searches = Counter("cited_qa_searches", "Searches without an answer", registry=own)
        self._hits = Counter("cited_qa_hits", "Passages returned", registry=own)

    def begin(self) -> None:
        """Count a request that came."""
        self._running.inc()

    def end(self, record: RequestRecord) -> None:
        """Count a request that is over."""
        self._running.dec()
        method = record.method if record.method in _METHODS else "other"
        self._requests.labels(method, record.route, str(record.status)).inc()
        self._seconds.labels(record.route).observe(record.duration_s)
        if record.rejected:
            self._rejected.labels(record.rejected).inc()

    def answered(self, response: EngineResponse) -> None:
        """Count an answer, whichever way it was asked for."""
        self._hits.inc(len(response.hits))
        for stage, took_ms in response.timings_ms.items():
            self._stages.labels(stage).observe(took_ms / 1000)
        if isinstance(response, AskResponse):
            kind = response.answer.kind if response.answer else ""
            self._answers.labels(response.status, response.reason or "", kind).inc()
        else:
            self._searches.inc()

    def page(self) -> bytes:
        """The figures in Prometheus' text format."""
        shown = CollectorRegistry()
        folder = os.environ.get(SHARED_FOLDER)
        if folder:
            _forget_dead(Path(folder))
            MultiProcessCollector(shown, folder)  # type: ignore[no-untyped-call]
        else:
            shown.register(_Registered(self._own))
        shown.register(_Index(self._engine, self._jobs))
        shown.register(_Processes(_pids(Path(folder)) if folder else [os.getpid()]))
        return generate_latest(shown)


class _Registered(Collector):
    """The figures of a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        return iter(self._registry.collect())


class _Index(Collector):
    """What is indexed, and what waits to be."""

    def __init__(self, engine: Callable[[], Engine], jobs: Jobs) -> None:
        self._engine, self._jobs = engine, jobs

    def collect(self) -> Iterator[Metric]:
        with suppress(CitedQAError):
            waiting = self._jobs.count_left() if self._jobs.exists else 0
            yield GaugeMetricFamily("cited_qa_jobs_waiting", "Changes not yet in the index", waiting)
        try:
            store = self._engine().store
            documents, passages = store.counts()
        except CitedQAError:
            yield GaugeMetricFamily("cited_qa_index_loaded", "Whether an index is loaded", 0)
            return
        yield GaugeMetricFamily("cited_qa_index_loaded", "Whether an index is loaded", 1)
        yield GaugeMetricFamily("cited_qa_index_generation", "Generation of the index", store.generation)
        yield GaugeMetricFamily("cited_qa_index_documents", "Documents in the index", documents)
        yield GaugeMetricFamily("cited_qa_index_passages", "Passages in the index", passages)


class _Processes(Collector):
    """Memory, time and files of all workers together; memory that they share counts for each of them."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("cited_qa_workers", "Processes that answer", len(self._pids))
        metrics: dict[str, Metric] = {}
        values: dict[str, list[float]] = defaultdict(list)
        for pid in self._pids:
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                metrics[metric.name] = metric
                values[metric.name].append(metric.samples[0].value)
        for name, metric in metrics.items():
            total = min(values[name]) if name == _STARTED else sum(values[name])
            metric.samples = [metric.samples[0]._replace(value=total)]
            yield metric


def _pids(folder: Path) -> list[int]:
    """The processes that keep figures in a folder, and this one."""
    return sorted({int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*.db")} | {os.getpid()})


def _forget_dead(folder: Path) -> None:
    """Drop what workers that died said of themselves; what they counted stays."""
    for pid in _pids(folder):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another worker was faster
                mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


class Recording:
    """Measures each request and tells the sinks."""

    def __init__(self, app: ASGIApp, metrics: Metrics, sinks: Sequence[Sink]) -> None:
        self._app = app
        self._metrics = metrics
        self._sinks = [metrics.end, *sinks]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        record = RequestRecord(scope)
        self._metrics.begin()
        is_told = False
        status = ABORTED

        def tell() -> None:
            nonlocal is_told
            if not is_told:
                is_told = True
                record.duration_s = time.perf_counter() - record.began
                for sink in self._sinks:
                    sink(record)

        async def send_counted(message: Message) -> None:
            nonlocal status
            await send(message)
            if message["type"] == "http.response.start":
                status = message["status"]
                return
            record.sent_bytes += len(message.get("body", b""))
            if not message.get("more_body"):
                record.status = status
                tell()

        token = current.set(record)
        try:
            await self._app(scope, receive, send_counted)
        finally:
            current.reset(token)
            tell()
