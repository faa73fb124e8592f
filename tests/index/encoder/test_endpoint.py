"""An OpenAI-compatible endpoint, over real HTTP."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from index.encoder import EncoderOptions, StaticEncoder, load_encoder
from index.encoder.endpoint import EndpointEncoder
from index.errors import EncoderError
from tests.index.embedding_server import EmbeddingServer, Reply, embedding_server, refusal, reply, vectors

TEXTS = ["兰州帮扶中心资助了多少学生", "How many students?", "工会", "困难职工子女"]


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with embedding_server() as server:
        yield server


def encoder_of(server: EmbeddingServer, model: str = "ours", **options: Any) -> EndpointEncoder:
    encoder = load_encoder(model, EncoderOptions(base_url=server.url, **{"timeout_s": 20.0, **options}))
    assert isinstance(encoder, EndpointEncoder)
    return encoder


def test_vectors_are_those_of_the_model_behind_it(server: EmbeddingServer) -> None:
    encoder, bundled = encoder_of(server), load_encoder()
    assert isinstance(bundled, StaticEncoder)
    assert encoder.encode_documents(TEXTS) == pytest.approx(bundled.encode_documents(TEXTS), abs=1e-5)
    assert encoder.encode_query(TEXTS[0]) == pytest.approx(bundled.encode_query(TEXTS[0]), abs=1e-5)
    assert (encoder.dim, encoder.fingerprint) == (bundled.dim, f"ours@{server.url}:256")
    assert encoder.encode_documents([]).shape == (0, 256)
    assert set(server.paths) == {"/v1/embeddings"}


def test_texts_go_in_batches_and_come_back_in_order(server: EmbeddingServer) -> None:
    def shuffled(body: dict[str, Any]) -> Reply:
        numbers = list(range(len(body["input"])))[::-1]
        return reply(vectors(body["input"])[::-1], numbers=numbers)

    server.answer = shuffled
    texts = [f"第{number}条" for number in range(10)]
    found = encoder_of(server, batch_size=4).encode_documents(texts)
    assert found == pytest.approx(load_encoder().encode_documents(texts), abs=1e-5)
    assert [len(batch) for batch in server.texts] == [1, 4, 4, 2]  # the first one asks for the dimension


def test_text_without_words_is_not_sent(server: EmbeddingServer) -> None:
    found = encoder_of(server).encode_documents(["", "。，！？", "工会", "\U0001f600"])
    assert np.linalg.norm(found, axis=1) == pytest.approx([0, 0, 1, 0], abs=1e-5)
    assert server.texts[1:] == [["工会"]]
    assert not encoder_of(server).encode_query("？？").any()


def test_a_question_is_asked_for_once(server: EmbeddingServer) -> None:
    encoder = encoder_of(server)
    first, again = encoder.encode_query("工会"), encoder.encode_query("工会")
    assert np.array_equal(first, again)
    assert server.flat.count("工会") == 1


@pytest.mark.parametrize(
    ("model", "options", "query", "document"),
    [
        ("ours", {}, "", ""),
        ("ours", {"query_prompt": "问：", "document_prompt": "文："}, "问：", "文："),
        ("intfloat/multilingual-e5-base", {}, "query: ", "passage: "),
        ("intfloat/multilingual-e5-base", {"query_prompt": "", "document_prompt": ""}, "", ""),
        ("bge-large-zh-v1.5:latest", {}, "为这个句子生成表示以用于检索相关文章：", ""),
        ("bge-m3", {}, "", ""),
    ],
)
def test_prompts(server: EmbeddingServer, model: str, options: dict[str, str], query: str, document: str) -> None:
    encoder = encoder_of(server, model, **options)
    encoder.encode_query("工会")
    encoder.encode_documents(["职工"])
    assert server.flat[1:] == [f"{query}工会", f"{document}职工"]
    assert (repr(document) in encoder.fingerprint) == bool(document)


def test_the_key_is_sent_and_never_shown(server: EmbeddingServer) -> None:
    encoder = encoder_of(server, api_key="sk-secret")
    assert encoder.dim == 256
    assert server.keys == ["Bearer sk-secret"]
    server.answer = lambda _: refusal(401, "wrong key")
    with pytest.raises(EncoderError, match="401 Unauthorized: wrong key; set QA_ENCODER_API_KEY") as caught:
        encoder.encode_query("工会")
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "failure",
    [refusal(429, "slow down", **{"retry-after": "0.01"}), refusal(503, "loading"), refusal(500, "oops")],
    ids=["429", "503", "500"],
)
def test_a_busy_server_is_asked_again(server: EmbeddingServer, failure: Reply) -> None:
    encoder = encoder_of(server)
    assert encoder.dim == 256
    replies = iter([failure])
    server.answer = lambda body: next(replies, None) or reply(vectors(body["input"]))
    assert encoder.encode_documents(["工会"]).any()
    assert len(server.texts) == 3


def test_a_server_that_takes_fewer_and_shorter_texts(server: EmbeddingServer) -> None:
    def picky(body: dict[str, Any]) -> Reply:
        if len(body["input"]) > 3:
            return refusal(422, "batch size 4 > maximum 3")
        if any(len(text) > 512 for text in body["input"]):
            return refusal(400, "too long")
        return reply(vectors(body["input"]))

    server.answer = picky
    texts = [*TEXTS, "工会" * 5000, *TEXTS, "工" * 1_000_000]
    found = encoder_of(server).encode_documents(texts)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(texts)), abs=1e-5)
    assert found[:4] == pytest.approx(load_encoder().encode_documents(TEXTS), abs=1e-5)
    assert found[5:9] == pytest.approx(found[:4], abs=1e-6)


def test_no_answer_in_time(server: EmbeddingServer) -> None:
    encoder = encoder_of(server, timeout_s=0.2)
    assert encoder.dim == 256
    over = threading.Event()

    def hang(body: dict[str, Any]) -> Reply:
        over.wait(20)
        return refusal(500)

    server.answer = hang
    try:
        with pytest.raises(EncoderError, match=r"no answer within 0\.2 s; raise encoder\.timeout_s") as caught:
            encoder.encode_query("工会")
        assert len(server.texts) == 3
        assert "\n" not in str(caught.value)
    finally:
        over.set()


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(EncoderError, match="can't be reached .*refused.*; check encoder.base_url"):
            load_encoder("ours", EncoderOptions(base_url=url)).encode_query("工会")


def test_a_dimension_that_changes_between_replies(server: EmbeddingServer) -> None:
    encoder = encoder_of(server)
    assert encoder.dim == 256
    server.answer = lambda body: reply([row[:100] for row in vectors(body["input"])])
    with pytest.raises(EncoderError, match="gave vectors of 100 dimensions where it gave 256 before"):
        encoder.encode_query("工会")


ROW = [0.5] * 256


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _: reply([ROW]), r"gave 1 vectors, numbered \[0\], for 2 texts"),
        (lambda _: reply([ROW] * 3), "gave 3 vectors"),
        (lambda _: reply([]), "gave 0 vectors"),
        (lambda _: reply([ROW, ROW], numbers=[0, 0]), r"numbered \[0, 0\]"),
        (lambda _: reply([ROW, ROW], numbers=["a", None]), "numbered"),
        (lambda _: reply([ROW, ROW[:3]]), r"different dimensions \[3, 256\]"),
        (lambda _: reply([ROW, [float("nan")] * 256]), "not a row of finite numbers"),
        (lambda _: reply([ROW, [float("inf"), *ROW[1:]]]), "not a row of finite numbers"),
        (lambda _: reply([ROW, []]), "not a row of finite numbers"),
        (lambda _: reply([ROW, [ROW]]), "not a row of finite numbers"),
        (lambda _: reply([ROW, None]), "not a row of finite numbers"),
        (lambda _: reply([ROW, "AAAA"]), "no numbers"),
        (lambda _: (200, {}, b"<html>welcome</html>"), "gave no embeddings but '<html>welcome</html>'"),
        (lambda _: (200, {}, b"[]"), "gave no embeddings"),
        (lambda _: (200, {}, b'{"data": null}'), "gave no embeddings"),
        (lambda _: (200, {}, b'{"data": ["x"]}'), "gave no embeddings"),
        (lambda _: refusal(404, "no such model"), r"404 Not Found: no such model; check encoder\.model"),
        (lambda _: refusal(400, "not\nthis"), "refused the text with 400 Bad Request: not this"),
        (lambda _: (403, {}, b"x" * 5000), "403 Forbidden: x{100}…"),
    ],
)
def test_a_wrong_reply_is_one_clear_line(
    server: EmbeddingServer, answer: Callable[[dict[str, Any]], Reply], words: str
) -> None:
    encoder = encoder_of(server)
    assert encoder.dim == 256
    server.answer = answer
    with pytest.raises(EncoderError, match=words) as caught:
        encoder.encode_documents(["工会", "职工"])
    assert str(caught.value).startswith(f"encoder.base_url: {server.url}/embeddings ")
    assert "\n" not in str(caught.value)


def test_what_is_asked_for_is_openai_s_request(server: EmbeddingServer) -> None:
    seen: list[dict[str, Any]] = []

    def noting(body: dict[str, Any]) -> Reply:
        seen.append(body)
        return reply(vectors(body["input"]))

    server.answer = noting
    encoder_of(server).encode_query("工会")
    assert json.loads(json.dumps(seen[-1])) == {"model": "ours", "input": ["工会"], "encoding_format": "float"}
