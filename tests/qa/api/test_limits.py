"""What the server does not take on: too many requests, too much at once, what takes too long, slow clients."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from qa.api.limits import FullError, Places
from qa.configuration.config import Config
from qa.configuration.settings import ServerConfig
from tests.qa.api.test_access import ADMIN, KEYS, QUERY, READ, bearer, with_server
from tests.qa.api.test_api_errors import JSON, assert_problem
from tests.qa.servers import serving, wait_until


class Blocking:
    """A route that works in a thread until it is let go, and one that streams so."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.running = 0
        self.flooded = 0

    def extend(self, app: FastAPI) -> None:
        app.add_api_route("/block", self._block, methods=["GET", "POST"])
        app.add_api_route("/stream", self._stream)
        app.add_api_route("/flood", self._flood)

    def _block(self) -> str:
        self.running += 1
        self.go.wait(30)
        self.running -= 1
        return "done"

    def _flood(self) -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            for _ in range(100):
                self.flooded += 1
                yield b"x" * 1_000_000

        return StreamingResponse(parts())

    def _stream(self) -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            for _ in range(6):
                yield b"x"
                time.sleep(0.2)
            self.go.wait(30)
            yield b"end"

        return StreamingResponse(parts(), media_type="text/plain")


@contextmanager
def blocking(config: Config, **settings: object) -> Iterator[tuple[httpx.Client, Blocking]]:
    routes = Blocking()
    with serving(with_server(config, **settings), extend=routes.extend, is_ready=False) as client:
        try:
            yield client, routes
        finally:
            routes.go.set()


class TestRate:
    def test_is_counted_for_each_key(self, seeds_config):
        config = with_server(seeds_config, rate_limit="3/hour", api_keys=KEYS)
        with serving(config) as client:
            for key in (READ, ADMIN):
                statuses = [client.get("/v1/documents", headers=bearer(key)).status_code for _ in range(4)]
                assert statuses == [200, 200, 200, 429]
            refused = client.get("/v1/documents", headers=bearer(READ))
            assert "3 per 1 hour" in assert_problem(refused, 429, "too-many-requests")
            assert 1 <= int(refused.headers["retry-after"]) <= 3600
            assert client.get("/readyz").status_code == client.get("/healthz").status_code == 200

    def test_wrong_keys_are_counted_by_address(self, seeds_config):
        config = with_server(seeds_config, rate_limit="3/hour", api_keys=KEYS)
        with serving(config, is_ready=False) as client:
            statuses = [client.get("/v1/documents", headers=bearer(f"guess {n}")).status_code for n in range(5)]
            assert statuses == [401, 401, 401, 429, 429]
            assert client.get("/v1/documents", headers=bearer(READ)).status_code != 429

    def test_passes_again_when_the_time_is_over(self, seeds_config):
        with serving(with_server(seeds_config, rate_limit="1/second"), is_ready=False) as client:
            wait_until(lambda: client.get("/docs").status_code == 429)
            wait_until(lambda: client.get("/docs").status_code == 200)


class TestBackPressure:
    def test_what_is_beyond_the_bounds_is_refused_at_once(self, seeds_config):
        with blocking(seeds_config, max_concurrent=2, max_queued=1) as (client, routes), ThreadPoolExecutor(3) as pool:
            inside = [pool.submit(client.get, "/block") for _ in range(3)]
            wait_until(lambda: routes.running == 2)
            wait_until(lambda: client.get("/block").status_code == 503)
            started = time.monotonic()
            refused = client.post("/block", json={})
            assert time.monotonic() - started < 1
            assert_problem(refused, 503, "overloaded")
            assert int(refused.headers["retry-after"]) > 0
            assert routes.running == 2
            for path in ("/healthz", "/metrics"):
                assert client.get(path).status_code == 200
            routes.go.set()
            assert [found.result().status_code for found in inside] == [200, 200, 200]
            assert client.get("/block").status_code == 200

    def test_those_that_wait_are_served_in_order(self, seeds_config):
        with blocking(seeds_config, max_concurrent=1, max_queued=60) as (client, routes):
            with ThreadPoolExecutor(40) as pool:
                found = [pool.submit(client.get, "/block") for _ in range(40)]
                wait_until(lambda: routes.running == 1)
                routes.go.set()
                assert {done.result().status_code for done in found} == {200}

    def test_who_waits_too_long_is_told(self, seeds_config):
        with blocking(seeds_config, max_concurrent=1, timeout_s=0.5) as (client, routes), ThreadPoolExecutor(1) as pool:
            first = pool.submit(client.get, "/block")
            wait_until(lambda: routes.running == 1)
            assert_problem(client.get("/docs"), 503, "overloaded")
            assert_problem(first.result(), 504, "timed-out")


