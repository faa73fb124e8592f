from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from qa.api.questions import EXAMPLE_RESPONSE
from qa.chat.errors import DIFY, dialect_of
from qa.schemas import EXAMPLE_QUESTION

KINDS = {
    "POST /v1/ask": {"application/json", "text/event-stream"},
    "POST /v1/chat/completions": {"application/json", "text/event-stream"},
    "GET /v1/documents/{document_id}/text": {"text/plain"},
    "GET /metrics": {"text/plain"},
}
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def openapi(client) -> dict[str, Any]:
    return client.get("/openapi.json").json()


def operations(openapi: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            assert method in METHODS
            yield f"{method.upper()} {path}", operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_the_page_is_at_home_and_leads_here(client):
    assert "<main" in client.get("/").text
    assert 'href: address("docs")' in client.get("/web/main.js").text
    assert "SwaggerUIBundle" in client.get("/docs").text


def test_page_needs_no_other_host(client):
    page = client.get("/docs").text
    assert not re.search(r"""(?:https?:)?//[\w.-]+\.\w""", page)
    addresses = re.findall(r"""(?:src|href)="([^"]+)"|url: '([^']+)'""", page)
    local = [src or url for src, url in addresses if src != "data:,"]
    assert len(local) == 3
    for address in local:
        response = client.get(f"/{address}")
        assert response.status_code == 200
        assert len(response.content) > 1000
    assert '"validatorUrl": null' in page


def test_page_has_a_swagger_ui_that_reads_openapi_3_1(client, openapi):
    assert openapi["openapi"].startswith("3.1")
    bundle = client.get("/docs/assets/swagger-ui-bundle.js").text
    major, minor = re.search(r'PACKAGE_VERSION:"(\d+)\.(\d+)', bundle).groups()
    assert (int(major), int(minor)) >= (5, 0)


def test_routes_are_those_of_the_contract(openapi):
    assert {name for name, _ in operations(openapi)} == {
        "POST /v1/ask",
        "GET /v1/ask",
        "POST /v1/search",
        "GET /v1/documents",
        "GET /v1/documents/{document_id}",
        "GET /v1/documents/{document_id}/text",
        "GET /v1/documents/{document_id}/passages",
        "POST /v1/documents",
        "DELETE /v1/documents/{document_id}",
        "POST /v1/index",
        "GET /v1/jobs",
        "GET /v1/jobs/{job_id}",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        "GET /v1/models",
        "GET /v1/models/{model}",
        "POST /v1/chat/completions",
        "POST /retrieval",
        "GET /v1/documents/{document_id}/outline",
        "GET /v1/examples",
        "GET /v1/map",
        "POST /v1/why-not",
    }


def test_every_operation_is_described(openapi):
    ids = [operation["operationId"] for _, operation in operations(openapi)]
    assert len(set(ids)) == len(ids)
    tags = {tag["name"] for tag in openapi["tags"]}
    for name, operation in operations(openapi):
        assert operation["summary"], name
        assert operation["description"], name
        assert set(operation["tags"]) <= tags, name


def test_every_reference_resolves(openapi):
    found = set(references(openapi))
    assert "#/components/schemas/Problem" in found
    for reference in found:
        node = openapi
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("POST /v1/ask", {"200", "400", "413", "422", "500", "503"}),
        ("GET /v1/ask", {"200", "422", "500", "503"}),
        ("POST /v1/search", {"200", "400", "413", "422", "500", "503"}),
        ("GET /v1/documents", {"200", "422", "500", "503"}),
        ("GET /v1/documents/{document_id}", {"200", "304", "404", "500", "503"}),
        ("GET /v1/documents/{document_id}/text", {"200", "304", "404", "422", "500", "503"}),
        ("GET /v1/documents/{document_id}/passages", {"200", "304", "404", "422", "500", "503"}),
        ("POST /v1/documents", {"202", "400", "403", "409", "413", "415", "422", "500", "503", "507"}),
        ("DELETE /v1/documents/{document_id}", {"202", "403", "404", "409", "412", "500", "503", "507"}),
        ("POST /v1/index", {"202", "400", "409", "413", "422", "500", "503", "507"}),
        ("GET /v1/jobs", {"200", "422", "500", "503", "507"}),
        ("GET /v1/jobs/{job_id}", {"200", "404", "500", "503", "507"}),
        ("GET /v1/documents/{document_id}/outline", {"200", "404", "500", "503"}),
        ("GET /v1/examples", {"200", "500", "503"}),
        ("GET /v1/map", {"200", "422", "500", "503"}),
        ("POST /v1/why-not", {"200", "400", "404", "413", "422", "500", "503"}),
        ("GET /healthz", {"200"}),
        ("GET /readyz", {"200", "500", "503"}),
        ("GET /metrics", {"200"}),
        ("GET /v1/models", {"200"}),
        ("GET /v1/models/{model}", {"200", "404"}),
        ("POST /v1/chat/completions", {"200", "400", "404", "413", "500", "503"}),
        ("POST /retrieval", {"200", "400", "404", "413", "500", "503"}),
    ],
)
def test_every_status_is_listed(openapi, name, statuses):
    operation = dict(operations(openapi))[name]
    dialect = dialect_of(name.partition(" ")[2])
    common = {"403", "421", "429", "503", "504"}
    common |= {"401"} if "security" in operation and dialect is not DIFY else set()
    common |= {"408"} if "requestBody" in operation else set()
    assert operation["responses"].keys() == statuses | common
    for status, response in operation["responses"].items():
        kinds = set(response.get("content", ()))
        if status == "304":
            assert not kinds
        elif int(status) >= 400:
            assert kinds == {"application/json" if dialect else "application/problem+json"}
        else:
            assert kinds == KINDS.get(name, {"application/json"})


def test_request_example_works(client, openapi):
    body = openapi["paths"]["/v1/ask"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    example = openapi["components"]["schemas"][body["$ref"].rpartition("/")[2]]["examples"][0]
    assert example["query"] == EXAMPLE_QUESTION
    response = client.post("/v1/ask", json=example)
    assert response.status_code == 200
    assert response.json()["status"] == "answered"


def test_address_example_works(client, openapi):
    parameters = {found["name"]: found for found in openapi["paths"]["/v1/ask"]["get"]["parameters"]}
    example = parameters["q"]["schema"]["example"]
    assert example == EXAMPLE_QUESTION
    assert client.get("/v1/ask", params={"q": example}).status_code == 200


def test_response_example_is_true(client):
    found = client.post("/v1/ask", json={"query": EXAMPLE_QUESTION}).json()
    example = EXAMPLE_RESPONSE
    assert example.answer.value == found["answer"]["value"]
    cited = example.citations[0]
    span = {"start": cited.start, "end": cited.end}
    assert client.get(f"/v1/documents/{cited.document_id}/text", params=span).text == cited.quote
    assert cited.url.partition("?")[0] == found["citations"][0]["url"].partition("?")[0]
    place = ("document_id", "path", "title", "heading_path")
    assert [getattr(cited, name) for name in place] == [found["citations"][0][name] for name in place]
