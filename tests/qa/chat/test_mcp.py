from __future__ import annotations

import json
import subprocess
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPError

from qa.chat.mcp_tools import MAX_FETCHED_CHARS
from qa.configuration.config import Config
from tests.conftest import CANONICAL
from tests.qa.commands import COMMAND, assert_fails, environment, run_qa
from tests.qa.servers import make_corpus, serving

HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
QUOTED = "1097名困难家庭子女"


def stdio(config: Config) -> StdioServerParameters:
    file = config.base / "config.yaml"
    return StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], "mcp", "--config", str(file)], env=environment()
    )


async def tour(server: Any, mode: str = "auto") -> None:
    """Everything a client does, once."""
    async with Client(server, mode=mode) as client:
        assert client.server_info.name == "cited-qa"
        assert CANONICAL in (client.instructions or "")
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools.keys() == {"ask", "search", "fetch"}
        for tool in tools.values():
            assert tool.annotations and tool.annotations.read_only_hint and not tool.annotations.open_world_hint
            assert tool.title and tool.description and tool.output_schema
            assert all(known.get("description") for known in tool.input_schema["properties"].values())

        answer = await client.call_tool("ask", {"question": CANONICAL})
        assert not answer.is_error
        assert answer.structured_content["value"] == "1097名"
        (cited,) = answer.structured_content["citations"]
        assert QUOTED in cited["quote"]
        assert answer.content[0].text.startswith("1097名\n\n")
        assert cited["url"] in answer.content[0].text
        followed = await client.call_tool(
            "ask", {"question": "那武威呢", "history": [CANONICAL], "collection": "seeds"}
        )
        assert followed.structured_content["value"] == "2436人"

        found = await client.call_tool("search", {"query": CANONICAL, "top_k": 3})
        assert len(found.content) == 1
        assert json.loads(found.content[0].text) == found.structured_content
        first = found.structured_content["results"][0]
        assert QUOTED in first["text"]
        assert first["url"].startswith("http")

        for id_ in (first["id"], cited["id"], cited["document_id"]):
            read = (await client.call_tool("fetch", {"id": id_})).structured_content
            assert read.keys() == {"id", "title", "text", "url", "metadata"}
            assert (read["id"], read["metadata"]["path"]) == (id_, cited["path"])
            assert read["text"][cited["start"] : cited["end"]] == cited["quote"]

        listed = (await client.list_resources()).resources
        (uri,) = [found.uri for found in listed if found.uri.endswith(cited["document_id"])]
        (text,) = (await client.read_resource(uri)).contents
        assert text.text[cited["start"] : cited["end"]] == cited["quote"]
        (template,) = (await client.list_resource_templates()).resource_templates
        assert template.uri_template == "cited-qa://documents/{document_id}"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_over_http(client, mode):
    anyio.run(tour, f"{client.base_url}/mcp", mode)


def test_over_stdio(seeds_config):
    anyio.run(tour, stdio(seeds_config))


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("ask", {}, "question: is missing; add it"),
        ("ask", {"question": " \n"}, "query: is empty; ask a question"),
        ("ask", {"question": "问" * 4001}, "query: has 4001 characters; at most 4000 are accepted"),
        ("ask", {"question": "x", "top_k": 1}, "top_k: is not known; leave it out"),
        ("search", {"query": "x", "top_k": 51}, "top_k: input should be less than or equal to 50"),
        ("ask", {"question": "x", "collection": "z"}, "collection: there is no 'z'; there are: seeds, notes"),
        ("search", {"query": 5}, "query: input should be a valid string"),
        ("fetch", {"id": "nope"}, "id: no document has the id 'nope'; use one that a search returned"),
        ("fetch", {"id": ""}, "id: no document has the id ''; use one that a search returned"),
        ("fetch", {"id": "a\nb"}, "id: no document has the id 'a\\nb'; use one that a search returned"),
    ],
)
def test_errors_are_told_in_one_line(client, tool, arguments, said):
    async def use() -> Any:
        async with Client(f"{client.base_url}/mcp") as found:
            return await found.call_tool(tool, arguments)

    result = anyio.run(use)
    assert result.is_error
    assert [part.text for part in result.content] == [said]


@pytest.mark.parametrize("uri", ["cited-qa://documents/nope", "file:///etc/passwd", "cited-qa://other/x"])
def test_unknown_resources_and_tools_are_protocol_errors(client, uri):
    async def use() -> None:
        async with Client(f"{client.base_url}/mcp") as found:
            with pytest.raises(MCPError):
                await found.read_resource(uri)
            with pytest.raises(MCPError, match="there are: ask, search, fetch"):
                await found.call_tool("delete", {})

    anyio.run(use)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Origin": "https://evil.example"}, 403), ({"Host": "evil.example"}, 421), ({"Host": ""}, 421)],
)
def test_origin_and_host_are_checked(client, headers, status):
    response = client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers={**HEADERS, **headers})
    assert response.status_code == status


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_there_are_no_sessions(client, method):
    response = client.request(method, "/mcp", headers=HEADERS)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"jsonrpc": "2.0", "method": 5}', b"\xff"])
def test_a_message_that_is_none_is_refused(client, body):
    assert 400 <= client.post("/mcp", content=body, headers=HEADERS).status_code < 500
    assert client.get("/readyz").status_code == 200


