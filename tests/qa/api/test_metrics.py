"""The figures, the log and the traces of a server."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from index.errors import ConfigError
from qa.api import sinks
from qa.api.logs import JsonLine, TextLine, configure, one_line
from qa.configuration.config import Config
from qa.configuration.settings import ServerConfig
from qa.schemas import EXAMPLE_QUESTION
from tests.qa.api.test_access import ADMIN, KEYS, READ, bearer, with_server
from tests.qa.servers import make_corpus, serving, wait_until

SECRET = "绝密的问题"


def figures(client: httpx.Client, headers: dict[str, str] | None = None) -> dict[str, float]:
    """Every sample by its name and labels."""
    text = client.get("/metrics", headers=headers).text
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class TestMetrics:
    @pytest.fixture
    def watched(self, seeds_config: Config) -> Iterator[httpx.Client]:
        with serving(seeds_config) as client:
            yield client

    def test_tell_what_was_asked_and_answered(self, watched):
        watched.post("/v1/ask", json={"query": EXAMPLE_QUESTION}).raise_for_status()
        watched.post("/v1/ask", json={"query": EXAMPLE_QUESTION, "stream": True}).raise_for_status()
        refused = watched.post("/v1/ask", json={"query": "火星上有几家咖啡馆"}).json()
        watched.post("/v1/search", json={"query": "工会", "top_k": 3}).raise_for_status()
        found = figures(watched)
        assert found["cited_qa_answers_total kind=extractive reason= status=answered"] == 2
        assert found[f"cited_qa_answers_total kind= reason={refused['reason']} status=no_answer"] == 1
        assert found["cited_qa_searches_total"] == 1
        assert found["cited_qa_requests_total method=POST route=/v1/ask status=200"] == 3
        assert found["cited_qa_request_seconds_count route=/v1/ask"] == 3
        assert found["cited_qa_stage_seconds_count stage=search"] == 3
        assert found["cited_qa_stage_seconds_count stage=total"] == 4
        assert found["cited_qa_hits_total"] == 5 + 5 + len(refused["hits"]) + 3

    def test_tell_what_is_indexed_and_what_it_costs(self, watched):
        index = watched.get("/readyz").json()["index"]
        found = figures(watched)
        assert found["cited_qa_index_generation"] == index["generation"]
        assert found["cited_qa_index_passages"] == index["passages"]
        assert found["cited_qa_index_documents"] == 6
        assert found["cited_qa_index_loaded"] == found["cited_qa_workers"] == 1
        assert found["cited_qa_requests_running"] == 1
        assert found["process_resident_memory_bytes"] > 10_000_000
        assert found["cited_qa_jobs_waiting"] == 0

    def test_have_few_labels_whatever_is_asked_for(self, watched):
        for number in range(20):
            watched.get(f"/nope/{number}")
            watched.get(f"/v1/documents/{number}")
            watched.get(f"/docs/assets/{number}")
            watched.request(f"M{number}", "/v1/ask")
        named = [name for name in figures(watched) if name.startswith("cited_qa_requests_total")]
        named = [name for name in named if "/readyz" not in name]
        assert sorted(named) == [
            "cited_qa_requests_total method=GET route=/docs/assets status=404",
            "cited_qa_requests_total method=GET route=/v1/documents/{document_id} status=404",
            "cited_qa_requests_total method=GET route=none status=404",
            "cited_qa_requests_total method=other route=/v1/ask status=405",
        ]

    def test_tell_of_rejections_and_never_of_keys(self, seeds_config):
        with serving(with_server(seeds_config, api_keys=KEYS, rate_limit="2/hour"), is_ready=False) as client:
            for _ in range(5):
                client.get("/v1/documents", headers=bearer(READ))
            assert client.get("/metrics").status_code == 401
            text = client.get("/metrics", headers=bearer(ADMIN)).text
            assert 'cited_qa_rejected_total{reason="too-many-requests"} 3.0' in text
            assert READ not in text and ADMIN not in text and "reader" not in text

    def test_before_there_is_an_index(self, tmp_path):
        config = make_corpus(tmp_path, "papers")
        (tmp_path / "papers").rmdir()
        with serving(config, is_ready=False) as client:
            found = figures(client)
        assert found["cited_qa_index_loaded"] == 0
        assert "cited_qa_index_generation" not in found


class Lines(logging.Handler):
    """Keeps log records as the JSON that they become."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._left_out = "nothing"

    def emit(self, record: logging.LogRecord) -> None:
        if self._left_out not in record.getMessage():
            self.text += JsonLine().format(record) + "\n"

    def start_after(self, path: str) -> None:
        """Forget all that came until now; requests to `path` are still to be written down, so they are left out."""
        self._left_out, self.text = path, ""

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def log() -> Iterator[Lines]:
    handler, logger = Lines(), logging.getLogger("qa")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


