"""Who is told of each request that is over: the log on stderr, and an OpenTelemetry collector."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from starlette.datastructures import Headers

from index.errors import ConfigError
from qa.api.observability import RequestRecord
from qa.configuration.settings import ServerConfig
from qa.schemas import AskResponse

_access = logging.getLogger("qa.access")
_MAX_PATH_CHARS = 200


class AccessLog:
    """One line a request. Questions are left out unless `log_questions`; keys are never seen, only their names."""

    def __init__(self, server: ServerConfig) -> None:
        self._with_questions = server.log_questions

    def __call__(self, record: RequestRecord) -> None:
        if not _access.isEnabledFor(logging.INFO):
            return
        path, took_ms = record.path[:_MAX_PATH_CHARS], round(1000 * record.duration_s, 1)
        fields: dict[str, Any] = {
            "method": record.method,
            "route": record.route,
            "path": path,
            "status": record.status,
            "duration_ms": took_ms,
            "bytes": record.sent_bytes,
            "client": record.client,
            "key": record.key,
            "request_id": record.request_id,
            "rejected": record.rejected,
        }
        if record.responses:
            fields |= self._answered(record)
        message = f"{record.method} {path} {record.status} {took_ms} ms"
        _access.info(
            "%s", message, extra={"fields": {name: value for name, value in fields.items() if value is not None}}
        )

    def _answered(self, record: RequestRecord) -> dict[str, Any]:
        last = record.responses[-1]
        fields: dict[str, Any] = {"hits": len(last.hits), "generation": last.index.generation}
        if isinstance(last, AskResponse):
            fields |= {"answer": last.status, "reason": last.reason}
        return fields | ({"question": last.query} if self._with_questions else {})


_NS_PER_MS = 1_000_000
_FAILED = 500


class Tracer:
    """Tells a collector of each request. Where a client sends `traceparent`, its trace is gone on with."""

    def __init__(self, endpoint: str) -> None:
        """`endpoint` is the collector's base address, as in http://127.0.0.1:4318.

        Raises:
            ConfigError: OpenTelemetry is not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as exc:
            raise ConfigError(
                "server.otlp_endpoint: OpenTelemetry is not installed; run: pip install 'cited-qa[otel]', or unset it"
            ) from exc
        service = {"service.name": "cited-qa", "service.version": version("cited-qa")}
        self._provider = TracerProvider(resource=Resource.create(service))
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("qa.api")

    def __call__(self, record: RequestRecord) -> None:
        """Make the spans of a request that is over."""
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

        parent = extract(dict(Headers(scope=record.scope)))
        attributes: dict[str, str | int] = {
            "http.request.method": record.method,
            "http.route": record.route,
            "url.path": record.path,
            "http.response.status_code": record.status,
            "http.response.body.size": record.sent_bytes,
            "client.address": record.client or "",
            "cited_qa.request_id": record.request_id or "",
        }
        span = self._tracer.start_span(
            f"{record.method} {record.route}", parent, SpanKind.SERVER, attributes, start_time=record.began_ns
        )
        if record.status >= _FAILED:
            span.set_status(Status(StatusCode.ERROR))
        end_ns = record.began_ns + int(record.duration_s * 1000 * _NS_PER_MS)
        for response in record.responses:
            stages = {name: ms for name, ms in response.timings_ms.items() if name != "total"}
            at_ns = end_ns - int(response.timings_ms.get("total", 0) * _NS_PER_MS)
            for name, took_ms in stages.items():  # they follow each other
                child = self._tracer.start_span(name, set_span_in_context(span), start_time=max(at_ns, record.began_ns))
                at_ns += int(took_ms * _NS_PER_MS)
                child.end(at_ns)
        span.end(end_ns)

    def close(self) -> None:
        """Send what has not been sent."""
        self._provider.shutdown()


def make_tracer(endpoint: str | None) -> tuple[list[Tracer], Callable[[], None]]:
    """The tracer, if one is configured, and what to call at the end."""
    if not endpoint:
        return [], lambda: None
    tracer = Tracer(endpoint)
    return [tracer], tracer.close
