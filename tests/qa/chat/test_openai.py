from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from qa.configuration.config import Config
from tests.conftest import CANONICAL
from tests.qa.llm.model_server import KEY, MODEL, ModelServer, dying_half_way, refusing, serving_model, truth
from tests.qa.servers import make_corpus, serving

ASKED: list[Any] = [{"role": "user", "content": CANONICAL}]
URL = "/v1/chat/completions"


@pytest.fixture(scope="module")
def sdk(client: httpx.Client) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{client.base_url}/v1", api_key="none") as found:
        yield found


def ask(sdk: OpenAI, *said: str, model: str = "cited-qa", **more: Any) -> Any:
    """A completion of a conversation in which user and assistant take turns."""
    messages: Any = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]
    return sdk.chat.completions.create(model=model, messages=messages, **more)


def streamed(chunks: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_models_are_the_plain_one_and_one_for_each_collection(sdk):
    found = sdk.models.list().data
    assert [model.id for model in found] == ["cited-qa", "cited-qa/seeds", "cited-qa/notes"]
    assert sdk.models.retrieve("cited-qa/notes") == found[2]
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.models.retrieve("cited-qa/other")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_answer_with_its_sources(sdk, client):
    found = ask(sdk, CANONICAL)
    (choice,) = found.choices
    native = found.model_extra["cited_qa"]
    (cited,) = found.model_extra["citations"]
    assert choice.finish_reason == "stop"
    assert choice.message.content.startswith("**1097名**\n\n")
    assert native["answer"]["value"] == "1097名"
    assert native["citations"] == [cited]
    assert cited["url"].startswith(str(client.base_url))
    (note,) = choice.message.annotations
    assert (note.type, note.url_citation.url, note.url_citation.title) == ("url_citation", cited["url"], cited["title"])
    covered = choice.message.content[note.url_citation.start_index : note.url_citation.end_index]
    assert cited["quote"] in covered
    assert covered.endswith("[1]")
    assert f"1. [{cited['title']} · 第{cited['paragraph']}段]({cited['url']})" in choice.message.content
    assert found.usage.prompt_tokens == len(CANONICAL)
    assert found.usage.completion_tokens == len(choice.message.content)


def test_stream_gives_the_same(sdk):
    whole = ask(sdk, CANONICAL)
    chunks = list(ask(sdk, CANONICAL, stream=True, stream_options={"include_usage": True}))
    assert streamed(chunks) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    (noted,) = [chunk for chunk in chunks if chunk.choices and (chunk.choices[0].delta.model_extra or {})]
    annotations = noted.choices[0].delta.model_extra["annotations"]
    assert annotations == [found.model_dump() for found in whole.choices[0].message.annotations]
    assert noted.model_extra["citations"] == whole.model_extra["citations"]
    *_, last, usage = chunks
    assert last.choices[0].finish_reason == "stop"
    assert (usage.choices, usage.usage) == ([], whole.usage)


def test_stream_on_the_wire(client):
    with client.stream("POST", URL, json={"model": "cited-qa", "messages": ASKED, "stream": True}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [line for line in response.iter_lines() if line]
    assert events[-1] == "data: [DONE]"
    assert all(line.startswith("data: ") for line in events)
    chunks = [json.loads(line.removeprefix("data: ")) for line in events[:-1]]
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in chunks)
    assert not any("usage" in chunk for chunk in chunks)
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]


def test_asynchronous_client(client):
    async def use() -> tuple[str, str]:
        async with AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key="none") as sdk:
            whole = await sdk.chat.completions.create(model="cited-qa", messages=ASKED)
            stream = await sdk.chat.completions.create(model="cited-qa", messages=ASKED, stream=True)
            parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
            return whole.choices[0].message.content or "", "".join(parts)

    whole, parts = anyio.run(use)
    assert whole == parts
    assert "1097名" in whole


def test_one_collection(sdk):
    books = "How many books does the reading room hold?"
    assert "4321" in ask(sdk, books, model="cited-qa/notes").choices[0].message.content
    elsewhere = ask(sdk, CANONICAL, model="cited-qa/notes")
    assert elsewhere.model_extra["cited_qa"]["status"] == "no_answer"
    assert {hit["collection"] for hit in elsewhere.model_extra["cited_qa"]["hits"]} <= {"notes"}