class TestLog:
    def test_has_one_line_a_request(self, seeds_config, log):
        with serving(with_server(seeds_config, api_keys=KEYS)) as client:
            log.start_after("/readyz")
            sent = {**bearer(READ), "X-Request-ID": "trace-7", "Accept-Encoding": "identity"}
            response = client.get("/v1/ask", params={"q": SECRET}, headers=sent)
        (line,) = log.lines
        assert (
            line.items()
            >= {
                "level": "INFO",
                "method": "GET",
                "route": "/v1/ask",
                "path": "/v1/ask",
                "status": 200,
                "key": "reader",
                "request_id": "trace-7",
                "bytes": len(response.content),
                "client": "127.0.0.1",
                "hits": 5,
                "answer": response.json()["status"],
            }.items()
        )
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
        assert line["duration_ms"] > 0
        assert SECRET not in log.text and READ not in log.text

    def test_has_the_question_only_when_configured(self, seeds_config, log):
        with serving(with_server(seeds_config, log_questions=True)) as client:
            client.post("/v1/ask", json={"query": SECRET})
            client.post("/v1/ask", json={"query": SECRET, "stream": True})
        asked = [line for line in log.lines if line.get("route") == "/v1/ask"]
        assert [line["question"] for line in asked] == [SECRET, SECRET]

    @pytest.mark.parametrize(
        "path", ["/a%0aINFO:%20b", "/a%0d%0ab", "/%1b[31m", "/%E2%80%A8x", "/%C2%85", "/" + "é" * 999]
    )
    def test_cannot_be_given_a_second_line(self, client, log, path):
        log.start_after("/readyz")
        client.get(path, headers={"X-Request-ID": "a\tb"})
        wait_until(lambda: bool(log.text))
        assert log.text.count("\n") == len(log.text.splitlines()) == 1
        (line,) = log.lines
        assert line["status"] == 404
        assert len(log.text) < 2000

    def test_says_why_a_request_was_rejected_and_when_a_client_went_away(self, seeds_config, log):
        with serving(with_server(seeds_config, rate_limit="1/hour"), is_ready=False) as client:
            client.get("/docs")
            client.get("/docs")
        assert [line.get("rejected") for line in log.lines if line.get("method")] == [None, "too-many-requests"]


@given(st.text())
def test_one_line_is_printable_json(text):
    line = one_line(json.dumps({"x": text}, ensure_ascii=False))
    assert line.isprintable()
    assert json.loads(line) == {"x": text}


def test_lines_hold_tracebacks():
    try:
        raise ValueError("a\nb")
    except ValueError:
        record = logging.getLogger("x").makeRecord(
            "x", logging.ERROR, __file__, 1, "failed\nor not", (), __import__("sys").exc_info()
        )
    line = JsonLine().format(record)
    assert "\n" not in line
    assert "ValueError" in json.loads(line)["exception"]
    first, *rest = TextLine().format(record).splitlines()
    assert first == "ERROR: failed\\nor not"
    assert rest and all(part.startswith("    ") for part in rest)


@pytest.mark.parametrize(
    ("kind", "line"),
    [("text", r"WARNING: a\\nb\n"), ("json", r'\{"time": .*"WARNING", "message": "a\\nb"\}\n'), (None, r"\{.*\}\n")],
)
def test_the_format_is_configured(capsys, kind, line):
    root = logging.getLogger()
    handlers, level = root.handlers[:], logging.getLogger("qa").level
    root.handlers.clear()
    try:
        configure(ServerConfig(log_format=kind))
        logging.getLogger("qa.somewhere").warning("a\nb")
    finally:
        root.handlers[:] = handlers
        logging.getLogger("qa").setLevel(level)
    assert re.fullmatch(line, capsys.readouterr().err)


class Collector:
    """An OpenTelemetry collector on loopback that keeps the spans it is sent."""

    def __init__(self) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        self.spans = spans = list[Any]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    spans.extend(span for scope in resource.scope_spans for span in scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class TestTraces:
    def test_are_sent_to_a_collector(self, seeds_config):
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        with Collector() as collector:
            with serving(with_server(seeds_config, otlp_endpoint=collector.address)) as client:
                sent = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "X-Request-ID": "trace-7"}
                client.post("/v1/ask", json={"query": SECRET}, headers=sent)
            wait_until(lambda: any(span.name == "POST /v1/ask" for span in collector.spans))
        (request,) = (span for span in collector.spans if span.name == "POST /v1/ask")
        assert (request.trace_id.hex(), request.parent_span_id.hex()) == (trace, "00f067aa0ba902b7")
        (search,) = (span for span in collector.spans if span.name == "search")
        assert search.parent_span_id == request.span_id
        assert request.start_time_unix_nano <= search.start_time_unix_nano <= search.end_time_unix_nano
        assert search.end_time_unix_nano <= request.end_time_unix_nano
        attributes = {each.key: each.value for each in request.attributes}
        assert attributes["http.response.status_code"].int_value == 200
        assert attributes["cited_qa.request_id"].string_value == "trace-7"
        assert SECRET not in str(collector.spans)

    def test_need_the_extra(self, seeds_config, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
        with pytest.raises(ConfigError, match=r"server\.otlp_endpoint: .*pip install 'cited-qa\[otel\]'"):
            sinks.Tracer("http://127.0.0.1:1")
