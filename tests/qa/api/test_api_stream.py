from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from index.errors import IndexDamagedError
from qa.api.sse import _events, in_thread
from qa.schemas import EXAMPLE_QUESTION, AskResponse, Delta, Sources
from tests.qa.api.test_api_errors import assert_problem
from tests.qa.servers import wait_until
from tests.qa.sse import events, text_of


def stream(client, query: str, **options: Any) -> tuple[list[str], list[dict[str, Any]]]:
    """Names and data of all events."""
    with client.stream("POST", "/v1/ask", json={"query": query, "stream": True, **options}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-accel-buffering"] == "no"
        names, data = zip(*events(response), strict=True)
    return list(names), list(data)


def test_sources_then_text_then_the_whole_response(client):
    names, (sources, delta, done) = stream(client, EXAMPLE_QUESTION)
    assert names == ["sources", "delta", "done"]
    Sources.model_validate(sources)
    Delta.model_validate(delta)
    AskResponse.model_validate(done)
    assert done["answer"]["value"] == "1097名"
    assert text_of([delta]) == done["answer"]["text"]
    assert (sources["id"], sources["citations"], sources["hits"]) == (done["id"], done["citations"], done["hits"])
    plain = client.post("/v1/ask", json={"query": EXAMPLE_QUESTION}).json()
    for changing in ("id", "timings_ms"):
        del plain[changing], done[changing]
    assert done == plain


def test_no_answer_has_no_text(client):
    names, data = stream(client, "火星上的居民喜欢吃什么口味的冰淇淋")
    assert names == ["sources", "done"]
    assert data[-1]["status"] == "no_answer"
    assert data[0]["citations"] == []


@pytest.mark.parametrize("body", [{"query": ""}, {"query": "x", "answer": "generated"}])
def test_an_error_before_the_first_event_is_an_ordinary_response(client, body):
    assert_problem(client.post("/v1/ask", json={**body, "stream": True}), 422, "invalid-request")


def test_an_error_after_the_first_event_is_the_last_event(caplog):
    first = Delta(text="a")

    def failing(error: Exception) -> Iterator[Delta]:
        yield Delta(text="b")
        raise error

    async def collect(error: Exception) -> list[bytes]:
        return [event async for event in _events(first, failing(error), threading.Event())]

    own = anyio.run(collect, IndexDamagedError("data: is damaged;\nrun: qa index --rebuild"))
    assert [found.partition(b"\n")[0] for found in own] == [b"event: delta", b"event: delta", b"event: error"]
    assert b'"type":"/problems/index-damaged"' in own[-1]
    assert b"is damaged; run: qa index" in own[-1]
    assert own[-1].endswith(b"}\n\n")
    unexpected = anyio.run(collect, RuntimeError("secret of the house"))
    assert b'"type":"/problems/internal"' in unexpected[-1]
    assert b"secret" not in unexpected[-1]
    assert "secret of the house" in caplog.text


def test_silence_is_broken_by_heartbeats():
    go_on = threading.Event()

    def slow() -> Iterator[str]:
        yield "a"
        go_on.wait(60)
        yield "b"

    async def collect() -> list[str | None]:
        found = []
        async for part in in_thread(slow(), threading.Event(), heartbeat_s=0.01):
            found.append(part)
            if part is None and "a" in found:
                go_on.set()
        return found

    found = anyio.run(collect)
    assert [part for part in found if part] == ["a", "b"]
    assert None in found[found.index("a") : found.index("b")]


def test_leaving_ends_the_work():
    stop, is_over = threading.Event(), threading.Event()

    def work() -> Iterator[str]:
        yield "a"
        stop.wait(60)
        is_over.set()

    async def leave() -> None:
        parts = in_thread(work(), stop, heartbeat_s=0.01)
        with anyio.move_on_after(0.1):
            async for _ in parts:
                pass
        await parts.aclose()  # type: ignore[attr-defined]

    anyio.run(leave)
    assert stop.is_set()
    wait_until(is_over.is_set)
