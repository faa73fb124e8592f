"""What a request may be: each part is bounded before anything reads it, and refused in the shape that is spoken."""

from __future__ import annotations

import json
import socket
import time

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.api.bodies import MAX_DEPTH, MAX_KEYS, MAX_PATH_BYTES, MAX_QUERY_BYTES, unfit_shape
from qa.serving.connections import MAX_HEAD_LINES
from tests.qa.api.test_api_errors import JSON, assert_problem
from tests.qa.api.test_limits import received

DEEP = "[" * 100_000
NATIVE = ("/v1/ask", "/v1/search", "/v1/why-not", "/v1/index", "/mcp")


class TestShape:
    @pytest.mark.parametrize("depth", [1, MAX_DEPTH - 1, MAX_DEPTH])
    def test_what_is_nested_as_deep_as_may_be_is_taken(self, depth):
        assert unfit_shape(("[" * depth + "]" * depth).encode()) is None
        assert unfit_shape(('{"a":' * depth + "1" + "}" * depth).encode()) is None

    @pytest.mark.parametrize("text", [DEEP, '{"a":' * 5000, "[" * 65 + "]" * 65, '[{"a":' * 40, '"\\""' + DEEP])
    def test_what_is_nested_deeper_is_not(self, text):
        assert "levels deep" in unfit_shape(text.encode())

    def test_brackets_and_colons_in_strings_count_for_nothing(self):
        assert unfit_shape(json.dumps({"query": DEEP + '"\\' + ":" * 20_000}).encode()) is None

    def test_keys_are_counted(self):
        assert unfit_shape(json.dumps({str(n): n for n in range(MAX_KEYS)}).encode()) is None
        assert "keys" in unfit_shape(json.dumps({str(n): n for n in range(MAX_KEYS + 1)}).encode())

    @given(
        st.recursive(
            st.text() | st.integers() | st.none(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=30,
        )
    )
    def test_what_people_send_is_taken(self, value):
        assert unfit_shape(json.dumps([value] * 40).encode()) is None

    @pytest.mark.parametrize("part", [b'"', b'"\\', b"[", b"]", b"[]", b"{", b'{"a":', b'"a":', b"\\", b"[]]["])
    def test_takes_time_by_its_length(self, part):
        def cost(size: int) -> float:
            body = part * (size // len(part))
            times = []
            for _ in range(5):
                started = time.process_time()
                unfit_shape(body)
                times.append(time.process_time() - started)
            return min(times)

        assert cost(800_000) <= 3 * cost(400_000) + 0.005


class TestDialects:
    @pytest.mark.parametrize("path", NATIVE)
    def test_nesting_is_a_problem(self, client, path):
        refused = client.post(path, content=f'{{"query": {DEEP}', headers=JSON)
        assert "levels deep" in assert_problem(refused, 400, "malformed-json")

    @pytest.mark.parametrize("text", [DEEP, f'{{"messages": [{{"role": "user", "content": {DEEP}'])
    def test_nesting_is_an_error_of_openai_s_shape(self, client, text):
        refused = client.post("/v1/chat/completions", content=text, headers=JSON)
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "malformed_json"

    def test_nesting_is_an_error_of_dify_s_shape(self, client):
        refused = client.post("/retrieval", content=DEEP, headers=JSON)
        assert refused.status_code == 400
        assert refused.json()["error_code"] == 400

    def test_an_explanation_is_short_whatever_is_wrong(self, client):
        refused = client.post("/v1/ask", json={"query": "x", **{f"k{n}": n for n in range(5000)}})
        assert len(assert_problem(refused, 422, "invalid-request")) < 2100
        refused = client.post(
            "/v1/chat/completions", json={"model": "m" * 900_000, "messages": [{"role": "user", "content": "x"}]}
        )
        assert refused.status_code == 404
        assert len(refused.text) < 3000


class TestHead:
    def test_a_path_is_bounded(self, client):
        assert_problem(client.get("/v1/documents/" + "a" * MAX_PATH_BYTES), 414, "address-too-long")

    def test_a_query_string_is_bounded(self, client):
        length = MAX_QUERY_BYTES + 1
        for path, status, said in (
            (b"/v1/ask", 422, b"/problems/invalid-request"),
            (b"/v1/models", 400, b"invalid_request"),
        ):
            with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
                head = b"GET %s?q=%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" % (path, b"a" * length)
                connection.sendall(head)
                answer = received(connection)
            assert answer.startswith(b"HTTP/1.1 %d " % status)
            assert said in answer

    def test_headers_are_bounded_together(self, client):
        many = {f"X-{n}": "a" * 4000 for n in range(9)}
        assert_problem(client.get("/v1/documents", headers=many), 431, "headers-too-large")

    @pytest.mark.parametrize("line", [b"a:b\r\n", b"x" * 2000 + b":y\r\n"])
    def test_a_head_without_end_is_not_even_parsed(self, client, line):
        with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n" + line * (MAX_HEAD_LINES - 1))
            answer = b""
            try:
                for _ in range(100):
                    connection.sendall(line * 10)
                answer = received(connection)
            except OSError:
                answer = answer or b"HTTP/1.1 400 "
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert client.get("/healthz").status_code == 200

    def test_what_is_no_http_is_told_so(self, client):
        with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
            connection.sendall(b"\x00\x01\x02 nonsense\r\n\r\n")
            head, _, body = received(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert json.loads(body)["type"] == "/problems/malformed-request"

    def test_a_body_of_many_lines_is_no_head(self, client):
        text = json.dumps({"query": "工会"}).encode() + b"\n" * 5000
        head = b"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
        for cut in (1, 2, 3, 4, 5):
            with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
                message = head + b"Content-Length: %d\r\n\r\n" % len(text)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(message[:-cut])
                time.sleep(0.05)
                connection.sendall(message[-cut:] + text)
                assert received(connection).startswith(b"HTTP/1.1 200 ")


class TestParts:
    @pytest.mark.parametrize(
        ("part", "said"),
        [
            (b'Content-Disposition: form-data; name="' + b"n" * 9000 + b'"\r\n\r\nx', "header size exceeded"),
            (
                b"X-A: b\r\n" * 17 + b'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nx',
                "header count exceeded",
            ),
            (b'Content-Disposition: form-data; name="folder"\r\n\r\n' + b"x" * 5000, "longer than 4096 bytes"),
        ],
    )
    def test_each_is_bounded(self, client, part, said):
        body = b"--b\r\n" + part + b"\r\n--b--\r\n"
        assert said in assert_problem(self._sent(client, body), 422, "invalid-request")

    def test_their_number_is_bounded(self, client):
        body = b'--b\r\nContent-Disposition: form-data; name="folder"\r\n\r\na\r\n' * 30 + b"--b--\r\n"
        assert "more than 20 fields" in assert_problem(self._sent(client, body), 422, "invalid-request")

    def _sent(self, client: httpx.Client, body: bytes) -> httpx.Response:
        return client.post("/v1/documents", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
