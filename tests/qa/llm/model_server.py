"""A real HTTP server that speaks OpenAI's streaming chat completions, and can be told how to behave.

It answers from the passages in its prompt, as a model would, and knows nothing else of the documents.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "test-model"
KEY = "sk-test-secret"
# Long enough to tell that a client waits for something else; a test that is right never waits so long.
FOREVER_S = 60

Behaviour = Callable[["Reply"], None]


@dataclass
class Prompt:
    """What a request tells the model."""

    system: str
    user: str
    body: dict[str, Any]

    @property
    def boundary(self) -> str:
        return re.findall("<<<end ([0-9a-f]+)>>>", self.system)[0]

    @property
    def passages(self) -> dict[int, str]:
        """The numbered passages, without the lines around them."""
        block = re.compile(f"<<<passage ([0-9]+) {self.boundary}>>>\n(.*?)\n<<<end {self.boundary}>>>", re.DOTALL)
        return {int(n): text for n, text in block.findall(self.user)}

    @property
    def outside(self) -> str:
        """All that stands outside the delimited blocks: the orders that a model is right to follow."""
        return self.system + re.sub(
            f"<<<[^\n]* {self.boundary}>>>\n.*?\n<<<end {self.boundary}>>>", "", self.user, flags=re.S
        )

    @property
    def question(self) -> str:
        return self.user.rpartition("Question: ")[2]


@dataclass
class ModelServer:
    """What the server does with the next requests, and what it saw."""

    behave: Behaviour
    base_url: str = ""
    prompts: list[Prompt] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    was_left: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


class Reply:
    """One reply while it is being made."""

    def __init__(self, handler: BaseHTTPRequestHandler, server: ModelServer, prompt: Prompt) -> None:
        self._handler = handler
        self.server = server
        self.prompt = prompt

    def start(self, content_type: str = "text/event-stream") -> None:
        self._handler.send_response(200)
        self._handler.send_header("Content-Type", content_type)
        self._handler.send_header("Transfer-Encoding", "chunked")
        self._handler.end_headers()

    def raw(self, data: bytes) -> None:
        self._handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self._handler.wfile.flush()

    def say(self, text: str, finish: str | None = None, **delta: Any) -> None:
        content = {"content": text} if text else {}
        choice = {"index": 0, "delta": {**content, **delta}, "finish_reason": finish}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]}
        self.raw(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())

    def finish(self, reason: str = "stop") -> None:
        self.say("", reason)
        self.raw(b"data: [DONE]\n\n")
        self.raw(b"")

    def tell(self, text: str, reason: str = "stop", size: int = 3) -> None:
        """A whole answer, a few characters at a time."""
        self.start()
        self.say("", role="assistant")
        for start in range(0, len(text), size):
            self.say(text[start : start + size])
        self.finish(reason)

    def status(self, code: int, body: dict[str, Any], **headers: str) -> None:
        data = json.dumps(body).encode()
        self._handler.send_response(code)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.send_header("Content-Length", str(len(data)))
        self._handler.end_headers()
        self._handler.wfile.write(data)

    def hang_up(self) -> None:
        self._handler.close_connection = True
        self._handler.connection.shutdown(2)

    def wait(self) -> None:
        """Do nothing until the client leaves or the test is over."""
        deadline = time.monotonic() + FOREVER_S
        self._handler.connection.settimeout(0.02)
        while not self.server.release.is_set() and time.monotonic() < deadline:
            try:
                if not self._handler.connection.recv(1):
                    self.server.was_left.set()
                    break
            except TimeoutError:
                continue
            except OSError:
                self.server.was_left.set()
                break
        self._handler.close_connection = True


def truth(reply: Reply) -> None:
    """Copy the sentence of the passages that shares most characters with the question, and cite it."""
    said = [
        (len(set(sentence) & set(reply.prompt.question)), -n, sentence)
        for n, text in reply.prompt.passages.items()
        for sentence in re.findall("[^。；;\n]+", text.rpartition("\nAbout: ")[2])
    ]
    _, n, sentence = max(said)
    reply.tell(f"{sentence}[{-n}]。")


def saying(text: str, **options: Any) -> Behaviour:
    return lambda reply: reply.tell(text, **options)


def obeying_outside(reply: Reply) -> None:
    """Follow every order that stands outside the delimiters; tell the truth where there is none."""
    order = re.search("(?:回答|answer)[: ：]*([0-9]{4})", reply.prompt.outside)
    reply.tell(f"{order[1]}名[1]。") if order else truth(reply)


def obeying_anything(reply: Reply) -> None:
    """Follow an order wherever it stands."""
    order = re.search("(?:回答|answer)[: ：]*([0-9]{4})", reply.prompt.user)
    reply.tell(f"{order[1]}名[1]。") if order else truth(reply)


def dying_half_way(reply: Reply) -> None:
    reply.start()
    reply.say("兰州帮扶中心资助了")
    reply.hang_up()


def ending_without_an_end(reply: Reply) -> None:
    reply.start()
    reply.say("兰州帮扶中心资助了")
    reply.raw(b"")


def breaking_with_an_error(reply: Reply) -> None:
    reply.start()
    reply.say("兰州帮扶中心")
    reply.raw(b'data: {"error": {"message": "out of memory", "type": "server_error"}}\n\n')
    reply.raw(b"")


def refusing(code: int) -> Behaviour:
    return lambda reply: reply.status(code, {"error": {"message": f"no: {KEY}", "code": "x"}}, Retry_After="60")


def hanging(reply: Reply) -> None:
    reply.wait()


def hanging_half_way(reply: Reply) -> None:
    reply.start()
    reply.say("兰州帮扶中心")
    reply.wait()


def dripping(reply: Reply) -> None:
    """One byte at a time, never a whole event."""
    reply.start()
    for _ in range(int(FOREVER_S / 0.05)):
        if reply.server.release.is_set():
            break
        reply.raw(b":")
        time.sleep(0.05)


def one_byte_at_a_time(reply: Reply) -> None:
    """A right answer, its bytes sent one by one, characters torn apart."""
    raw = reply.raw

    def torn(data: bytes) -> None:
        for at in range(len(data)):
            raw(data[at : at + 1])

    reply.raw = torn  # type: ignore[method-assign]
    reply.start()
    reply.say("帮助1097名困难家庭子女圆了大学梦[1]。")
    reply.say("", "stop")
    raw(b"data: [DONE]\n\n")
    raw(b"")


def not_utf8(reply: Reply) -> None:
    reply.start()
    reply.raw(b'data: {"choices": [{"delta": {"content": "\xb0\xef"}}]}\n\n')
    reply.finish()


def sending(data: bytes) -> Behaviour:
    """An event stream of just these bytes."""

    def behave(reply: Reply) -> None:
        reply.start()
        reply.raw(data)
        reply.raw(b"")

    return behave


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    ours: ModelServer

    def do_GET(self) -> None:
        reply = Reply(self, self.ours, Prompt("", "", {}))
        if self.path != "/v1/models":
            reply.status(404, {"error": {"message": "nothing here"}})
        elif self.headers.get("Authorization") != f"Bearer {KEY}":
            reply.status(401, {"error": {"message": "wrong key"}})
        else:
            reply.status(
                200, {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "us"}]}
            )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        system, user = (message["content"] for message in body["messages"])
        prompt = Prompt(system, user, body)
        self.ours.prompts.append(prompt)
        self.ours.keys.append(self.headers.get("Authorization"))
        try:
            self.ours.behave(Reply(self, self.ours, prompt))
        except (BrokenPipeError, ConnectionResetError):
            self.ours.was_left.set()
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving_model(behave: Behaviour = truth) -> Iterator[ModelServer]:
    """A model server on loopback, in threads of its own."""
    ours = ModelServer(behave)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"ours": ours}))
    server.daemon_threads = True
    ours.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield ours
    finally:
        ours.release.set()
        server.shutdown()
        thread.join()
        server.server_close()
