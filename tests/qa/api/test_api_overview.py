"""Routes that the page lives on: outline, why-not, examples, and the links in citations."""

from __future__ import annotations

import pytest

from qa.engine import Engine
from tests.conftest import CANONICAL
from tests.qa.api.test_api_errors import assert_problem
from tests.qa.servers import serving


def test_why_not_over_http(client):
    document = client.get("/v1/documents", params={"q": "武威"}).json()["documents"][0]["id"]
    found = client.post("/v1/why-not", json={"query": CANONICAL, "document": document}).json()
    assert found["document_id"] == document and found["rank"] != 1
    assert found["first"]["explain"]["points"] and found["reasons"]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"query": CANONICAL}, 422, "invalid-request"),
        ({"query": "", "document": "x"}, 422, "invalid-request"),
        ({"query": CANONICAL, "document": "no such"}, 404, "document-not-found"),
        ({"query": CANONICAL, "document": "x", "top_k": 3}, 422, "invalid-request"),
    ],
)
def test_why_not_refuses(client, body, status, kind):
    assert_problem(client.post("/v1/why-not", json=body), status, kind)


def test_outline_of_no_document(client):
    assert_problem(client.get("/v1/documents/nothing/outline"), 404, "document-not-found")


def test_map_refuses_what_it_does_not_know(client):
    assert_problem(client.get("/v1/map", params={"zoom": 3}), 422, "invalid-request")


def test_links_of_citations_lead_to_the_page(client, seeds_config):
    (cited,) = client.post("/v1/ask", json={"query": CANONICAL}).json()["citations"]
    assert cited["url"] == f"/documents/{cited['document_id']}?start={cited['start']}&end={cited['end']}"
    assert '<base href="../">' in client.get(cited["url"]).text
    server = seeds_config.server.model_copy(update={"public_url": "https://qa.example.org/ask/"})
    public = Engine(seeds_config.model_copy(update={"server": server}))
    assert public.ask(CANONICAL).citations[0].url == f"https://qa.example.org/ask{cited['url']}"


def test_the_page_works_behind_a_prefix(seeds_config):
    """Every address in the shell is relative to where it was served, so that a proxy may add to the path."""
    with serving(seeds_config) as client:
        for path, base in (("/", "./"), ("/documents", "./"), ("/map", "./"), ("/documents/x", "../")):
            page = client.get(path).text
            assert f'<base href="{base}">' in page
            assert 'href="/' not in page and 'src="/' not in page
