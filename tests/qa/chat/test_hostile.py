"""Whatever comes in a dialect is answered or refused in that dialect, in a few lines."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from pydantic import ValidationError

from qa.chat.dify import RetrievalRequest
from qa.chat.openai_models import ChatRequest
from tests.conftest import CANONICAL

pytestmark = pytest.mark.slow

MAX_REFUSAL_CHARS = 2_000
LONG = 100_000
FLOODS = ("[", '{"a":', "\n", "1", "a ", "\\", "<user>", "😀", "\x00", "万")
HALF = "\\ud800"


def _task(wanted: str, history: str) -> str:
    return f'### Task:\n{{"{wanted}": ""}}\n<chat_history>\n{history}\n</chat_history>'


# JSON texts that may stand where a dialect expects a text.
VALUES: dict[str, str] = {
    "null": "null",
    "number": "1e999",
    "true": "true",
    "empty": '""',
    "spaces": '" \\n\\u3000"',
    "empty list": "[]",
    "empty object": "{}",
    "half a pair": f'"{HALF}"',
    "half a pair in a task": f'"### Task:\\n<chat_history>\\nUser: {HALF}\\n</chat_history>"',
    "nested": "[" * 60 + "]" * 60,
    "nested too deep": "[" * 5_000 + "]" * 5_000,
    "numbers": "[" + ",".join("1" * LONG) + "]",
    "objects": "[" + ",".join(["{}"] * 30_000) + "]",
    "parts of other kinds": json.dumps(
        [{"type": "image_url", "image_url": {"url": "data:"}}, {"type": "x", "text": 1}]
    ),
    "parts without text": json.dumps([{"type": "text"}, {"type": "text", "text": None}, {"type": "input_text"}]),
    "parts of text": json.dumps([{"type": "text", "text": "a"}] * 3_000),
    "a tag": json.dumps("### Task:\n```\n" + "[" * 100_000 + "\n```\n<conversation>"),
    "a tag with tags": json.dumps(
        '### Task:\n{"tags": []}\n<chat_history>\nUser: ' + "[" * 100_000 + "\n</chat_history>"
    ),
    "tags of a blank": json.dumps('### Task:\n{"tags": []}\n<chat_history>\nUser: \n</chat_history>'),
    "title of nobody": json.dumps('### Task:\n{"title": ""}\n<chat_history>\n</chat_history>'),
    "listed": json.dumps(
        '### Task:\n{"title": ""}\n<chat_history>\n[{"role": [], "content": {"a": 1}}]</chat_history>'
    ),
    **{f"flood of {unit!r}": json.dumps(unit * (LONG // len(unit))) for unit in FLOODS},
    **{f"tasks of {unit!r}": json.dumps(f"### Task:\n<chat_history>\n{unit * 50_000}") for unit in FLOODS},
}

CHAT = '{"messages": [{"role": "user", "content": %s}]}'
CHATS = {
    "content": CHAT,
    "streamed": '{"stream": true, "messages": [{"role": "user", "content": %s}]}',
    "history": f'{{"messages": [{{"role": "user", "content": %s}}, {{"role": "user", "content": "{CANONICAL}"}}]}}',
    "system": f'{{"messages": [{{"role": "system", "content": %s}}, {{"role": "user", "content": "{CANONICAL}"}}]}}',
    "role": '{"messages": [{"role": %s, "content": "a"}]}',
    "messages": '{"messages": %s}',
    "model": '{"model": %s, "messages": [{"role": "user", "content": "a"}]}',
    "options": '{"stream": true, "stream_options": %s, "messages": [{"role": "user", "content": "a"}]}',
    "unknown": f'{{"tools": %s, "messages": [{{"role": "user", "content": "{CANONICAL}"}}]}}',
}
_KNOWN = f'"knowledge_id": "cited-qa", "query": "{CANONICAL}"'
_ASKED = f'{_KNOWN}, "retrieval_setting": {{"top_k": 1}}'


def _where(condition: str) -> str:
    return f'{{{_ASKED}, "metadata_condition": {{"conditions": [{condition}]}}}}'


DIFY = {
    "query": '{"query": %s, "knowledge_id": "cited-qa", "retrieval_setting": {"top_k": 1}}',
    "knowledge": f'{{"query": "{CANONICAL}", "knowledge_id": %s, "retrieval_setting": {{"top_k": 1}}}}',
    "setting": f'{{{_KNOWN}, "retrieval_setting": %s}}',
    "top_k": f'{{{_KNOWN}, "retrieval_setting": {{"top_k": %s}}}}',
    "condition": f'{{{_ASKED}, "metadata_condition": %s}}',
    "conditions": f'{{{_ASKED}, "metadata_condition": {{"conditions": %s}}}}',
    "name": _where('{"name": %s, "comparison_operator": "is", "value": "a"}'),
    "operator": _where('{"name": "path", "comparison_operator": %s, "value": "a"}'),
    "value": _where('{"name": "path", "comparison_operator": "contains", "value": %s}'),
    "listed": _where('{"name": "path", "comparison_operator": "not in", "value": %s}'),
}
_CALL = '{"jsonrpc": "2.0", "id": 1, "method": "%s", "params": %s}'
_ARGUMENTS = ("ask question", "ask history", "ask collection", "ask x", "search query", "search top_k", "fetch id")


def _call(tool: str, arguments: str) -> str:
    return _CALL % ("tools/call", f'{{"name": "{tool}", "arguments": {arguments}}}')


MCP = {
    **{name: _call(name.split()[0], f'{{"{name.split()[1]}": %s}}') for name in (*_ARGUMENTS, "fetch start")},
    "turn": _call("ask", f'{{"question": "{CANONICAL}", "history": [%s]}}'),
    "arguments": _call("ask", "%s"),
    "tool": _CALL % ("tools/call", '{"name": %s, "arguments": {}}'),
    "cursor": _CALL % ("resources/list", '{"cursor": %s}'),
    "uri": _CALL % ("resources/read", '{"uri": %s}'),
    "method": '{"jsonrpc": "2.0", "id": 1, "method": %s}',
    "params": '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": %s}',
    "id": '{"jsonrpc": "2.0", "id": %s, "method": "tools/list"}',
}


def answers(client: httpx.Client, path: str, template: str) -> Iterator[tuple[str, httpx.Response]]:
    """The answer to each value where the template has a place for it; none of them is an error of the server."""
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    answered = {
        name: client.post(path, content=template.replace("%s", value), headers=headers)
        for name, value in VALUES.items()
    }
    failed = {name: response.text[:200] for name, response in answered.items() if response.status_code >= 500}
    assert not failed
    yield from answered.items()


def assert_short(refusals: dict[str, str]) -> None:
    assert not {name: text[:200] for name, text in refusals.items() if not 0 < len(text) < MAX_REFUSAL_CHARS}


@pytest.mark.parametrize("template", CHATS.values(), ids=CHATS.keys())
def test_chat(client, template):
    refusals = {}
    for name, response in answers(client, "/v1/chat/completions", template):
        if response.status_code != 200:
            error = response.json()["error"]
            assert error.keys() == {"message", "type", "param", "code"}
            refusals[name] = error["message"]
        elif response.headers["content-type"].startswith("text/event-stream"):
            assert response.text.endswith("data: [DONE]\n\n"), name
        else:
            assert response.json()["choices"][0]["message"]["role"] == "assistant"
    assert_short(refusals)


@pytest.mark.parametrize("template", DIFY.values(), ids=DIFY.keys())
def test_dify(client, template):
    refusals = {}
    for name, response in answers(client, "/retrieval", template):
        if response.status_code == 200:
            assert response.json().keys() == {"records"}
        else:
            assert response.json().keys() == {"error_code", "error_msg"}
            refusals[name] = response.json()["error_msg"]
    assert_short(refusals)


@pytest.mark.parametrize("template", MCP.values(), ids=MCP.keys())
def test_mcp(client, template):
    refusals = {}
    for name, response in answers(client, "/mcp", template):
        if response.status_code == 202:  # without an id it is a notification
            continue
        given = response.json()
        if "result" not in given:
            # What is refused before it is read is not yet known to be MCP.
            refusals[name] = given["error"]["message"] if "error" in given else given["detail"]
        elif given["result"].get("isError"):
            refusals[name] = given["result"]["content"][0]["text"]
    assert_short(refusals)


@pytest.mark.parametrize(
    ("model", "place"),
    [
        (ChatRequest, {"messages": None}),
        (ChatRequest, {"messages": [{"role": "user", "content": None}]}),
        (RetrievalRequest, {"metadata_condition": {"conditions": None}}),
        (RetrievalRequest, {"metadata_condition": {"conditions": [{"name": None}]}}),
        (RetrievalRequest, {"metadata_condition": {"conditions": [{"value": None}]}}),
    ],
)
@pytest.mark.parametrize("part", ["1", "{}", '{"type": 1}'])
def test_a_list_that_is_too_long_is_refused_as_a_whole(model, place, part):
    """A clause for each part of it that is wrong took seconds."""
    body = json.dumps(place).replace("null", "[" + ",".join([part] * 50_000) + "]")
    with pytest.raises(ValidationError) as caught:
        model.model_validate_json(body)
    assert caught.value.error_count() < 20_000
