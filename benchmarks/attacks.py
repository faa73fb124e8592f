"""What `hostile.py` sends: questions, messages, bodies, heads and files, grown from grammars."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from served import KEY

TIMEOUT_S = 150
SHARE_OF_FILES = 0.06

UNITS = (
    *"1 0aA的一（(「[{<>)]}》”“\"'`\\/|&%*?!.,;:，。、；：？！-—_~#@$^+=\t\n\r",
    *("\u0301", "\u200d", "\u202e", "\ufeff", "\u3000", "\U0001f469\u200d", "\x00", "é", "ไ", "ア", "ñ", "٣"),
    *(
        "第一章\n",
        "作者:",
        "2025-01-",
        "一二三",
        "１２",
        "万亿",
        "A.1.",
        "http://",
        "的的",
        "和",
        "多少",
        "a1",
        "1,",
        "。\n",
    ),
    *(
        "<chat_history>",
        "</chat_history>",
        "USER: ",
        "### Task:\n",
        "{{",
        "\n\n",
        "|-",
        "<p>",
        "<table>",
        "&amp;",
        "OR ",
    ),
)
NOUNS = (
    "兰州",
    "学生",
    "帮扶中心",
    "资金",
    "A-1",
    "2025年",
    "第15号",
    "他",
    "the ticket",
    "книга",
    "１０万元",
    "",
    "·",
)
VERBS = ("资助了", "发放", "是", "有多少", "为什么", "costs", "什么时候", "超过", "不", "？", "和")
READ = (
    "/v1/documents",
    "/v1/jobs",
    "/v1/map",
    "/v1/examples",
    "/v1/models",
    "/metrics",
    "/openapi.json",
    "/docs",
)


def flood(chance: random.Random, size: int) -> str:
    """One, two or three units over and over, with something else at the end now and then."""
    unit = "".join(chance.choice(UNITS) for _ in range(chance.choice((1, 1, 1, 2, 3))))
    text = (unit * (size // len(unit) + 1))[:size]
    return text if chance.random() < 0.6 else text[:-1] + chance.choice(("x", "1", "]", "。", "？"))


def sentence(chance: random.Random, depth: int) -> str:
    """A question without end: clauses within clauses."""
    if depth == 0:
        return chance.choice(NOUNS) + chance.choice(VERBS) + chance.choice(NOUNS)
    inner = sentence(chance, depth - 1)
    return chance.choice(
        (f"{inner}和{inner}", f"在{inner}的{chance.choice(NOUNS)}", f"({inner})，{inner}", f"{inner}吗")
    )


def text(chance: random.Random, most: int = 4000) -> str:
    """What is asked: as long as may be, mostly, and sometimes much longer."""
    if chance.random() < 0.3:
        return sentence(chance, chance.randrange(1, 9))[:most]
    return flood(chance, chance.choice((1, 50, 999, most, most, most, most + 1, 20_000, 300_000)))


def nested(chance: random.Random, depth: int) -> Any:  # noqa: ANN401
    """A JSON value of so many levels."""
    value: Any = chance.choice((None, 1e308, -1, "", "x", True))
    for _ in range(depth):
        value = [value] if chance.random() < 0.5 else {"a": value}
    return value


@dataclass(frozen=True, slots=True)
class Attack:
    """One thing that is sent: its kind, and how; it gives the status, or 0 where there is none."""

    kind: str
    send: Callable[[httpx.Client], int]


def request(kind: str, method: str, path: str, **options: Any) -> Attack:  # noqa: ANN401
    """An attack that is an ordinary request, as far as httpx can send it."""

    def send(client: httpx.Client) -> int:
        return client.request(method, path, **options).status_code

    return Attack(kind, send)


def raw(kind: str, message: bytes, copies: int = 1, hold_s: float = 0.0) -> Attack:
    """An attack of bytes, on so many connections at once, which are held open."""

    def send(client: httpx.Client) -> int:
        address = (client.base_url.host, client.base_url.port or 80)
        with suppress(OSError):
            held = [socket.create_connection(address, timeout=TIMEOUT_S) for _ in range(copies)]
            for connection in held:
                with suppress(OSError):
                    connection.sendall(message)
            time.sleep(hold_s)
            for connection in held:
                connection.close()
        return 0

    return Attack(kind, send)


def asked(chance: random.Random) -> Attack:
    """A question in the address or in a body, with filters and history."""
    body: dict[str, Any] = {"query": text(chance)}
    if chance.random() < 0.4:
        body["history"] = [text(chance, 3000) for _ in range(chance.choice((1, 5, 100, 101)))]
    if chance.random() < 0.3:
        globs = ("*" * 500, "*a" * 400, "[" * 900, "[!" * 300 + "]", "?" * 999)
        body["filters"] = {"path": chance.choice(globs), "document_id": ["x" * 999] * chance.choice((1, 1000))}
    body |= chance.choice(({}, {"explain": True}, {"top_k": 100}, {"stream": True}, {"answer": "generated"}))
    path = chance.choice(("/v1/ask", "/v1/ask", "/v1/search", "/v1/why-not"))
    if path == "/v1/why-not":
        body = {"query": body["query"], "document": chance.choice((text(chance, 900), "000_ae71b4d254c1ee34.txt"))}
    if path == "/v1/search":
        body.pop("history", None)
    if path == "/v1/ask" and chance.random() < 0.2:
        return request("address", "GET", "/v1/ask", params={"q": body["query"][:4001]})
    return request(path.rpartition("/")[2], "POST", path, json=body)


def chatted(chance: random.Random) -> Attack:
    """A chat: floods as content, tasks of clients, parts, many turns."""
    task = f"### Task:\n{flood(chance, 2000)}\n<chat_history>\n{text(chance)}\n</chat_history>\n### Output:\n"
    contents = [text(chance), task, "[" * 100_000, '{"a":' * 20_000, [{"type": "text", "text": text(chance)}] * 3]
    turns = [
        {"role": chance.choice(("user", "assistant", "system")), "content": chance.choice(contents)}
        for _ in range(chance.choice((0, 1, 3, 20)))
    ]
    messages = [*turns, {"role": "user", "content": chance.choice(contents)}]
    return request("chat", "POST", "/v1/chat/completions", json={"messages": messages, "stream": chance.random() < 0.2})


def called(chance: random.Random) -> Attack:
    """A call of an MCP tool, or none."""
    tool = chance.choice(("ask", "search", "get_document", "list_documents", "verify", text(chance, 100)))
    arguments = {chance.choice(("question", "query", "document_id", "text")): text(chance)}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    message |= chance.choice(({}, {"method": text(chance, 50)}, {"params": nested(chance, 60)}, {"id": "9" * 500}))
    accept = {"Accept": "application/json, text/event-stream"}
    return request("mcp", "POST", "/mcp", json=message, headers=accept)


def retrieved(chance: random.Random) -> Attack:
    """Dify's retrieval with conditions without end."""
    operators = ("contains", "not in", "before", "empty", "≠", flood(chance, 50))
    conditions = [
        {"name": ["title"] * 50, "comparison_operator": chance.choice(operators), "value": text(chance, 500)}
        for _ in range(chance.choice((0, 1, 100)))
    ]
    body = {
        "knowledge_id": chance.choice(("cited-qa", "seeds", text(chance, 100))),
        "query": text(chance),
        "retrieval_setting": {"top_k": chance.choice((1, 10**9)), "score_threshold": chance.choice((0, 1, None))},
        "metadata_condition": {"logical_operator": "or", "conditions": conditions},
    }
    return request("dify", "POST", "/retrieval", json=body)


