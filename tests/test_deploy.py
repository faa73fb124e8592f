"""What `deploy/` holds works: systemd's own checks of the units, a real nginx in front of a real server."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from qa.configuration.config import Config
from tests.conftest import CANONICAL, ROOT, require
from tests.qa.conftest import seeds_config  # noqa: F401 - a fixture
from tests.qa.servers import serving, wait_until

DEPLOY = ROOT / "deploy"
UNITS = sorted(path.name for path in DEPLOY.glob("cited-qa*.*"))


def run(*command: str | Path) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    require("systemd-analyze", shutil.which("systemd-analyze"))
    for name in UNITS:
        text = (DEPLOY / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/opt/cited-qa/venv/bin/qa", sys.executable), encoding="utf-8")
    said = run("systemd-analyze", "verify", *(tmp_path / name for name in UNITS))
    assert str(tmp_path) not in said and "cited-qa" not in said, said
    exposed = run("systemd-analyze", "security", "--offline=true", "--threshold=20", tmp_path / "cited-qa.service")
    assert "exposure level" in exposed


def test_the_command_lines_exist() -> None:
    from typer.main import get_command

    from qa.cli.main import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    described = (*DEPLOY.iterdir(), *(ROOT / "docs").glob("service*.md"))
    texts = [path.read_text(encoding="utf-8") for path in described]
    named = {
        (name, option)
        for text in texts
        for name, options in re.findall(r"\bqa (\w+)((?: +--[a-z-]+(?: [^-\s]\S*)?)*)", text)
        if name in commands
        for option in [None, *re.findall(r"--[a-z-]+", options)]
    }
    assert {"serve", "backup", "restore", "index", "doctor"} <= {name for name, _ in named}
    for name, option in named:
        known = {spelling for parameter in commands[name].params for spelling in parameter.opts}
        assert option is None or option in known, f"qa {name} {option}"


def test_the_compose_file_names_what_is_there() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["cited-qa"]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    for source in " ".join(copied).split():
        assert (ROOT / source).exists()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[httpx.Client]:
    """A client of a real nginx with the shipped site, its names and ports exchanged for those of this test."""
    port, name = free_port(), "qa.example.org"
    run(
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        f"/CN={name}",
        "-addext",
        f"subjectAltName=DNS:{name}",
        "-keyout",
        folder / "site.key",
        "-out",
        folder / "site.crt",
    )
    site = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    for old, new in (
        ("127.0.0.1:8000", f"127.0.0.1:{upstream}"),
        ("listen 443", f"listen 127.0.0.1:{port}"),
        (f"/etc/ssl/{name}", str(folder / "site")),
    ):
        assert old in site
        site = site.replace(old, new)
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\npid {folder}/pid;\nerror_log stderr warn;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{paths}{site}}}\n"
    )
    command = ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    run(*command, "-t")
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        trusted = ssl.create_default_context(cafile=str(folder / "site.crt"))
        with httpx.Client(
            base_url=f"https://127.0.0.1:{port}", verify=trusted, timeout=30, headers={"Host": name}
        ) as client:
            client.event_hooks["request"] = [lambda request: request.extensions.update(sni_hostname=name)]
            wait_until(lambda: is_up(port))
            yield client
    finally:
        process.terminate()
        process.wait()


def is_up(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_nginx_proxies_it_streams_included(
    seeds_config: Config,  # noqa: F811 - the fixture
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require("nginx and openssl", shutil.which("nginx") and shutil.which("openssl"))
    key = "nginx-test-0123456789abcdef012345"
    may_go_on = threading.Event()

    def words() -> Iterator[bytes]:
        yield b"first"
        assert may_go_on.wait(30)
        yield b"second"

    def extend(app: FastAPI) -> None:
        app.add_api_route("/slow", lambda: StreamingResponse(words()))

    config = seeds_config.model_copy(
        update={"server": type(seeds_config.server)(api_keys=f"test:read:{key}", public_url="https://qa.example.org")}
    )
    with serving(config, extend=extend) as inside, nginx(tmp_path, inside.base_url.port or 0) as client:
        assert client.get("/readyz").status_code == 200
        assert client.get("/metrics").status_code == 403
        assert client.get("/v1/documents").status_code == 401
        client.headers["Authorization"] = f"Bearer {key}"
        found = client.post("/v1/ask", json={"query": CANONICAL}).json()
        assert found["answer"]["value"] == "1097名"
        with client.stream("POST", "/v1/ask", json={"query": CANONICAL, "stream": True}) as events:
            names = [line for line in events.iter_lines() if line.startswith("event: ")]
        assert names[0] == "event: sources" and names[-1] == "event: done"
        assert client.get("/v1/ask", params={"q": "会" * 4000}).status_code == 200
        with client.stream("GET", "/slow", headers={"Accept-Encoding": "identity"}) as response:
            parts = response.iter_raw()
            assert next(parts) == b"first"  # before the rest is even made
            may_go_on.set()
            assert b"".join(parts) == b"second"


def test_who_sends_no_body_through_nginx_locks_no_one_out(
    seeds_config: Config,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    require("nginx and openssl", shutil.which("nginx") and shutil.which("openssl"))
    key = "nginx-test-0123456789abcdef012345"
    server = type(seeds_config.server)(api_keys=f"test:read:{key}", trusted_proxies="127.0.0.1")
    config = seeds_config.model_copy(update={"server": server})
    site = ssl.create_default_context()
    site.check_hostname, site.verify_mode = False, ssl.CERT_NONE
    with serving(config) as inside, nginx(tmp_path, inside.base_url.port or 0) as client:
        held = []
        for path in ("/", "/nowhere", "/docs", "/v1/ask") * 40:
            connection = site.wrap_socket(socket.create_connection(("127.0.0.1", client.base_url.port)))
            connection.sendall(f"POST {path} HTTP/1.1\r\nHost: qa.example.org\r\nContent-Length: 9999\r\n\r\n".encode())
            held.append(connection)
        answers = [inside.post("/v1/ask", json={"query": CANONICAL}, headers={"X-API-Key": key}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200] * 3
        for connection in held:
            connection.close()
        assert client.post("/v1/ask", json={"query": CANONICAL}, headers={"X-API-Key": key}).status_code == 200
