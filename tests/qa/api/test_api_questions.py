from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from qa.schemas import EXAMPLE_QUESTION, AskResponse, SearchResponse

LANZHOU = "seeds/000_ae71b4d254c1ee34.txt"


def ask(client: httpx.Client, query: str, **options: Any) -> dict[str, Any]:
    response = client.post("/v1/ask", json={"query": query, **options})
    assert response.status_code == 200, response.text
    AskResponse.model_validate(response.json())
    return response.json()


def search(client: httpx.Client, query: str, **options: Any) -> dict[str, Any]:
    response = client.post("/v1/search", json={"query": query, **options})
    assert response.status_code == 200, response.text
    SearchResponse.model_validate(response.json())
    return response.json()


def document_text(client: httpx.Client, document_id: str) -> str:
    return client.get(f"/v1/documents/{document_id}/text").text


def assert_places_are_exact(client: httpx.Client, found: dict[str, Any]) -> None:
    for hit in found["hits"]:
        text = document_text(client, hit["document_id"])
        assert text[hit["start"] : hit["end"]] == hit["text"]
        assert all(hit["start"] <= start < end <= hit["end"] for start, end in hit["highlights"])
        assert all(0 <= copy["start"] < copy["end"] for copy in hit["also_in"])
    for citation in found.get("citations", []):
        text = document_text(client, citation["document_id"])
        assert text[citation["start"] : citation["end"]] == citation["quote"]
        span = {"start": citation["start"], "end": citation["end"]}
        assert client.get(f"/v1/documents/{citation['document_id']}/text", params=span).text == citation["quote"]
        assert citation["url"].startswith(f"/documents/{citation['document_id']}?start=")


def test_canonical_question_is_answered_with_its_source(client):
    found = ask(client, EXAMPLE_QUESTION)
    assert found["status"] == "answered"
    assert found["answer"]["value"] == "1097名"
    assert "1097名" in found["answer"]["text"]
    assert found["hits"][0]["path"] == LANZHOU
    assert "1097名" in found["hits"][0]["text"]
    assert found["citations"][0]["path"] == LANZHOU
    assert found["reason"] is None


def test_question_in_the_address_gives_the_same_answer(client):
    posted = ask(client, EXAMPLE_QUESTION, top_k=3, filters={"path": "seeds/*"})
    got = client.get("/v1/ask", params={"q": EXAMPLE_QUESTION, "top_k": 3, "path": "seeds/*"}).json()
    for changing in ("id", "timings_ms"):
        del posted[changing], got[changing]
    assert got == posted


@pytest.mark.parametrize(
    "query",
    [
        EXAMPLE_QUESTION,
        "武威市资助困难学生多少人",
        "阜新市总工会的工作",
        "The reading room holds how many books?",
        "工會怎樣幫助困難職工",
        "会",
        "📚",
    ],
)
def test_every_hit_and_citation_is_exact(client, query):
    assert_places_are_exact(client, ask(client, query, top_k=20))
    assert_places_are_exact(client, search(client, query, top_k=20))


def test_hits_are_ranked_and_bounded_by_top_k(client):
    found = search(client, "工会", top_k=7)
    assert [hit["rank"] for hit in found["hits"]] == list(range(1, 8))
    scores = [hit["score"] for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert len({hit["passage_id"] for hit in found["hits"]}) == 7


def test_ask_shows_top_k_hits_of_the_same_ranking(client):
    shown = [hit["passage_id"] for hit in ask(client, EXAMPLE_QUESTION, top_k=1)["hits"]]
    assert shown == [hit["passage_id"] for hit in search(client, EXAMPLE_QUESTION, top_k=1)["hits"]]


def test_search_says_nothing_of_answers(client):
    assert not {"status", "reason", "answer", "citations"} & search(client, EXAMPLE_QUESTION).keys()


def test_filter_by_collection(client):
    found = search(client, "工会 library", filters={"collection": ["notes"]})
    assert {hit["collection"] for hit in found["hits"]} == {"notes"}


def test_filter_by_document(client):
    wanted = client.get("/v1/documents", params={"limit": 2}).json()["documents"]
    ids = [document["id"] for document in wanted]
    found = search(client, "工会 library", top_k=50, filters={"document_id": ids})
    assert {hit["document_id"] for hit in found["hits"]} == set(ids)


def test_filter_by_path(client):
    found = search(client, "工会", top_k=50, filters={"path": "seeds/00[01]*"})
    assert {hit["path"][:9] for hit in found["hits"]} == {"seeds/000", "seeds/001"}


@pytest.mark.parametrize("filters", [{}, {"collection": []}, {"path": None}, None])
def test_empty_filters_do_not_limit(client, filters):
    found = search(client, EXAMPLE_QUESTION, filters=filters)
    assert found["hits"] == search(client, EXAMPLE_QUESTION)["hits"]


def test_filter_that_admits_nothing_is_no_answer(client):
    found = ask(client, EXAMPLE_QUESTION, filters={"collection": ["no such collection"]})
    assert (found["status"], found["reason"], found["answer"]) == ("no_answer", "no_hits", None)
    assert found["hits"] == found["citations"] == []


def test_no_answer_is_not_an_error(client):
    found = ask(client, "火星上的居民喜欢吃什么口味的冰淇淋")
    assert found["status"] == "no_answer"
    assert found["answer"] is None
    assert found["citations"] == []
    assert found["reason"] in {"no_hits", "low_confidence", "missing_terms", "no_quantity"}


def test_parts_of_the_score_are_shown_on_request_only(client):
    assert search(client, EXAMPLE_QUESTION)["hits"][0]["explain"] is None
    parts = search(client, EXAMPLE_QUESTION, explain=True)["hits"][0]["explain"]
    assert parts.keys() == {"lexical", "dense", "article", "reranker", "points", "matched", "in_article", "missing"}
    assert "兰州" in parts["matched"]


def test_many_at_once_get_the_same_answers(client):
    queries = [EXAMPLE_QUESTION, "武威市资助困难学生多少人", "南通市总工会", "What does the library hold?"]
    alone = {query: ask(client, query)["hits"] for query in queries}
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda query: (query, ask(client, query)["hits"]), queries * 10))
    assert all(hits == alone[query] for query, hits in together)