def test_keys(seeds_config):
    key = "k" * 32
    server = seeds_config.server.model_validate({"api_keys": [f"reader:read:{key}"], "public_url": "https://docs.x/qa"})

    async def use(url: str, sent: str) -> Any:
        async with create_mcp_http_client(headers={"Authorization": f"Bearer {sent}"}) as http:
            async with Client(streamable_http_client(url, http_client=http)) as found:
                return await found.call_tool("ask", {"question": CANONICAL})

    with serving(seeds_config.model_copy(update={"server": server})) as client:
        url = f"{client.base_url}/mcp"
        result = anyio.run(use, url, key)
        assert result.structured_content["value"] == "1097名"
        assert result.structured_content["citations"][0]["url"].startswith("https://docs.x/qa/")
        with pytest.raises(ExceptionGroup) as caught:
            anyio.run(use, url, "wrong")
        assert caught.group_contains(MCPError)
        refused = client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=HEADERS)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """120 short documents and a long one, not indexed."""
    folder = tmp_path_factory.mktemp("many")
    config = make_corpus(folder, "papers")
    for number in range(120):
        (folder / "papers" / f"{number:03}.txt").write_text(f"第{number}号钟楼高{number + 10}米。", encoding="utf-8")
    long = "".join(f"第{number}节,这里没有什么可说的事情。\n\n" for number in range(700))
    (folder / "papers" / "long.txt").write_text(f"{long}铜钟重8765公斤。\n\n{long}", encoding="utf-8")
    return config


def test_a_missing_index_is_built_and_documents_are_listed_page_by_page(many):
    async def use() -> None:
        async with Client(stdio(many)) as client:
            answer = await client.call_tool("ask", {"question": "第77号钟楼高多少米?"})
            assert answer.structured_content["value"] == "87米"
            first = await client.list_resources()
            assert len(first.resources) == 100
            second = await client.list_resources(cursor=first.next_cursor)
            assert len(second.resources) == 21
            assert second.next_cursor is None
            assert len({found.uri for found in (*first.resources, *second.resources)}) == 121

            found = await client.call_tool("search", {"query": "铜钟重多少公斤"})
            passage = found.structured_content["results"][0]
            read = (await client.call_tool("fetch", {"id": passage["id"]})).structured_content
            assert "8765公斤" in read["text"]
            assert len(read["text"]) == MAX_FETCHED_CHARS
            assert 0 < read["metadata"]["start"] < passage["start"]
            text = ""
            start = 0
            while start is not None:
                piece = await client.call_tool("fetch", {"id": passage["document_id"], "start": start})
                text += piece.structured_content["text"]
                start = piece.structured_content["metadata"]["next_start"]
            assert len(text) == piece.structured_content["metadata"]["total_chars"]
            assert text[passage["start"] : passage["end"]] == passage["text"]
            beyond = await client.call_tool("fetch", {"id": passage["document_id"], "start": len(text) + 1})
            assert beyond.is_error

    anyio.run(use)


def test_what_is_wrong_is_told_to_who_asks(tmp_path):
    config = make_corpus(tmp_path, "papers")
    (tmp_path / "papers").rmdir()

    async def use() -> Any:
        async with Client(stdio(config)) as client:
            return await client.call_tool("ask", {"question": CANONICAL})

    result = anyio.run(use)
    assert result.is_error
    assert "no such folder" in result.content[0].text


def test_only_messages_go_to_stdout_and_it_ends_with_its_client(seeds_config):
    def message(method: str, id_: int | None = None, **params: Any) -> str:
        numbered = {} if id_ is None else {"id": id_}
        return json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **numbered}) + "\n"

    client = {"name": "test", "version": "1"}
    sent = (
        message("initialize", 1, protocolVersion="2025-06-18", capabilities={}, clientInfo=client)
        + message("notifications/initialized")
        + "this is no message\n"
        + message("tools/call", 2, name="ask", arguments={"question": CANONICAL})
        + message("ping", 3)
    )
    command = [*COMMAND, "mcp", "--config", seeds_config.base / "config.yaml"]
    server = subprocess.Popen(
        command,
        env=environment(),
        text=True,
        encoding="utf-8",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert server.stdin and server.stdout
    server.stdin.write(sent)
    server.stdin.flush()
    order: list[int] = []
    while {1, 2, 3} - set(order):
        reply = json.loads(server.stdout.readline())
        assert reply["jsonrpc"] == "2.0"
        order += [reply["id"]] if "result" in reply else []
    # The engine takes a moment to start; a ping is answered all the same.
    assert order == [1, 3, 2]
    rest, said = server.communicate(timeout=60)
    assert rest == ""
    assert server.returncode == 0
    assert "Traceback" not in said


def test_wrong_configuration_is_one_line(tmp_path):
    (tmp_path / "config.yaml").write_text("corpis: [a]\n")
    assert_fails(run_qa("mcp", folder=tmp_path), 2, "corpis")


def test_many_ask_at_once(client):
    async def use() -> list[str]:
        found: list[str] = []

        async def one() -> None:
            async with Client(f"{client.base_url}/mcp") as mcp:
                found.append((await mcp.call_tool("ask", {"question": CANONICAL})).structured_content["value"])

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(one)
        return found

    assert anyio.run(use) == ["1097名"] * 8