def malformed(chance: random.Random) -> Attack:
    """A body that is no request."""
    bodies = (
        b"[" * 500_000,
        b'{"a":' * 150_000,
        b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(70_000)) + b"}",
        b'"' + b"\\u0000" * 100_000,
        b"[" + b"1," * 400_000 + b"1]",
        b"9" * 900_000,
        chance.randbytes(50_000),
        json.dumps({"query": nested(chance, 60)}).encode(),
        flood(chance, 300_000).encode("utf-8", "replace"),
    )
    paths = ("/v1/ask", "/v1/search", "/v1/index", "/v1/chat/completions", "/mcp", "/retrieval", "/v1/why-not", "/")
    kind = {"Content-Type": chance.choice(("application/json", "text/plain", "multipart/form-data; boundary=x"))}
    return request("malformed", "POST", chance.choice(paths), content=chance.choice(bodies), headers=kind)


def headed(chance: random.Random) -> Attack:
    """A head that is too much, or a connection that goes nowhere."""
    promise = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n%s\r\n"
    path = chance.choice((b"/v1/ask", b"/", b"/v1/documents", b"/mcp", b"/nowhere"))
    key = chance.choice((b"", f"X-API-Key: {KEY}\r\n".encode()))
    return chance.choice(
        (
            raw("head", b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 40_000),
            raw("head", b"GET /" + b"%41" * 300_000 + b" HTTP/1.1\r\n\r\n"),
            raw("head", b"GET /v1/ask?" + b"history=a&" * 6_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
            raw("head", chance.randbytes(5000)),
            raw("idle", b"", copies=60, hold_s=1.0),
            raw("promise", promise % (path, key), copies=40, hold_s=1.0),
        )
    )


def looked(chance: random.Random) -> Attack:
    """Reading what there is, with parameters that are none."""
    path = chance.choice((*READ, "/v1/documents/" + flood(chance, 300).replace("/", "x").replace("\x00", "y")))
    value = text(chance, 900)[:2000]
    return request("read", "GET", path, params={chance.choice(("q", "cursor", "limit", "passage_id", "start")): value})


def filed(chance: random.Random, files: list[Path]) -> Attack:
    """A document that hurts who reads it."""
    if chance.random() < 0.5:
        file = chance.choice(files)
        name, data = file.name, file.read_bytes()
    else:
        suffix = chance.choice((".txt", ".md", ".html", ".csv", ".eml"))
        name, data = f"flood{suffix}", flood(chance, chance.choice((5000, 100_000, 400_000))).encode("utf-8", "replace")
    return request("upload", "POST", "/v1/documents", files={"file": (name, data)}, data={"replace": "true"})


def attacks(number: int, seed: int, files: list[Path]) -> Iterator[Attack]:
    """So many attacks, the same for the same seed."""
    chance = random.Random(seed)
    kinds = (asked, asked, asked, asked, chatted, chatted, called, retrieved, malformed, headed, looked)
    for _ in range(number):
        yield filed(chance, files) if chance.random() < SHARE_OF_FILES else chance.choice(kinds)(chance)