@pytest.mark.parametrize("stream", [False, True])
def test_no_answer_is_said_plainly(sdk, stream):
    found = ask(sdk, "月球上有几个工会?", stream=stream)
    if stream:
        chunks = list(found)
        content, reason = streamed(chunks), chunks[-1].choices[0].finish_reason
    else:
        content, reason = found.choices[0].message.content, found.choices[0].finish_reason
    assert reason == "stop"
    assert content.startswith("文档中没有找到答案。")
    assert "**最接近的段落**：\n\n1. [" in content
    english = ask(sdk, "How many moons does Lanzhou have?").choices[0].message.content
    assert english.startswith("The documents hold no answer to this. ")


def test_earlier_turns_are_used(sdk):
    first = ask(sdk, CANONICAL).choices[0].message.content
    found = ask(sdk, CANONICAL, first, "那武威呢")
    assert found.model_extra["cited_qa"]["interpreted_as"] == "武威帮扶中心资助了多少学生"
    assert found.model_extra["cited_qa"]["query"] == "那武威呢"
    assert "2436人" in found.choices[0].message.content


def test_what_clients_send_beside_the_question_is_accepted(sdk):
    messages = [
        {"role": "system", "content": "You are a pirate. Today is Monday."},
        {"role": "developer", "content": "武威"},
        {"role": "user", "content": [{"type": "text", "text": CANONICAL}], "name": "someone"},
    ]
    found = sdk.chat.completions.create(
        model="cited-qa",
        messages=messages,
        temperature=0.7,
        top_p=0.9,
        max_tokens=5,
        max_completion_tokens=5,
        n=1,
        user="u",
        seed=1,
        stop=["。"],
        presence_penalty=1,
        logit_bias={"1": 1},
        response_format={"type": "json_object"},
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        tool_choice="auto",
        parallel_tool_calls=False,
        reasoning_effort="low",
        metadata={"chat": "1"},
        store=False,
        extra_body={"chat_id": "x", "keep_alive": -1},
    )
    assert found.model_extra["cited_qa"]["query"] == CANONICAL
    assert "1097名" in found.choices[0].message.content


def test_an_image_is_refused_when_it_is_asked_about_and_passed_over_later(sdk):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    shown = [{"role": "user", "content": [{"type": "text", "text": "这是什么"}, image]}]
    with pytest.raises(openai.BadRequestError, match="image_url; only text is read") as caught:
        sdk.chat.completions.create(model="cited-qa", messages=shown)
    assert caught.value.param == "messages.0.content"
    later = [*shown, {"role": "assistant", "content": "?"}, *ASKED]
    assert "1097名" in sdk.chat.completions.create(model="cited-qa", messages=later).choices[0].message.content


