from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conftest import CANONICAL
from tests.qa.servers import serving

SETTING = {"top_k": 5, "score_threshold": 0.0}


def body(**changed: Any) -> dict[str, Any]:
    return {"knowledge_id": "cited-qa", "query": CANONICAL, "retrieval_setting": SETTING, **changed}


def where(*conditions: tuple[Any, str, Any], operator: str = "and") -> dict[str, Any]:
    named = [{"name": name, "comparison_operator": how, "value": value} for name, how, value in conditions]
    return {"logical_operator": operator, "conditions": named}


def records(client: httpx.Client, **changed: Any) -> list[dict[str, Any]]:
    response = client.post("/retrieval", json=body(**changed))
    assert response.status_code == 200, response.text
    assert response.json().keys() == {"records"}
    return response.json()["records"]


def test_records(client):
    found = records(client)
    assert len(found) == 5
    first = found[0]
    assert first.keys() == {"content", "score", "title", "metadata"}
    assert "1097名困难家庭子女" in first["content"]
    assert "兰州市总工会" in first["title"]
    place = first["metadata"]
    assert None not in place.values()
    text = client.get(f"/v1/documents/{place['document_id']}/text").text
    assert text[place["start"] : place["end"]] == first["content"]
    assert place["url"].startswith(str(client.base_url))
    scores = [record["score"] for record in found]
    assert scores == sorted(scores, reverse=True)
    assert 0 <= scores[-1] < scores[0] <= 1
    assert scores[0] > 0.5


def test_threshold_and_number(client):
    everything = records(client)
    middle = everything[2]["score"]
    kept = records(client, retrieval_setting={"top_k": 5, "score_threshold": middle})
    assert kept == [record for record in everything if record["score"] >= middle]
    assert records(client, retrieval_setting={"top_k": 1, "score_threshold": None}) == everything[:1]
    assert len(records(client, retrieval_setting={"top_k": 500})) <= 100


def test_a_collection_is_a_knowledge(client):
    assert {record["metadata"]["collection"] for record in records(client, knowledge_id="notes")} == {"notes"}
    assert records(client, knowledge_id="notes", metadata_condition=where(("collection", "is", "seeds"))) == []


@pytest.mark.parametrize(
    ("condition", "paths"),
    [
        (where(("path", "start with", "notes/")), {"notes/library.md"}),
        (where(("path", "end with", ".md")), {"notes/library.md"}),
        (where(("collection", "is", "notes")), {"notes/library.md"}),
        (where(("collection", "=", "notes")), {"notes/library.md"}),
        (where(("collection", "not in", ["seeds", "other"])), {"notes/library.md"}),
        (where(("collection", "in", "notes, other")), {"notes/library.md"}),
        (where(("path", "not contains", "seeds")), {"notes/library.md"}),
        (where((["path", "collection"], "contains", "notes")), {"notes/library.md"}),
        (where(("collection", "is not", "seeds"), ("path", "≠", "x")), {"notes/library.md"}),
        (where(("collection", "is", "notes"), ("collection", "is", "other"), operator="or"), {"notes/library.md"}),
        (where(("collection", "is", "notes"), ("collection", "is", "seeds")), set()),
        (where(("title", "empty", None)), set()),
        (where(("collection", "is", "notes"), ("title", "not empty", None)), {"notes/library.md"}),
        (where(("read_at", "before", "2020-01-01")), set()),
        (where(("read_at", "after", "2020-01-01"), ("collection", "is", "notes")), {"notes/library.md"}),
    ],
)
def test_conditions(client, condition, paths):
    assert {record["metadata"]["path"] for record in records(client, metadata_condition=condition)} == paths


@pytest.mark.parametrize("condition", [None, {"conditions": None}, {"conditions": []}])
def test_no_condition(client, condition):
    assert len(records(client, metadata_condition=condition)) == 5


@pytest.mark.parametrize(
    ("changed", "status", "code", "said"),
    [
        ({"knowledge_id": "other"}, 404, 2001, "there are: cited-qa, seeds, notes"),
        ({"query": " "}, 400, 400, "query: is empty"),
        ({"query": None}, 400, 400, "query: "),
        ({"retrieval_setting": {"top_k": 0}}, 400, 400, "retrieval_setting.top_k: "),
        ({"retrieval_setting": {"top_k": 1, "score_threshold": 2}}, 400, 400, "retrieval_setting.score_threshold: "),
        ({"metadata_condition": where(("author", "is", "x"))}, 400, 400, "document_id, path, title"),
        ({"metadata_condition": where(("title", "like", "x"))}, 400, 400, "not empty"),
        ({"metadata_condition": where(("title", "is", None))}, 400, 400, "conditions.0.value: is missing"),
        ({"metadata_condition": where(("title", "after", "2020"))}, 400, 400, "only read_at"),
        ({"metadata_condition": where(("title", "is", "x"), operator="xor")}, 400, 400, "logical_operator"),
    ],
)
def test_errors(client, changed, status, code, said):
    response = client.post("/retrieval", json=body(**changed))
    assert response.status_code == status
    assert response.json().keys() == {"error_code", "error_msg"}
    assert response.json()["error_code"] == code
    assert said in response.json()["error_msg"]


def test_the_empty_request_by_which_dify_tries_an_address_is_not_taken_for_a_wrong_one(client):
    response = client.post("/retrieval", headers={"Authorization": "Bearer anything"})
    assert response.status_code == 400
    assert '"knowledge_id"' in response.json()["error_msg"]


def test_keys(seeds_config):
    key = "k" * 32
    server = seeds_config.server.model_validate({"api_keys": [f"dify:read:{key}"]})
    with serving(seeds_config.model_copy(update={"server": server})) as client:
        for sent, code in ((None, 1001), (key, 1001), ("Bearer", 1001), ("Bearer wrong", 1002)):
            headers = {} if sent is None else {"Authorization": sent}
            response = client.post("/retrieval", json=body(), headers=headers)
            assert (response.status_code, response.json()["error_code"]) == (403, code)
        assert client.post("/retrieval", json=body(), headers={"Authorization": f"Bearer {key}"}).status_code == 200
