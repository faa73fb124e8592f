"""A real server with OpenAI's embeddings API over the bundled model, which can be told to misbehave."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from index.encoder import load_encoder

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class EmbeddingServer:
    """`answer` makes the reply to a request body; `texts` are those asked for, request by request."""

    url: str = ""
    answer: Callable[[dict[str, Any]], Reply] = lambda body: reply(vectors(body["input"]))
    texts: list[list[str]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def flat(self) -> list[str]:
        return [text for texts in self.texts for text in texts]


@contextmanager
def embedding_server() -> Iterator[EmbeddingServer]:
    """A server on a free port of 127.0.0.1."""
    served = EmbeddingServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            served.texts.append(body["input"])
            served.keys.append(self.headers["authorization"])
            served.paths.append(self.path)
            status, headers, content = served.answer(body)
            try:
                self.send_response(status)
                for name, value in {"content-length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client was killed, or did not wait

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


_bundled = load_encoder()


def vectors(texts: Sequence[str]) -> list[list[float]]:
    """Twice the bundled vectors: a client must not count on unit length."""
    return (2 * _bundled.encode_documents(texts)).tolist()


def reply(rows: Sequence[object], *, status: int = 200, numbers: Sequence[object] | None = None) -> Reply:
    """What OpenAI's API replies, with these vectors."""
    items = [{"object": "embedding", "index": n, "embedding": row} for n, row in enumerate(rows)]
    for item, number in zip(items, numbers or [], strict=False):
        item["index"] = number
    return status, {"content-type": "application/json"}, json.dumps({"object": "list", "data": items}).encode()


def refusal(status: int, message: str = "no", **headers: str) -> Reply:
    """An error as OpenAI's API writes it."""
    return status, headers, json.dumps({"error": {"message": message}}).encode()