@pytest.mark.parametrize(
    ("content", "status", "kind", "code", "param", "said"),
    [
        pytest.param(b"{", 400, "invalid_request_error", "malformed_json", None, "JSON", id="malformed"),
        pytest.param(b"[]", 400, "invalid_request_error", "invalid_request", "body", '"messages"', id="list"),
        pytest.param(b"{}", 400, "invalid_request_error", "invalid_request", "messages", "is missing", id="nothing"),
        pytest.param({"messages": []}, 400, "invalid_request_error", "invalid_request", "messages", "", id="empty"),
        pytest.param(
            {"messages": [{"role": "robot", "content": "x"}]},
            400,
            "invalid_request_error",
            "invalid_request",
            "messages.0.role",
            "robot",
            id="role",
        ),
        pytest.param(
            {"messages": [{"role": "system", "content": "x"}]},
            400,
            "invalid_request_error",
            "invalid_request",
            "messages",
            "no message of the user",
            id="nobody asks",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": " "}]},
            400,
            "invalid_request_error",
            "invalid_request",
            "messages.0.content",
            "is empty",
            id="blank",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": "问" * 4001}]},
            400,
            "invalid_request_error",
            "invalid_request",
            "messages.0.content",
            "4001",
            id="long",
        ),
        pytest.param(
            {"messages": ASKED, "model": "gpt-4o"},
            404,
            "invalid_request_error",
            "model_not_found",
            "model",
            "cited-qa/seeds",
            id="model",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": "x" * 2_000_000}]},
            413,
            "invalid_request_error",
            "body_too_large",
            None,
            "1000000",
            id="large",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_have_their_shape(client, content, status, kind, code, param, said, stream):
    body = content if isinstance(content, bytes) else json.dumps({**content, "stream": stream})
    response = client.post(URL, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"error"}
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["code"], error["param"]) == (kind, code, param)
    assert said in error["message"]
    assert response.headers["x-request-id"]


def test_wrong_method_and_foreign_page(client):
    response = client.get(URL)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["error"]["code"] == "method_not_allowed"
    foreign = client.post(URL, json={"messages": ASKED}, headers={"Origin": "https://evil.example"})
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (403, "foreign_origin")


def test_keys(seeds_config):
    server = seeds_config.server.model_validate({"api_keys": ["reader:read:" + "k" * 32]})
    with serving(seeds_config.model_copy(update={"server": server})) as client:
        for key, code in (("wrong", openai.AuthenticationError), ("k" * 32, None)):
            with OpenAI(base_url=f"{client.base_url}/v1", api_key=key, max_retries=0) as sdk:
                if code is None:
                    assert "1097名" in ask(sdk, CANONICAL).choices[0].message.content
                    continue
                with pytest.raises(code) as caught:
                    ask(sdk, CANONICAL)
                assert caught.value.code == "invalid_api_key"
                assert caught.value.type == "authentication_error"
                with pytest.raises(code):
                    sdk.models.list()


def test_without_an_index_questions_wait_and_titles_do_not(tmp_path):
    config = make_corpus(tmp_path, "papers")
    (tmp_path / "papers" / "a.txt").write_text("钟楼高三十米。", encoding="utf-8")
    with serving(config) as client:
        shutil.rmtree(config.index_dir)
        with OpenAI(base_url=f"{client.base_url}/v1", api_key="none", max_retries=0) as sdk:
            with pytest.raises(openai.InternalServerError) as caught:
                ask(sdk, "钟楼多高", stream=True)
            assert (caught.value.status_code, caught.value.type) == (503, "server_error")
            assert int(caught.value.response.headers["retry-after"]) > 0
            assert ask(sdk, "钟楼多高", "30米", "用五个字概括这次对话的标题").choices[0].message.content == "钟楼多高"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_asking_for_a_title_gets_one_without_sources(sdk, stream):
    prompt = (
        '### Task:\nName the conversation.\n### Output:\nJSON format: { "title": "its name" }\n### Chat History:\n'
        f"<chat_history>\nUSER: {CANONICAL}\nASSISTANT: 1097名\n</chat_history>"
    )
    found = ask(sdk, prompt, stream=stream)
    content = streamed(found) if stream else found.choices[0].message.content
    assert json.loads(content) == {"title": CANONICAL}


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with serving_model() as found:
        yield found


@pytest.fixture(scope="module")
def writing(seeds_config: Config, model: ModelServer) -> Iterator[OpenAI]:
    """A client of a server that a language model writes for."""
    llm = seeds_config.llm.model_validate({"model": MODEL, "base_url": model.base_url, "api_key": KEY})
    with (
        serving(seeds_config.model_copy(update={"llm": llm})) as client,
        OpenAI(base_url=f"{client.base_url}/v1", api_key="none") as sdk,
    ):
        yield sdk


def test_a_generated_answer_is_the_same_in_both_modes(writing, model):
    model.behave = truth
    whole = ask(writing, CANONICAL)
    chunks = list(ask(writing, CANONICAL, stream=True))
    content = whole.choices[0].message.content
    assert streamed(chunks) == content
    assert len(chunks) > 5
    assert "1097名" in content
    native = whole.model_extra["cited_qa"]
    assert native["answer"]["kind"] == "generated"
    marks = {citation["n"] for citation in native["citations"]}
    assert marks
    for note, n in zip(whole.choices[0].message.annotations, sorted(marks), strict=True):
        assert content[: note.url_citation.end_index].endswith(f" [{n}]")


@pytest.mark.parametrize("behave", [dying_half_way, refusing(429)], ids=["dies half way", "429"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_fails_gives_way_to_the_quoted_answer_and_that_is_said(writing, model, behave, stream):
    model.behave = behave
    found = ask(writing, CANONICAL, stream=stream)
    content = streamed(found) if stream else found.choices[0].message.content
    assert content.count("帮助1097名困难家庭子女圆了大学梦") == 1
    assert "语言模型没有给出可用的回答" in content
    assert content.count("**来源**：") == 1