class TestTime:
    def test_what_takes_too_long_is_told_and_keeps_its_place(self, seeds_config):
        with blocking(seeds_config, max_concurrent=1, max_queued=0, timeout_s=0.3) as (client, routes):
            assert "0.3 s" in assert_problem(client.get("/block"), 504, "timed-out")
            assert routes.running == 1
            assert_problem(client.get("/docs"), 503, "overloaded")
            routes.go.set()
            wait_until(lambda: client.get("/docs").status_code == 200)
            assert client.get("/block").text == '"done"'

    def test_a_stream_goes_on_while_something_comes(self, seeds_config):
        with blocking(seeds_config, timeout_s=0.6) as (client, routes):
            routes.go.set()
            assert client.get("/stream").text == "xxxxxxend"

    def test_a_stream_that_falls_silent_is_cut(self, seeds_config):
        with blocking(seeds_config, timeout_s=0.6) as (client, routes):
            with client.stream("GET", "/stream", headers={"Accept-Encoding": "identity"}) as response:
                came = b""
                with pytest.raises(httpx.RemoteProtocolError):
                    for part in response.iter_raw():
                        came += part
                        if came == b"xxxxxx":
                            threading.Timer(1.2, routes.go.set).start()
                assert came == b"xxxxxx"


HEAD = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\nContent-Length: 1000\r\n%s\r\n"


UPLOADER = b"X-API-Key: " + ADMIN.encode() + b"\r\nConnection: close\r\n"


