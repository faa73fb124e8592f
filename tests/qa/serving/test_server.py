"""The server's life: coming up, following the index, going down."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from index.errors import ConfigError
from index.store import vectors
from index.store.lexical import LexicalIndex
from index.store.local import VECTORS
from qa.api.addresses import listen
from qa.cli.doctor import examine
from qa.configuration.config import Config, load_config
from qa.engine import Engine
from qa.schemas import EXAMPLE_QUESTION
from tests.qa.servers import make_corpus, serving, wait_until

SERVE = """
import sys
from qa.serving.server import serve
from qa.configuration.config import load_config
serve(load_config(sys.argv[1]), port=0)
"""


def readiness(client: httpx.Client) -> tuple[int, str]:
    response = client.get("/readyz")
    return response.status_code, response.json().get("detail", "")


def test_ready_says_which_index_answers(client):
    found = client.get("/readyz").json()
    assert found["status"] == "ready"
    assert found["index"] == client.post("/v1/search", json={"query": "工会"}).json()["index"]


def test_missing_index_is_built_while_the_server_already_answers(tmp_path):
    config = make_corpus(tmp_path, "seeds")
    with serving(config, is_ready=False) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        status, detail = readiness(client)
        assert status == 200 or re.search("starting|being indexed", detail)
        refused = client.post("/v1/ask", json={"query": EXAMPLE_QUESTION})
        if refused.status_code != 200:
            assert refused.status_code == 503
            assert refused.headers["content-type"] == "application/problem+json"
            assert int(refused.headers["retry-after"]) > 0
        wait_until(lambda: readiness(client)[0] == 200)
        assert client.post("/v1/ask", json={"query": EXAMPLE_QUESTION}).json()["answer"]["value"] == "1097名"


def test_what_keeps_the_server_from_starting_is_told_and_tried_again(tmp_path):
    config = make_corpus(tmp_path, "papers")
    (tmp_path / "papers").rmdir()
    with serving(config, is_ready=False) as client:
        wait_until(lambda: "no such folder" in readiness(client)[1])
        assert readiness(client)[0] == 503
        assert client.get("/healthz").status_code == 200
        assert client.post("/v1/ask", json={"query": "x"}).json()["type"] == "/problems/config"
        (tmp_path / "papers").mkdir()
        (tmp_path / "papers" / "one.txt").write_text("钟楼建于1384年。\n", encoding="utf-8")
        wait_until(lambda: readiness(client)[0] == 200)
        assert client.post("/v1/search", json={"query": "钟楼"}).json()["hits"]


def test_empty_corpus_has_no_answers(tmp_path):
    with serving(make_corpus(tmp_path, "papers")) as client:
        found = client.post("/v1/ask", json={"query": EXAMPLE_QUESTION}).json()
        assert (found["status"], found["reason"]) == ("no_answer", "no_hits")
        assert client.get("/v1/documents").json()["documents"] == []


class Asking:
    """Clients that ask all the time; `failures` holds every response that was not 200."""

    def __init__(self, client: httpx.Client, threads: int = 3) -> None:
        self.failures: list[str] = []
        self.generations: set[int] = set()
        self._client = client
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def _ask(self) -> None:
        while not self._stop.is_set():
            response = self._client.post("/v1/ask", json={"query": "钟楼建于哪一年"})
            if response.status_code == 200:
                self.generations.add(response.json()["index"]["generation"])
            else:
                self.failures.append(response.text)

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def write(folder: Path, number: int) -> None:
    (folder / f"{number}.txt").write_text(f"第{number}号文件\n\n钟楼建于{1300 + number}年。\n", encoding="utf-8")


def at_generation(client: httpx.Client, generation: int) -> Callable[[], bool]:
    return lambda: client.get("/readyz").json()["index"]["generation"] == generation


def test_changes_are_picked_up_without_a_failed_request(tmp_path):
    config = make_corpus(tmp_path, "papers")
    papers = tmp_path / "papers"
    for number in range(3):
        write(papers, number)
    writer = Engine(load_config(tmp_path / "config.yaml"))
    writer.index()
    with serving(config) as client, Asking(client) as asking:
        for number in range(3, 9):
            write(papers, number)
            (papers / f"{number - 3}.txt").unlink()
            wait_until(at_generation(client, writer.index().generation))
        listed = client.get("/v1/documents").json()["documents"]
        found = client.post("/v1/ask", json={"query": "钟楼建于哪一年", "top_k": 50}).json()
    assert asking.failures == []
    assert len(asking.generations) > 1
    assert sorted(document["path"] for document in listed) == ["papers/6.txt", "papers/7.txt", "papers/8.txt"]
    paths = {place["path"] for hit in found["hits"] for place in (hit, *hit["also_in"])}
    assert paths == {"papers/6.txt", "papers/7.txt", "papers/8.txt"}


def test_rebuild_is_picked_up_without_a_failed_request(tmp_path):
    config = make_corpus(tmp_path, "papers")
    for number in range(3):
        write(tmp_path / "papers", number)
    writer = Engine(load_config(tmp_path / "config.yaml"))
    writer.index()
    with serving(config) as client, Asking(client) as asking:
        for _ in range(3):
            writer.index(rebuild=True)
            wait_until(lambda: client.get("/readyz").status_code == 200)
    assert asking.failures == []


def test_rebuild_is_picked_up_by_threads_that_never_asked_before(tmp_path):
    config = make_corpus(tmp_path, "papers")
    write(tmp_path / "papers", 1)
    writer = Engine(load_config(tmp_path / "config.yaml"))
    writer.index()
    with serving(config) as client:
        for clients in (4, 12, 36):  # more at once than ever before, so the server has to start threads
            writer.index(rebuild=True)
            with ThreadPoolExecutor(clients) as pool:
                responses = list(pool.map(lambda _: client.post("/v1/ask", json={"query": "钟楼"}), range(clients)))
            assert [response.text for response in responses if response.status_code != 200] == []


def test_lost_index_is_told_and_a_new_one_is_picked_up(tmp_path):
    config = make_corpus(tmp_path, "papers")
    write(tmp_path / "papers", 1)
    with serving(config) as client:
        shutil.rmtree(config.index_dir)
        status, detail = readiness(client)
        assert status == 503
        assert "qa index" in detail
        response = client.post("/v1/ask", json={"query": "钟楼"})
        assert response.status_code == 503
        assert response.json()["type"].startswith("/problems/index-")
        Engine(load_config(tmp_path / "config.yaml")).index()
        wait_until(lambda: readiness(client)[0] == 200)


@contextmanager
def process(config: Config) -> Iterator[subprocess.Popen[str]]:
    """`serve` as a process; it is killed where a test leaves it running."""
    command = [sys.executable, "-c", SERVE, str(config.base / "config.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            yield server
        finally:
            server.kill()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=lambda found: found.name)
def test_process_tells_its_address_and_ends_gracefully(seeds_config, stop):
    with process(seeds_config) as server:
        line = server.stderr.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address, line + server.stderr.readline()
        assert f"{address.group()}/docs" in line
        response = httpx.post(f"{address.group()}/v1/ask", json={"query": EXAMPLE_QUESTION}, timeout=60)
        assert response.json()["status"] == "answered"
        server.send_signal(stop)
        out, err = server.communicate(timeout=30)
    assert (server.returncode, out) == (0, "")
    (request,) = (json.loads(line) for line in err.splitlines())
    assert (request["route"], request["status"], request["answer"]) == ("/v1/ask", 200, "answered")


def test_process_can_be_stopped_while_it_indexes(tmp_path):
    with process(make_corpus(tmp_path, "seeds")) as server:
        assert "indexing 5 files" in server.stderr.readline()
        server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=30)
    assert server.returncode == 0
    assert "Traceback" not in err


def test_answers_on_a_kept_connection_are_not_delayed(client):
    took = []
    for _ in range(20):
        started = time.perf_counter()
        client.get("/v1/documents").raise_for_status()
        took.append(time.perf_counter() - started)
    assert statistics.median(took) < 0.03  # Nagle's algorithm and delayed acknowledgements would make it 0.04


def test_port_in_use():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"server\.port: 127\.0\.0\.1:{port} is in use; .*--port"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host", "a" * 300, "\udcff"])
def test_host_of_another_machine(host):
    with pytest.raises(ConfigError, match=r"server\.host: .*--host"):
        listen(host, 0)


@pytest.mark.parametrize("port", [-1, 65536])
def test_impossible_port(port):
    with pytest.raises(ConfigError, match=rf"server\.port: {port} "):
        listen("127.0.0.1", port)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen on any port")
def test_privileged_port():
    with pytest.raises(ConfigError, match="server"):
        listen("127.0.0.1", 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1"])
def test_hosts_of_this_machine(host):
    try:
        listener = listen(host, 0)
    except ConfigError:
        if ":" not in host:
            raise
        pytest.skip("no IPv6 here")
    with listener:
        assert listener.getsockname()[1] > 0


def empty_vectors(config: Config, generation: int) -> None:
    (folder,) = config.index_dir.glob("index-*")
    vectors.write(folder / VECTORS, Engine(config).store.dim, generation, lambda: iter(()), 0)


def empty_words(config: Config, generation: int) -> None:
    (folder,) = config.index_dir.glob("index-*/passages-*")
    with LexicalIndex.reset(folder).changing([], generation):
        pass


@pytest.mark.parametrize(("spoil", "leg"), [(empty_vectors, "dense"), (empty_words, "lexical")])
def test_an_index_that_finds_nothing_is_not_ready(tmp_path, spoil, leg):
    config = make_corpus(tmp_path, "papers")
    write(tmp_path / "papers", 1)
    generation = Engine(config).index().generation
    spoil(config, generation)
    failures = [finding.detail for finding in examine(tmp_path / "config.yaml") if not finding.ok]
    assert failures == [f"{leg} search does not find a passage by its own words; run: qa index --rebuild"]
    with serving(config, is_ready=False) as client:
        wait_until(lambda: f"{leg} search does not find" in readiness(client)[1])
        assert client.post("/v1/ask", json={"query": "钟楼"}).json()["type"] == "/problems/index-damaged"
        Engine(load_config(tmp_path / "config.yaml")).index(rebuild=True)
        wait_until(lambda: readiness(client)[0] == 200)
        assert [found.ok for found in examine(tmp_path / "config.yaml")].count(False) == 0
