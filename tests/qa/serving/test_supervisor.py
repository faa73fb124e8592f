"""`qa serve` as real processes: several workers, and the end of each."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from qa.configuration.config import Config
from qa.schemas import EXAMPLE_QUESTION
from tests.qa.api.test_metrics import figures
from tests.qa.commands import COMMAND, environment
from tests.qa.servers import make_corpus, wait_until

SLOW = """
import sys, time
from fastapi.responses import StreamingResponse
from qa.configuration.config import load_config
from qa.serving import server, worker

def parts():
    for _ in range(10):
        yield b"x"
        time.sleep(0.1)

def extended(*args, make=worker.make_app):
    app = make(*args)
    app.add_api_route("/slow", lambda: time.sleep(1))
    app.add_api_route("/stuck", lambda: time.sleep(60))
    app.add_api_route("/stream", lambda: StreamingResponse(parts()))
    return app

worker.make_app = extended
server.serve(load_config(sys.argv[1]), port=0)
"""


class Served:
    """A server process, what it wrote so far, and a client of it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(lambda: "answers questions" in self.log or process.poll() is not None)
        self.address = re.search(r"http://127\.0\.0\.1:\d+", self.log).group()
        self.client = httpx.Client(base_url=self.address, timeout=60)

    def _read(self) -> None:
        for line in self.process.stderr:
            self.log += line

    def workers(self) -> list[int]:
        """The processes that were started by this one and answer."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def end(self, kind: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(kind)
        code = self.process.wait(30)
        self._reader.join(10)
        return code


@contextmanager
def served(command: Sequence[str | Path], **variables: str) -> Iterator[Served]:
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(**variables))
    with process:
        try:
            found = Served(process)
            with found.client:
                yield found
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()


def file_of(config: Config) -> Path:
    return config.base / "config.yaml"


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two workers over the seeds, which they index themselves."""
    folder = tmp_path_factory.mktemp("workers")
    make_corpus(folder, "seeds")
    with served([*COMMAND, "serve", "--workers", "2", "--port", "0", "--config", folder / "config.yaml"]) as found:
        yield found


class TestWorkers:
    def test_index_once_and_tell_the_address_once(self, two):
        assert two.log.count("indexing 5 files") == 1
        assert two.log.count("answers questions") == 1
        assert len(two.workers()) == 2

    def test_share_the_work_and_count_it_together(self, two):
        def ask(_: int) -> str:
            response = httpx.post(f"{two.address}/v1/ask", json={"query": EXAMPLE_QUESTION}, timeout=60)
            return response.json()["answer"]["value"]

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(ask, range(40))) == {"1097名"}
        found = figures(two.client)
        assert found["cited_qa_requests_total method=POST route=/v1/ask status=200"] == 40
        assert found["cited_qa_answers_total kind=extractive reason= status=answered"] == 40
        assert found["cited_qa_workers"] == 2

    def test_one_that_is_killed_is_replaced(self, two):
        before = two.workers()
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: len(two.workers()) == 2 and before[0] not in two.workers())
        assert before[1] in two.workers()

        def are_both_ready() -> bool:
            answers = [httpx.get(f"{two.address}/readyz").status_code for _ in range(10)]
            return set(answers) == {200} and figures(two.client)["cited_qa_workers"] == 2

        wait_until(are_both_ready)
        found = figures(two.client)
        assert found["cited_qa_requests_total method=POST route=/v1/ask status=200"] == 40
        assert two.log.count("answers questions") == 1

    def test_end_with_their_supervisor(self, two):
        workers = two.workers()
        two.client.close()
        assert two.end() == 0
        assert not any(is_alive(pid) for pid in workers)
        assert "Traceback" not in two.log


def test_workers_end_when_their_supervisor_is_killed(seeds_config):
    with served([*COMMAND, "serve", "--workers", "2", "--port", "0", "--config", file_of(seeds_config)]) as found:
        workers = found.workers()
        found.process.kill()
        wait_until(lambda: not any(is_alive(pid) for pid in workers))


@pytest.fixture
def slow(seeds_config: Config) -> Iterator[Served]:
    with served([sys.executable, "-c", SLOW, file_of(seeds_config)], QA_SERVER_GRACE_S="3") as found:
        yield found