def received(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    connection.settimeout(10)
    parts = []
    with connection, suppress(ConnectionResetError):  # what was still sent has nobody to read it
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@contextmanager
def trickling(connection: socket.socket, part: bytes, every_s: float = 0.1) -> Iterator[None]:
    """`part` is sent over and over, until the other side closes or the block ends."""
    over = threading.Event()

    def send() -> None:
        while not over.wait(every_s):
            try:
                connection.sendall(part)
            except OSError:
                return

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def hurried(seeds_config: Config) -> Iterator[Callable[[], socket.socket]]:
    """Makes connections to a server that gives its clients half a second."""
    config = with_server(seeds_config, read_timeout_s=0.5, max_concurrent=1, max_queued=3, api_keys=KEYS)
    with serving(config) as client:
        yield lambda: socket.create_connection((client.base_url.host, client.base_url.port))


class TestSlowClients:
    def test_that_send_nothing(self, hurried):
        assert received(hurried()) == b""

    def test_that_trickle_the_head(self, hurried):
        connection = hurried()
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        with trickling(connection, b"X-More: a\r\n"):
            assert received(connection) == b""

    def test_that_trickle_a_second_head(self, hurried):
        connection = hurried()
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\n")
        with trickling(connection, b"X-More: a\r\n"):
            assert received(connection).count(b"200 OK") == 1

    def test_that_trickle_the_body(self, hurried):
        connection = hurried()
        connection.sendall(HEAD % (b"/v1/ask", b"application/json", UPLOADER))
        with trickling(connection, b" "):
            answer = received(connection)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"/problems/slow-body" in answer

    def test_that_go_on_sending_what_was_refused(self, hurried):
        connection = hurried()
        connection.sendall(HEAD % (b"/v1/ask", b"application/json", b""))
        with trickling(connection, b" "):
            assert received(connection).startswith(b"HTTP/1.1 401 ")

    def test_hold_no_place_where_work_is_done(self, hurried):
        slow = [hurried() for _ in range(3)]
        for connection in slow:
            connection.sendall(HEAD % (b"/v1/ask", b"application/json", UPLOADER))
        connection = hurried()
        connection.sendall(b"GET /docs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert received(connection).startswith(b"HTTP/1.1 200 ")
        for connection in slow:
            assert b"slow-body" in received(connection)

    def test_an_upload_may_take_long_but_not_stop(self, hurried):
        opening = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.exe"\r\n\r\n'
        head = HEAD % (b"/v1/documents", b"multipart/form-data; boundary=x", UPLOADER)
        connection = hurried()
        connection.sendall(head + opening)
        for _ in range(8):  # twice as long as may pass between two parts
            connection.sendall(b"x" * 100)
            time.sleep(0.12)
        connection.sendall(b"x" * 300)
        assert received(connection).startswith((b"HTTP/1.1 415 ", b"HTTP/1.1 422 "))
        connection = hurried()
        connection.sendall(head + opening.replace(b"exe", b"txt"))
        assert received(connection).startswith(b"HTTP/1.1 408 ")

    def test_that_go_away_in_the_middle(self, hurried):
        for _ in range(20):
            connection = hurried()
            connection.sendall(HEAD % (b"/v1/ask", b"application/json", UPLOADER))
            connection.close()
        wait_until(lambda: b" 200 " in self._ask(hurried))

    def _ask(self, connect: Callable[[], socket.socket]) -> bytes:
        connection = connect()
        connection.sendall(b"GET /docs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return received(connection)


def test_connections_beyond_the_bound_are_closed(seeds_config):
    with serving(with_server(seeds_config, max_connections=3), is_ready=False) as client:
        address = (client.base_url.host, client.base_url.port)
        held = [socket.create_connection(address) for _ in range(3)]
        with pytest.raises(httpx.TransportError):
            client.get("/healthz")
        for connection in held:
            connection.close()
        wait_until(lambda: _is_answered(client))


def _is_answered(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_body_is_read_once_and_whole(client):
    response = client.post(
        "/v1/search", content=(part for part in (b'{"query"', b': "\xe5\xb7', b'\xa5"}')), headers=JSON
    )
    assert response.status_code == 200
    assert client.post("/v1/search", json=QUERY).status_code == 200


def test_a_client_that_does_not_read_is_cut_off(seeds_config):
    with blocking(seeds_config, max_concurrent=1, timeout_s=0.5) as (client, app):
        with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /flood HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            wait_until(lambda: app.flooded > 0)
            wait_until(lambda: client.get("/docs").status_code == 200)
            assert app.flooded < 100


PROMISE = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n%s\r\n"


@contextmanager
def promising(client: httpx.Client, path: bytes, number: int, headers: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many connections that announce a body and send none."""
    address = (client.base_url.host, client.base_url.port)
    held = [socket.create_connection(address) for _ in range(number)]
    try:
        for connection in held:
            connection.sendall(PROMISE % (path, headers))
        yield held
    finally:
        for connection in held:
            connection.close()


class TestLockOut:
    @pytest.mark.parametrize("path", [b"/", b"/nowhere", b"/docs", b"/documents/x", b"/v1/ask", b"/mcp", b"/healthz"])
    def test_who_has_no_key_takes_no_place(self, seeds_config, path):
        config = with_server(seeds_config, api_keys=KEYS, max_concurrent=2, max_queued=6)
        with serving(config) as client, promising(client, path, 20):
            for _ in range(3):
                assert client.post("/v1/ask", json=QUERY, headers=bearer(READ)).status_code == 200

    @pytest.mark.parametrize("path", [b"/", b"/v1/ask", b"/v1/chat/completions", b"/retrieval", b"/mcp"])
    def test_a_body_that_does_not_come_takes_no_place(self, seeds_config, path):
        with serving(with_server(seeds_config, max_concurrent=2, max_queued=6)) as client, promising(client, path, 20):
            for _ in range(3):
                assert client.post("/v1/ask", json=QUERY).status_code == 200

    def test_of_many_bodies_the_one_that_is_waited_for_longest_is_given_up(self, seeds_config):
        config = with_server(seeds_config, max_concurrent=1, max_queued=2)
        with serving(config) as client, promising(client, b"/v1/ask", 3) as held:
            time.sleep(0.7)  # they are no longer given the time to come
            assert client.post("/v1/ask", json=QUERY).status_code == 200
            assert b"slow-body" in held[0].recv(65536)

    def test_uploads_keep_no_question_out(self, seeds_config):
        config = with_server(seeds_config, max_concurrent=2, max_queued=2)
        with serving(config) as client, promising(client, b"/v1/documents", 20):
            assert client.post("/v1/ask", json=QUERY).status_code == 200

    def test_idle_connections_make_room(self, seeds_config):
        with serving(with_server(seeds_config, max_connections=5)) as client:
            client.close()
            address = (client.base_url.host, client.base_url.port)
            held = [socket.create_connection(address) for _ in range(10)]
            time.sleep(1.2)
            for _ in range(3):
                assert httpx.get(client.base_url.join("/healthz")).status_code == 200
            for connection in held:
                connection.close()

    def test_the_one_who_takes_most_makes_room(self):
        async def turns() -> list[str]:
            places = Places(1, 3)
            await places.take(lambda: "busy", 1)
            done: list[str] = []

            async def wait(payer: str) -> None:
                try:
                    await places.take(lambda: payer, 1)
                except FullError:
                    done.append(f"{payer} refused")
                else:
                    done.append(payer)
                    places.give_back()

            tasks = [asyncio.create_task(wait(payer)) for payer in ("busy", "busy", "busy", "busy", "quiet", "quiet")]
            await asyncio.sleep(0)
            places.give_back()
            await asyncio.gather(*tasks)
            assert places.waiting == 0
            await places.take(lambda: "free again", 1)
            return done

        done = asyncio.run(turns())
        assert sorted(done) == ["busy", "busy", "busy refused", "busy refused", "quiet", "quiet refused"]


class TestProxies:
    """Limits go by the address that asks; what a client says of itself counts only from a proxy that is trusted."""

    def _statuses(self, config: Config) -> list[int]:
        with serving(config, is_ready=False) as client:
            addresses = [f"203.0.113.{n}" for n in range(5)]
            return [client.get("/docs", headers={"X-Forwarded-For": address}).status_code for address in addresses]

    def test_no_one_is_believed_unless_set(self, seeds_config):
        assert self._statuses(with_server(seeds_config, rate_limit="3/hour")) == [200, 200, 200, 429, 429]

    @pytest.mark.parametrize("proxies", [("127.0.0.1",), ("10.0.0.0/8", "127.0.0.0/8")])
    def test_who_is_set_is_believed(self, seeds_config, proxies):
        config = with_server(seeds_config, rate_limit="3/hour", trusted_proxies=proxies)
        assert self._statuses(config) == [200] * 5

    def test_another_address_is_not(self, seeds_config):
        config = with_server(seeds_config, rate_limit="3/hour", trusted_proxies=("192.0.2.1",))
        assert self._statuses(config) == [200, 200, 200, 429, 429]

    @pytest.mark.parametrize("proxies", ["localhost", "10.0.0.0/99", "*"])
    def test_what_is_no_address_is_an_error(self, proxies):
        with pytest.raises(ValueError, match="no address and no network"):
            ServerConfig(trusted_proxies=proxies)
