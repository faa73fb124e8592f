"""The canonical question through every protocol: one answer, one citation."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from qa.configuration.config import Config
from tests.conftest import CANONICAL
from tests.qa.chat.bots.every import NAMES, configured, make_platform
from tests.qa.chat.bots.platforms import running
from tests.qa.commands import COMMAND, environment, run_qa

VALUE = "1097名"


@dataclass(frozen=True, slots=True)
class Told:
    """What a protocol brought: the text that people see, and where its source stands."""

    text: str
    document_id: str
    start: int
    end: int
    quote: str
    title: str
    url: str = ""


def told(text: str, citation: dict[str, Any]) -> Told:
    return Told(text, *(citation[name] for name in ("document_id", "start", "end", "quote", "title", "url")))


def curl(client: httpx.Client, config: Config) -> Told:
    body = json.dumps({"query": CANONICAL})
    done = subprocess.run(
        ["curl", "-sS", f"{client.base_url}/v1/ask", "-H", "Content-Type: application/json", "-d", body],
        capture_output=True,
        check=True,
    )
    found = json.loads(done.stdout)
    return told(found["answer"]["value"], found["citations"][0])


def command(client: httpx.Client, config: Config) -> Told:
    found = json.loads(run_qa("ask", CANONICAL, "--json", folder=config.base).stdout)
    return told(found["answer"]["value"], found["citations"][0])


def openai_whole(client: httpx.Client, config: Config) -> Told:
    with OpenAI(base_url=f"{client.base_url}/v1", api_key="none") as sdk:
        found = sdk.chat.completions.create(model="cited-qa", messages=[{"role": "user", "content": CANONICAL}])
    message = found.choices[0].message
    assert message.annotations
    (note,) = [note.url_citation for note in message.annotations]
    citation = (found.model_extra or {})["citations"][0]
    assert (note.url, note.title) == (citation["url"], citation["title"])
    return told(message.content or "", citation)


def openai_streamed(client: httpx.Client, config: Config) -> Told:
    text, citations = "", []
    with OpenAI(base_url=f"{client.base_url}/v1", api_key="none") as sdk:
        asked: list[ChatCompletionMessageParam] = [{"role": "user", "content": CANONICAL}]
        for chunk in sdk.chat.completions.create(model="cited-qa", messages=asked, stream=True):
            text += chunk.choices[0].delta.content or ""
            citations += (chunk.model_extra or {}).get("citations", [])
    return told(text, citations[0])


def mcp_http(client: httpx.Client, config: Config) -> Told:
    return anyio.run(_mcp, f"{client.base_url}/mcp")


def mcp_stdio(client: httpx.Client, config: Config) -> Told:
    arguments = [*COMMAND[1:], "mcp", "--config", str(config.base / "config.yaml")]
    return anyio.run(_mcp, StdioServerParameters(command=COMMAND[0], args=arguments, env=environment()))


async def _mcp(server: str | StdioServerParameters) -> Told:
    async with Client(server) as client:
        found = await client.call_tool("ask", {"question": CANONICAL})
    return told(found.content[0].text, found.structured_content["citations"][0])


def dify(client: httpx.Client, config: Config) -> Told:
    body = {"knowledge_id": "cited-qa", "query": CANONICAL, "retrieval_setting": {"top_k": 1, "score_threshold": 0.5}}
    (record,) = client.post("/retrieval", json=body).json()["records"]
    place = record["metadata"]
    return told(record["content"], {**place, "quote": record["content"], "title": record["title"]})


def bot(name: str) -> Callable[[httpx.Client, Config], Told]:
    """A way through a chat platform, whose people see a text with links."""

    def way(client: httpx.Client, config: Config) -> Told:
        platform = make_platform(name)
        with running(platform, configured(config, platform)):
            platform.wait()
            platform.ask(CANONICAL)
            reply = platform.reply()
        platform.close()
        (link,) = reply.links
        place = re.search(r"/documents/(?P<id>[^/?]+).*\bstart=(?P<start>\d+)&end=(?P<end>\d+)", link)
        title = re.search(r"1\. \[?(.+?) · ", reply.text)
        assert place and title
        start, end = int(place["start"]), int(place["end"])
        quote = client.get(f"/v1/documents/{place['id']}/text").text[start:end]
        assert quote.strip() in reply.text
        return Told(reply.text, place["id"], start, end, quote, title[1], link)

    way.__name__ = f"bot_{name}"
    return way


WAYS: list[Callable[[httpx.Client, Config], Told]] = [
    curl,
    command,
    openai_whole,
    openai_streamed,
    mcp_http,
    mcp_stdio,
    dify,
    *map(bot, NAMES),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_same_answer_and_the_same_citation(client, seeds_config, way):
    native = client.post("/v1/ask", json={"query": CANONICAL}).json()["citations"][0]
    found = way(client, seeds_config)
    assert VALUE in found.text
    assert (found.document_id, found.title, found.start) == (native["document_id"], native["title"], native["start"])
    # Dify is given whole passages; whatever else is cited to the character.
    assert found.end == native["end"] or (way is dify and found.end > native["end"])
    text = client.get(f"/v1/documents/{found.document_id}/text").text
    assert text[found.start : found.end] == found.quote
    assert VALUE in found.quote
    assert re.fullmatch(rf".*\bstart={found.start}&end={found.end}", urlsplit(found.url).query)