class TestEnd:
    @pytest.mark.parametrize(("path", "text"), [("/slow", "null"), ("/stream", "x" * 10)])
    def test_what_runs_is_finished_and_nothing_new_begins(self, slow, path, text):
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(slow.client.get, path)
            wait_until(lambda: figures(slow.client)["cited_qa_requests_running"] == 2)
            slow.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not self._is_taken(slow))
            assert slow.process.poll() is None
            assert running.result().text == text
        assert slow.end() == 0
        assert "Traceback" not in slow.log

    def _is_taken(self, slow: Served) -> bool:
        try:
            return httpx.get(f"{slow.address}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def test_what_does_not_end_is_left(self, slow):
        with ThreadPoolExecutor(1) as pool:
            stuck = pool.submit(slow.client.get, "/stuck")
            wait_until(lambda: figures(slow.client)["cited_qa_requests_running"] == 2)
            started = time.monotonic()
            assert slow.end() == 0
            assert time.monotonic() - started < 3 + 5
            assert stuck.exception() or stuck.result().status_code == 500


HELD = """
import re, sys, time
from qa.configuration.config import load_config
from qa.serving import server, worker

def hold():
    re.match(r"(a|a)*$", "a" * 60 + "b")  # it keeps the interpreter for years

def compute():
    while True:
        pass

def extended(*args, make=worker.make_app):
    app = make(*args)
    app.add_api_route("/hold", hold)
    app.add_api_route("/compute", compute)
    return app

worker.make_app = extended
server.serve(load_config(sys.argv[1]), port=0)
"""


def is_alive_again(server: Served) -> bool:
    try:
        return httpx.get(f"{server.address}/healthz", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def answers(server: Served) -> bool:
    try:
        return httpx.get(f"{server.address}/readyz", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Served]:
    """One worker, in which a request can hold the interpreter, or compute without end."""
    config = make_corpus(tmp_path, "papers")
    variables = {"QA_SERVER_TIMEOUT_S": "1", "QA_SERVER_GRACE_S": "2"}
    with served([sys.executable, "-c", HELD, file_of(config)], **variables) as server:
        yield server


class TestStuck:
    def test_one_that_holds_the_interpreter_is_replaced_and_nothing_acknowledged_is_lost(self, held):
        files = {"file": ("note.txt", "钟楼建于1384年。\n".encode(), "text/plain")}
        job = httpx.post(f"{held.address}/v1/documents", files=files, timeout=60).json()["id"]
        (before,) = held.workers()
        with ThreadPoolExecutor(1) as pool:
            stuck = pool.submit(httpx.get, f"{held.address}/hold", timeout=60)
            wait_until(lambda: before not in held.workers())
            wait_until(lambda: answers(held))
            assert isinstance(stuck.exception(), httpx.TransportError)
        assert len(held.workers()) == 1
        done = f"{held.address}/v1/jobs/{job}"
        wait_until(lambda: httpx.get(done, timeout=60).json()["status"] == "done")
        hits = httpx.post(f"{held.address}/v1/search", json={"query": "钟楼"}, timeout=60).json()["hits"]
        assert [hit["path"] for hit in hits] == ["papers/note.txt"]
        assert "did nothing" in held.log
        assert held.log.count("answers questions") == 1

    def test_it_ends_within_the_grace_although_the_interpreter_is_held(self, held):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(httpx.get, f"{held.address}/hold", timeout=60)
            wait_until(lambda: not is_alive_again(held))
            workers = held.workers()
            assert held.end() == 0
            assert not any(is_alive(pid) for pid in workers)

    def test_one_that_computes_beyond_the_time_is_replaced_while_it_still_answers(self, held):
        (before,) = held.workers()
        assert httpx.get(f"{held.address}/compute", timeout=60).status_code == 504
        wait_until(lambda: before not in held.workers() and held.workers() and answers(held))
        assert not is_alive(before)
        assert "beyond server.timeout_s" in held.log

    def test_what_keeps_a_worker_from_starting_is_told_and_ends_it(self, tmp_path):
        config = make_corpus(tmp_path, "papers")
        command = [*COMMAND, "serve", "--port", "0", "--config", str(file_of(config))]
        variables = environment(
            QA_SERVER_OTLP_ENDPOINT="http://127.0.0.1:1", PYTHONPATH=without_opentelemetry(tmp_path)
        )
        done = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=60)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "server.otlp_endpoint: OpenTelemetry is not installed" in done.stderr


def without_opentelemetry(folder: Path) -> str:
    """A module path where it can't be imported."""
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry.sdk'] = None\n")
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


def test_the_supervisor_is_small_and_loads_no_index():
    code = "import sys, qa.serving.server; print(*{'fastapi', 'faiss', 'tantivy', 'uvicorn', 'mcp'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def test_it_can_be_told_to_end_while_its_worker_starts(seeds_config):
    command = [*COMMAND, "serve", "--port", "0", "--config", str(file_of(seeds_config))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_until(lambda: bool(children.read_text().split()))
        time.sleep(0.1)
        process.terminate()
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert log == ""


def test_what_a_killed_worker_had_started_ends_with_it(tmp_path):
    config = make_corpus(tmp_path, "papers")
    with served([sys.executable, "-c", PARENT, file_of(config)]) as server:
        child = int(httpx.get(f"{server.address}/start", timeout=60).text)
        assert is_alive(child)
        os.kill(server.workers()[0], signal.SIGKILL)
        wait_until(lambda: not is_alive(child))


PARENT = """
import subprocess, sys
from qa.configuration.config import load_config
from qa.serving import server, worker

def extended(*args, make=worker.make_app):
    app = make(*args)
    app.add_api_route("/start", lambda: subprocess.Popen(["sleep", "600"]).pid)
    return app

worker.make_app = extended
server.serve(load_config(sys.argv[1]), port=0)
"""
