"""A span for each request and one for each stage of its answer, sent to an OpenTelemetry collector over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from starlette.datastructures import Headers

from index.errors import ConfigError
from qa.api.records import Record

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

    def __call__(self, record: Record) -> None:
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
