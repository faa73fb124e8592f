from __future__ import annotations

import hashlib
from typing import Any

import httpx
import pytest

from qa.configuration.config import Config


def pages(client: httpx.Client, limit: int) -> list[list[dict[str, Any]]]:
    found, cursor = [], ""
    while cursor is not None:
        page = client.get("/v1/documents", params={"limit": limit, "cursor": cursor}).json()
        found.append(page["documents"])
        cursor = page["next_cursor"]
    return found


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 6), (4, [4, 2]), (6, [6]), (1000, [6])])
def test_pages_hold_each_document_once(client, limit, sizes):
    found = pages(client, limit)
    assert [len(page) for page in found] == sizes
    ids = [document["id"] for page in found for document in page]
    assert ids == sorted(set(ids))


def test_first_page_needs_no_parameters(client):
    found = client.get("/v1/documents").json()
    assert len(found["documents"]) == 6
    assert found["next_cursor"] is None


def test_cursor_past_the_end_gives_an_empty_page(client):
    assert client.get("/v1/documents", params={"cursor": "zzzz"}).json() == {"documents": [], "next_cursor": None}


def test_document_is_described_as_in_the_list(client):
    for document in client.get("/v1/documents").json()["documents"]:
        assert client.get(f"/v1/documents/{document['id']}").json() == document
        assert document["passages"] > 0


def test_text_is_the_file_without_its_byte_order_mark(client, seeds_config: Config):
    for document in client.get("/v1/documents").json()["documents"]:
        data = (seeds_config.base / document["path"]).read_bytes()
        response = client.get(f"/v1/documents/{document['id']}/text")
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.content == data.removeprefix(b"\xef\xbb\xbf")
        assert document["sha256"] == hashlib.sha256(data).hexdigest()
        assert document["size"] == len(data)


@pytest.fixture(scope="module")
def note(client) -> dict[str, Any]:
    return next(found for found in client.get("/v1/documents").json()["documents"] if found["collection"] == "notes")


@pytest.mark.parametrize(
    "bounds", [(0, 0), (0, 1), (3, 40), (40, 60), (None, 10), (50, None), (None, None), (-1, None)]
)
def test_slice_counts_code_points(client, note, bounds):
    text = client.get(f"/v1/documents/{note['id']}/text").text
    assert "📚" in text
    start, end = bounds
    start = len(text) if start == -1 else start
    params = {name: value for name, value in (("start", start), ("end", end)) if value is not None}
    assert client.get(f"/v1/documents/{note['id']}/text", params=params).text == text[start:end]


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"start": 5, "end": 3}, "start"),
        ({"end": 10**6}, "end"),
        ({"start": 10**6}, "start"),
        ({"start": -1}, "start"),
        ({"end": -1}, "end"),
        ({"start": "a"}, "start"),
        ({"start": 10**30}, "start"),
        ({"begin": 1}, "begin"),
    ],
)
def test_impossible_slice_is_refused(client, note, params, named):
    response = client.get(f"/v1/documents/{note['id']}/text", params=params)
    assert response.status_code == 422
    assert response.json()["detail"].startswith(f"{named}: ")


@pytest.mark.parametrize("document_id", ["nope", "0" * 16, "%00", "%ff", "'; DROP TABLE documents; --", "资料"])
@pytest.mark.parametrize("suffix", ["", "/text"])
def test_unknown_document(client, document_id, suffix):
    response = client.get(f"/v1/documents/{document_id}{suffix}")
    assert response.status_code == 404
    assert response.json()["type"] == "/problems/document-not-found"
    assert "GET /v1/documents" in response.json()["detail"]


@pytest.mark.parametrize("suffix", ["", "/text", "/text?start=3&end=9", "/passages"])
def test_what_has_not_changed_is_not_sent_again(client, note, suffix):
    address = f"/v1/documents/{note['id']}{suffix}"
    first = client.get(address)
    etag = first.headers["etag"]
    assert etag.startswith('"')
    assert first.headers["cache-control"] == "no-cache"
    for header in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        again = client.get(address, headers={"If-None-Match": header})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert client.get(address, headers={"If-None-Match": '"x"'}).content == first.content


def test_every_answer_about_documents_says_its_generation(client, note):
    generation = str(client.get("/readyz").json()["index"]["generation"])
    for address in ("", f"/{note['id']}", f"/{note['id']}/text", f"/{note['id']}/passages"):
        assert client.get(f"/v1/documents{address}").headers["x-index-generation"] == generation


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
def test_passages_are_the_document_in_reading_order(client, limit):
    for document in client.get("/v1/documents").json()["documents"]:
        text = client.get(f"/v1/documents/{document['id']}/text").text
        found, cursor = [], ""
        while cursor is not None:
            page = client.get(
                f"/v1/documents/{document['id']}/passages", params={"limit": limit, "cursor": cursor}
            ).json()
            assert 0 < len(page["passages"]) <= limit
            found += page["passages"]
            cursor = page["next_cursor"]
            if limit == 1 and len(found) == 5:
                break
        else:
            assert len(found) == document["passages"]
        assert all(text[passage["start"] : passage["end"]] == passage["text"] for passage in found)
        assert [passage["start"] for passage in found] == sorted(passage["start"] for passage in found)


@pytest.mark.parametrize("cursor", ["a", "-1", "1.5", "²", "١", "1" * 5000])
def test_passages_after_a_strange_cursor(client, note, cursor):
    response = client.get(f"/v1/documents/{note['id']}/passages", params={"cursor": cursor})
    if cursor.startswith("1111"):
        assert response.json() == {"passages": [], "next_cursor": None}
    else:
        assert response.status_code == 422
        assert response.json()["detail"].startswith("cursor: ")


@pytest.mark.parametrize(
    ("q", "count"), [("library", 1), ("LIBRARY", 1), ("notes/", 1), ("seeds/", 5), ("總工會", 4), ("%", 0), ("", 6)]
)
def test_documents_are_looked_for_in_title_and_path(client, q, count):
    assert len(client.get("/v1/documents", params={"q": q}).json()["documents"]) == count


def test_pages_of_documents_looked_for(client):
    params = {"q": "seeds/", "limit": 2}
    found = []
    while True:
        page = client.get("/v1/documents", params=params).json()
        found += [document["path"] for document in page["documents"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert len(found) == 5
