"""What an attacker would try: a client that lies, a document that is built to harm, a page that wants in.

Keys, Host and Origin stand in test_access.py, slow clients in test_limits.py, uploads in test_uploads.py.
"""

from __future__ import annotations

import io
import json
import logging
import re
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.api.logs import JsonLine
from qa.configuration.config import Config
from qa.engine import Engine
from tests.qa.api.test_access import ADMIN, KEYS, READ, bearer, with_server
from tests.qa.api.test_api_errors import JSON, assert_problem
from tests.qa.api.test_limits import received
from tests.qa.servers import make_corpus, serving

SECRET = "琥珀城堡的密码是七七三十九"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the corpus, with a secret in a file."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret.txt").write_text(f"{SECRET}。\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, outside: Path) -> Config:
    """A corpus whose files were made to harm."""
    folder = tmp_path_factory.mktemp("hostile")
    config = make_corpus(folder, "papers")
    papers = folder / "papers"
    (papers / "page.txt").write_text(f"标题\n\n钟楼建于1384年。{SCRIPT}\n", encoding="utf-8")
    (papers / f"{SCRIPT.replace('/', '')}.txt").write_text("鼓楼建于1380年。\n", encoding="utf-8")
    (papers / "link.txt").symlink_to(outside / "secret.txt")
    (papers / "folder").symlink_to(outside, target_is_directory=True)
    (papers / "up.txt").symlink_to("../../outside/secret.txt")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inside.txt", "铁塔建于1900年。\n")
        for name in ("../escaped.txt", "/escaped.txt", "a/../../escaped.txt", "..\\escaped.txt"):
            archive.writestr(name, "逃出来的文字。\n")
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16  # a symbolic link, as zip stores one
        archive.writestr(link, str(outside / "secret.txt"))
    (papers / "packed.zip").write_bytes(packed.getvalue())
    Engine(config).index()
    return config


@pytest.fixture(scope="module")
def victim(hostile: Config) -> Iterator[httpx.Client]:
    with serving(hostile) as client:
        yield client


def sent(client: httpx.Client, request: bytes) -> bytes:
    """What the server answers to these very bytes."""
    connection = socket.create_connection((client.base_url.host, client.base_url.port))
    try:
        connection.sendall(request)
    except OSError:
        pass  # it was refused before all of it was sent
    return received(connection)


class TestFiles:
    def test_links_out_of_the_corpus_are_not_read(self, victim):
        listed = victim.get("/v1/documents").json()["documents"]
        assert not [found for found in listed if re.match("papers/(link|folder|up|secret)", found["path"])]
        for document in listed:
            assert SECRET not in victim.get(f"/v1/documents/{document['id']}/text").text
        hits = victim.post("/v1/search", json={"query": SECRET, "top_k": 100}).json()["hits"]
        assert SECRET not in json.dumps(hits, ensure_ascii=False)

    def test_archives_write_nothing(self, hostile, victim):
        assert not list(hostile.base.rglob("escaped*")) and not list(hostile.base.parent.glob("escaped*"))
        assert not (hostile.base / "papers" / "inside.txt").exists()
        assert victim.post("/v1/ask", json={"query": "铁塔建于哪一年"}).json()["answer"]["value"] == "1900年"

    @pytest.mark.parametrize(
        "path",
        [
            "..",
            "../../etc/passwd",
            "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
            "..%5c..%5cetc",
            "%00",
            "/etc/passwd",
            "....//etc",
            "%252e%252e%252fetc",
            "a'%20OR%201=1--",
            "\\etc\\passwd",
            "~root",
            "file:%2f%2f%2fetc%2fpasswd",
        ],
    )
    @pytest.mark.parametrize("place", ["/v1/documents/%s", "/v1/documents/%s/text", "/docs/assets/%s", "/%s"])
    def test_addresses_lead_nowhere_else(self, victim, place, path):
        head = f"GET {place % path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        answer = sent(victim, head)
        assert re.match(rb"HTTP/1\.1 (404|400|422|405|307) ", answer), answer
        assert b"root:x" not in answer and b"Traceback" not in answer

    @pytest.mark.parametrize("glob", ["/etc/*", "../*", "../../**", "**/secret.txt", "papers/../../*", "[", "*" * 200])
    def test_globs_reach_no_other_file(self, victim, glob):
        response = victim.post("/v1/search", json={"query": SECRET, "filters": {"path": glob}})
        assert response.status_code in (200, 422)
        assert SECRET not in json.dumps(response.json().get("hits", []), ensure_ascii=False)

    @settings(max_examples=50, deadline=None)
    @given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
    def test_no_name_is_a_way_out(self, victim, name):
        from urllib.parse import quote

        response = victim.get(f"/v1/documents/{quote(name, safe='')}/text")
        assert response.status_code in (404, 405) or name in (".", ".."), response.text


class TestBrowsers:
    def test_documents_are_text_and_never_a_page(self, victim):
        (page,) = [
            document
            for document in victim.get("/v1/documents").json()["documents"]
            if document["path"].endswith("page.txt")
        ]
        response = victim.get(f"/v1/documents/{page['id']}/text")
        assert SCRIPT in response.text
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.headers["x-content-type-options"] == "nosniff"

    @pytest.mark.parametrize("path", [f"/{SCRIPT}", f"/v1/documents/{SCRIPT}", f"/v1/ask?q=x&{SCRIPT}=1"])
    def test_what_was_asked_for_is_never_a_page(self, victim, path):
        response = victim.get(path, headers={"Accept": "text/html"})
        assert response.headers["content-type"] == "application/problem+json"

    @pytest.mark.parametrize(
        "path",
        ["/healthz", "/nope", "/docs", "/docs/assets/swagger-ui.css", "/v1/documents", "/openapi.json", "/metrics"],
    )
    def test_headers_protect_every_response(self, victim, path):
        headers = victim.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers and "x-powered-by" not in headers

    def test_cors_is_off(self, victim):
        own = f"http://127.0.0.1:{victim.base_url.port}"
        for origin in (own, "https://intranet.example.org"):
            preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            response = victim.options("/v1/ask", headers=preflight)
            assert response.status_code in (403, 405)
            assert not [name for name in response.headers if name.startswith("access-control")]

    def test_cors_is_for_those_configured(self, hostile):
        friend = "https://intranet.example.org"
        with serving(with_server(hostile, cors_origins=(friend,), api_keys=KEYS), is_ready=False) as client:
            asked = {
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization, content-type",
            }
            allowed = client.options("/v1/ask", headers={"Origin": friend, **asked})
            assert allowed.status_code == 200
            assert allowed.headers["access-control-allow-origin"] == friend
            assert "access-control-allow-credentials" not in allowed.headers
            refused = client.post("/v1/ask", json={"query": "x"}, headers={"Origin": friend})
            assert_problem(refused, 401, "unauthorized")
            assert refused.headers["access-control-allow-origin"] == friend
            assert "X-Request-ID" in refused.headers["access-control-expose-headers"]
            for origin in ("https://evil.example", f"{friend}.evil.example", "null", "http://intranet.example.org"):
                preflight = client.options("/v1/ask", headers={"Origin": origin, **asked})
                assert "access-control-allow-origin" not in preflight.headers
                response = client.get("/healthz", headers={"Origin": origin})
                assert_problem(response, 403, "foreign-origin")
                assert "access-control-allow-origin" not in response.headers


class TestRequests:
    @pytest.mark.parametrize(
        "value",
        [
            b"a\r\nX-Evil: 1",
            b"a\nX-Evil: 1",
            b"a\rX-Evil: 1",
            b"a\r\n X-Evil: 1",
            b"a\x00b",
            b"a\x1b[31m",
            b"a b",
            b"\xc4\x8d\xc4\x8aX-Evil: 1",
            b"%0d%0aX-Evil: 1",
            b"a" * 5000,
        ],
    )
    def test_the_request_id_is_no_way_into_the_response(self, victim, value):
        head = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Request-ID: " + value + b"\r\n\r\n"
        answer = sent(victim, head)
        assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))
        assert b"evil" not in answer.lower()
        if b" 200 " in answer[:20]:
            assert re.search(rb"\r\nx-request-id: ([0-9a-f]{32}|a)\r\n", answer)

    def test_a_head_that_is_too_long(self, victim):
        for head in (b"GET /" + b"a" * 3_000_000, b"GET / HTTP/1.1\r\n" + b"X-A: " + b"b" * 3_000_000):
            answer = sent(victim, head)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
        assert victim.get("/healthz").status_code == 200

    @pytest.mark.parametrize(
        "head",
        [
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            b"Content-Length: 5\r\nContent-Length: 6\r\n",
            b"Content-Length: -1\r\n",
            b"Content-Length: 5, 5 5\r\n",
            b"Transfer-Encoding: chunked, identity\r\n",
            b"Transfer-Encoding : chunked\r\n",
        ],
    )
    def test_two_ways_to_read_a_length(self, victim, head):
        request = b"POST /v1/ask HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head + b"\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n"
        answer = sent(victim, request)
        assert re.match(rb"HTTP/1\.1 (400|501) ", answer), answer
        assert answer.count(b"HTTP/1.1 ") == 1

    def test_odd_methods_and_upgrades(self, victim):
        assert_problem(victim.request("TRACE", "/v1/ask"), 405, "method-not-allowed")
        assert_problem(victim.request("CONNECT", "/healthz"), 405, "method-not-allowed")
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Key": "a",
            "Sec-WebSocket-Version": "13",
        }
        assert victim.get("/healthz", headers=upgrade).status_code == 200

    def test_a_body_that_never_ends(self, victim):
        parts = (b" " * 65536 for _ in range(10_000))
        try:
            response = victim.post("/v1/ask", content=parts, headers=JSON)
        except httpx.WriteError:
            pass
        else:
            assert_problem(response, 413, "body-too-large")
        assert victim.get("/healthz").status_code == 200


def test_keys_show_up_nowhere(hostile, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = "w" * 30
    with serving(with_server(hostile, api_keys=KEYS)) as client:
        shown = ""
        for key in (READ, ADMIN, wrong):
            for headers in (
                bearer(key),
                {"X-API-Key": key},
                {"Authorization": f"Basic {key}"},
                {"Cookie": f"key={key}"},
            ):
                for path in ("/v1/documents", "/metrics", "/openapi.json", "/nope", f"/v1/documents?key={key}&limit=x"):
                    response = client.get(path, headers=headers)
                    shown += response.text + str(response.headers)
            client.post("/v1/ask", content=b"{", headers={**JSON, **bearer(key)})
    logged = "".join(JsonLine().format(record) for record in caplog.records if not record.name.startswith("http"))
    assert "GET /v1/documents 401" in logged
    for key in (READ, ADMIN, wrong):
        assert key not in shown
        assert key not in logged
