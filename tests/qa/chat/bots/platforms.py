"""Local servers that speak the chat platforms' protocols as documented, for the vendors' real SDKs."""

from __future__ import annotations

import json
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from websockets.sync.server import Server, ServerConnection
from websockets.sync.server import serve as serve_sockets

from qa.chat.bots.dispatcher import Dispatcher
from qa.chat.bots.run import find_bot
from qa.configuration.config import Config
from qa.engine import Engine
from tests.qa.servers import wait_until

Body = dict[str, Any]
Route = Callable[[Body, str], tuple[int, Body]]


@dataclass
class Reply:
    """What the bot said: its text, the addresses of its links, what it answers, and whom it calls by name."""

    text: str
    links: list[str]
    to: str = ""
    calls: list[str] = field(default_factory=list)
    stream: str = ""


class Platform(ABC):
    """A chat platform with an HTTP API and a WebSocket. `ask` is a message in a group that names the bot."""

    name: ClassVar[str]
    connects = True

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.calls: list[str] = []
        self.replies: queue.Queue[Reply] = queue.Queue()
        self.acks: list[str] = []
        self.is_failing = False
        self.connections: list[ServerConnection] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._threads = [threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})]
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._sockets = self.make_sockets()
        self._threads.append(threading.Thread(target=self._sockets.serve_forever))
        for thread in self._threads:
            thread.start()

    @abstractmethod
    def settings(self) -> Body:
        """The bot's group of settings."""

    @abstractmethod
    def ask(self, text: str, *, user: str = "ada", chat: str = "c1", message: str = "m1") -> None: ...

    @abstractmethod
    def ask_alone(self, text: str, *, user: str = "ada", message: str = "m1") -> None:
        """The same in a direct chat."""

    @abstractmethod
    def receive(self, connection: ServerConnection, message: str | bytes) -> None: ...

    def greet(self, connection: ServerConnection) -> None:
        """What the platform does when a connection is made."""
        self.connections.append(connection)

    def make_sockets(self) -> Server:
        return serve_sockets(self._connected, "127.0.0.1", 0)

    @property
    def port(self) -> int:
        port: int = self._sockets.socket.getsockname()[1]
        return port

    def wait(self) -> None:
        """Until the bot receives messages."""
        wait_until(lambda: bool(self.connections))

    @property
    def connection(self) -> ServerConnection:
        wait_until(lambda: bool(self.connections))
        return self.connections[-1]

    def reply(self) -> Reply:
        return self.replies.get(timeout=30)

    def is_acknowledged(self, message: str) -> bool:
        return message in self.acks

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._sockets.shutdown()
        for connection in self.connections:
            connection.close()
        for thread in self._threads:
            thread.join()

    def _connected(self, connection: ServerConnection) -> None:
        self.greet(connection)
        for message in connection:
            self.receive(connection, message)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.loads(content) if content.startswith(b"{") else {"form": content.decode()}
                body["headers"] = dict(self.headers)
                path = urlsplit(self.path).path
                platform.calls.append(path)
                route = next((route for prefix, route in platform.routes.items() if path.startswith(prefix)), None)
                status, answer = route(body, self.path) if route else (404, {"message": "no such path"})
                self.send_response(status)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


@contextmanager
def running(platform: Platform, config: Config, engine: Engine | None = None) -> Iterator[threading.Thread]:
    """The bot for a platform, in a thread; what ended it is raised."""
    dispatcher = Dispatcher(engine or Engine(config))
    closing, failed = threading.Event(), list[BaseException]()

    def serve() -> None:
        try:
            find_bot(platform.name, config)(config, dispatcher, closing)
        except BaseException as exc:
            failed.append(exc)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield thread
    finally:
        dispatcher.close(grace_s=10)
        closing.set()
        thread.join(timeout=30)
        assert not thread.is_alive()
        if failed:
            raise failed[0]


def now_ms() -> int:
    return int(time.time() * 1000)


def links_in(markdown: str) -> list[str]:
    """The addresses that CommonMark makes links of."""
    tokens = MarkdownIt("commonmark", {"linkify": False}).parse(markdown)
    inline = [child for token in tokens for child in token.children or ()]
    return [str(child.attrs["href"]) for child in inline if child.type == "link_open"]
