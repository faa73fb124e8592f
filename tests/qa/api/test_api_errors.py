from __future__ import annotations

import json
import re
import socket
from typing import Any

import httpx
import pytest

from index import errors
from qa.api.problems import TYPE_PREFIX, problem_table
from qa.errors import MEANINGS
from qa.schemas import EXAMPLE_QUESTION, MAX_QUERY_CHARS
from tests.qa.servers import serving

JSON = {"Content-Type": "application/json"}


def filtered(**filters: Any) -> str:
    return json.dumps({"query": "x", "filters": filters})


def assert_problem(response: httpx.Response, status: int, name: str) -> str:
    """The problem's detail, when the response is this problem and looks as all problems must."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body.keys() == {"type", "title", "status", "detail"}
    assert (body["type"], body["status"]) == (f"/problems/{name}", status)
    assert body["detail"].strip()
    assert "\n" not in body["detail"]
    assert "Traceback" not in response.text
    return body["detail"]


@pytest.mark.parametrize("route", ["/v1/ask", "/v1/search"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param('{"query": ""}', "query: is empty", id="empty"),
        pytest.param('{"query": " \\u3000\\n"}', "query: is empty", id="blank"),
        pytest.param(json.dumps({"query": "问" * 100_000}), str(MAX_QUERY_CHARS), id="100,000 characters"),
        pytest.param('{"query": "x", "top_k": 0}', "top_k: ", id="top_k 0"),
        pytest.param('{"query": "x", "top_k": -1}', "top_k: ", id="top_k -1"),
        pytest.param('{"query": "x", "top_k": 1000}', "top_k: .*100.*1000", id="top_k 1000"),
        pytest.param('{"query": "x", "top_k": 1.5}', "top_k: ", id="top_k fraction"),
        pytest.param('{"query": "x", "top_k": "many"}', "top_k: .*many", id="top_k word"),
        pytest.param('{"query": "x", "top_k": NaN}', "top_k: ", id="top_k NaN"),
        pytest.param('{"query": "x", "top_k": null}', "top_k: ", id="top_k null"),
        pytest.param("{}", "query: is missing; add it", id="no query"),
        pytest.param('{"query": 5}', "query: ", id="query number"),
        pytest.param('{"query": ["x"]}', "query: ", id="query list"),
        pytest.param('{"query": "x", "topk": 3}', "topk: .*did you mean 'top_k'", id="unknown field"),
        pytest.param('{"query": "x", "collection": ["a"]}', "collection: .*'filters.collection'", id="misplaced field"),
        pytest.param('{"query": "x", "filters": {"paht": "a"}}', "filters.paht: .*'filters.path'", id="unknown filter"),
        pytest.param('{"query": "x", "filters": {"collection": "a"}}', "filters.collection: ", id="filter not a list"),
        pytest.param('{"query": "x", "filters": {"path": 3}}', "filters.path: ", id="path not a string"),
        pytest.param(filtered(path="*a" * 60_000), "filters.path: ", id="path long"),
        pytest.param(filtered(document_id=["a"] * 50_000), "filters.document_id: ", id="many ids"),
        pytest.param(r'{"query": "\ud800"}', "query: .*surrogate", id="surrogate in query"),
        pytest.param(filtered(path="\ud800"), "filters.path: .*surrogate", id="surrogate in path"),
        pytest.param(filtered(collection=["\ud800"]), "filters.collection.0: .*surrogate", id="surrogate in list"),
        pytest.param(r'{"query": "x", "\ud800": 1}', "body: .*surrogate", id="surrogate in a name"),
        pytest.param('{"query": "x", "a\\nb": 1}', "a b: ", id="line break in a name"),
        pytest.param("[]", "body: must be a JSON object", id="list"),
        pytest.param("null", "body: must be a JSON object", id="null"),
        pytest.param('"x"', "body: must be a JSON object", id="string"),
        pytest.param("", "body: must be a JSON object", id="no body"),
    ],
)
def test_unacceptable_request(client, route, body, said):
    detail = assert_problem(client.post(route, content=body, headers=JSON), 422, "invalid-request")
    assert re.search(said, detail), detail
    assert len(detail) < 500


@pytest.mark.parametrize("answer", ["generated", "none"])
def test_unknown_kind_of_answer(client, answer):
    response = client.post("/v1/ask", json={"query": "x", "answer": answer})
    assert "answer: " in assert_problem(response, 422, "invalid-request")


def test_contract_defaults_are_accepted(client):
    body = {"query": EXAMPLE_QUESTION, "top_k": 5, "filters": None, "answer": "extractive", "stream": False}
    assert client.post("/v1/ask", json={**body, "explain": False}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"query": ',
        b"{'query': 'x'}",
        b"query=x",
        b'{"query": "\xff\xfe"}',
        b"[" * 100_000,
        b'{"query":"x"} x',
        b'{"query": "x", "top_k": ' + b"9" * 5000 + b"}",
    ],
    ids=["brace", "cut off", "single quotes", "form", "not UTF-8", "deep", "trailing", "long number"],
)
def test_malformed_json(client, body):
    response = client.post("/v1/ask", content=body, headers=JSON)
    assert assert_problem(response, 400, "malformed-json").startswith("body: ")


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_body_that_is_not_declared_as_json(client, content_type):
    response = client.post("/v1/ask", content=b'{"query": "x"}', headers={"Content-Type": content_type})
    assert "Content-Type: application/json" in assert_problem(response, 422, "invalid-request")


@pytest.mark.parametrize(
    "query",
    [
        "\x00",
        "a\x00b",
        "\ufffd",
        "\uffff",
        "\U0010ffff",
        "\u202e倒",
        "é" * 1000,
        "\U0001f469\u200d\U0001f467",
        "'\"\\;--",
        "AND OR NOT (",
        "*:*",
        "\u3000问\u3000",
        "?" * MAX_QUERY_CHARS,
    ],
)
def test_odd_text_is_searched_like_any_other(client, query):
    response = client.post("/v1/ask", json={"query": query})
    assert response.status_code == 200, response.text
    assert response.json()["query"] == query


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "q: is missing"),
        ({"q": ""}, "is empty"),
        ({"q": "x", "top_k": "0"}, "top_k: "),
        ({"q": "x", "top_k": "1000"}, "top_k: .*1000"),
        ({"q": "x", "top_k": "a"}, "top_k: .*a"),
        ({"q": "x", "topk": "3"}, "topk: .*'top_k'"),
        ({"q": "x", "path": "*a" * 2000}, "path: "),
        ({"q": "x" * (MAX_QUERY_CHARS + 1)}, str(MAX_QUERY_CHARS)),
    ],
)
def test_unacceptable_address(client, params, said):
    detail = assert_problem(client.get("/v1/ask", params=params), 422, "invalid-request")
    assert re.search(said, detail), detail


def test_question_of_100_000_characters_in_the_address(client):
    # httpx refuses to send it, so it is sent by hand.
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.sendall(
            b"GET /v1/ask?q=%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" % (b"%E5%85%B0" * 100_000)
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert b"/problems/invalid-request" in answer


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 1001}, {"limit": "a"}, {"cursr": "a"}])
def test_unacceptable_page(client, params):
    detail = assert_problem(client.get("/v1/documents", params=params), 422, "invalid-request")
    assert detail.startswith(next(iter(params)))


@pytest.mark.parametrize("path", ["/nope", "/v1", "/v1/ask/x", "/docs/assets/nope.js", "/v1/documents/a/b", "/%ff"])
def test_unknown_address(client, path):
    assert "/docs" in assert_problem(client.get(path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/ask", "GET, POST"),
        ("GET", "/v1/search", "POST"),
        ("PUT", "/v1/documents", "GET, POST"),
        ("POST", "/healthz", "GET"),
        ("PATCH", "/v1/documents/a/text", "GET"),
    ],
)
def test_wrong_method(client, method, path, allowed):
    response = client.request(method, path)
    assert allowed in assert_problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize("size", [1_000_001, 5_000_000, 40_000_000])
def test_large_body(client, size):
    response = client.post("/v1/ask", content=b" " * size, headers=JSON)
    assert "1000000 bytes" in assert_problem(response, 413, "body-too-large")


def test_large_body_of_unknown_length(client):
    response = client.post("/v1/ask", content=(b" " * 100_000 for _ in range(20)), headers=JSON)
    assert_problem(response, 413, "body-too-large")


def test_largest_body_is_read(client):
    body = json.dumps({"query": EXAMPLE_QUESTION}).encode()
    response = client.post("/v1/ask", content=body.ljust(1_000_000), headers=JSON)
    assert response.status_code == 200


def test_unexpected_error_is_logged_and_not_shown(seeds_config, caplog):
    def fail() -> None:
        raise RuntimeError("secret of the house")

    with serving(seeds_config, extend=lambda app: app.add_api_route("/fail", fail)) as client:
        response = client.get("/fail", headers={"X-Request-ID": "trace-500"})
        assert_problem(response, 500, "internal")
        assert client.get("/readyz").status_code == 200
    assert "secret" not in response.text
    assert response.headers["x-request-id"] == "trace-500"
    (record,) = [record for record in caplog.records if record.name == "qa.serving.app"]
    assert "trace-500" in record.getMessage()
    assert "secret of the house" in str(record.exc_info)


def test_nothing_breaks_the_server_for_the_next_client(client):
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/healthz"), ("GET", "/nope"), ("POST", "/v1/ask"), ("GET", "/docs")]
)
class TestRequestId:
    def test_is_echoed(self, client, method, path):
        response = client.request(method, path, headers={"X-Request-ID": "trace-1:a.b"})
        assert response.headers["x-request-id"] == "trace-1:a.b"

    @pytest.mark.parametrize("sent", [{}, {"X-Request-ID": ""}, {"X-Request-ID": "a b"}, {"X-Request-ID": "a" * 200}])
    def test_is_made_where_none_is_usable(self, client, method, path, sent):
        ids = {client.request(method, path, headers=sent).headers["x-request-id"] for _ in range(3)}
        assert len(ids) == 3
        assert all(re.fullmatch(r"[0-9a-f]{32}", found) for found in ids)


def subclasses(cls: type[Any]) -> set[type[Any]]:
    return {cls}.union(*(subclasses(sub) for sub in cls.__subclasses__()))


def test_every_error_has_a_problem_type():
    own = {cls for cls in subclasses(errors.CitedQAError) if cls.__module__ == errors.__name__}
    assert own == set(MEANINGS)
    assert all(f"`{TYPE_PREFIX}{found.type}`" in problem_table() for found in MEANINGS.values())
