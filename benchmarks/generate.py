"""What a generated answer costs beyond the search and beyond the model's own time, time to first token included.

    python benchmarks/generate.py

A model server in another process answers after a fixed time, word by word, and says when it got each request, sent its
first word and sent its last. What remains of the time between question and text is ours: the extractive answer and
its refusal, the prompt, the SDK, the checks, the citations; over HTTP also our server. Prints medians and 95th
percentiles, and writes benchmarks/results/generate.json.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx

from qa.configuration.config import Config, load_config
from qa.engine import Engine
from qa.schemas import AskResponse, Delta
from tests.qa.sse import events

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "generate.json"
QUESTIONS = Path(__file__).parent / "union_questions.jsonl"
RUNS = 100
WARM_UP = 10
FIRST_S = 0.1
NEXT_S = 0.01
WORD_CHARS = 3
ANSWER_CHARS = 120
TARGET_MS = 5.0
WALL = ("to the first word", "after the last word", "in all")


@dataclass(frozen=True)
class Times:
    """When, by the system's monotonic clock, in seconds; `search_ms` is of the search alone.

    `processor_ms` is what this process worked beyond a search for the same question, `search_processor_ms` what that
    search was: the one tells how busy the machine is that the other was measured on.
    """

    asked: float
    first: float
    done: float
    search_ms: float
    processor_ms: float = 0.0
    search_processor_ms: float = 0.0


def serve_model(pipe: Connection) -> None:
    """A model server that copies the first passage and cites it; it tells its times for each request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received = time.monotonic()
            text = re.sub("\\s+", "", body["messages"][1]["content"].partition("<<<end")[0].rpartition("\n\n")[2])
            text = f"{re.split('[。；;]', text.rpartition('>>>')[2])[-1][-ANSWER_CHARS:]}[1]。"
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            time.sleep(FIRST_S)
            first = time.monotonic()
            for start in range(0, len(text), WORD_CHARS):
                self._say({"content": text[start : start + WORD_CHARS]})
                time.sleep(NEXT_S)
            last = time.monotonic()
            self._say({}, "stop")
            self._write(b"data: [DONE]\n\n")
            self._write(b"")
            pipe.send((received, first, last))

        def _say(self, delta: dict[str, str], finish: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            self._write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())

        def _write(self, data: bytes) -> None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pipe.send(server.server_port)
    server.serve_forever()


@contextmanager
def model_server() -> Iterator[tuple[str, Connection]]:
    """Its address, and the pipe on which it tells its times."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve_model, args=(theirs,), daemon=True)
    process.start()
    yield f"http://127.0.0.1:{ours.recv()}/v1", ours
    process.terminate()
    process.join()


def through_engine(engine: Engine) -> Callable[[str], Times | None]:
    """Ask in this process; None where the documents hold no answer."""

    def ask(question: str) -> Times | None:
        used = time.process_time()
        engine.search(question)
        searched = time.process_time() - used
        used = time.process_time()
        asked, first = time.monotonic(), 0.0
        for part in engine.stream(question):
            if isinstance(part, Delta) and not first:
                first = time.monotonic()
        assert isinstance(part, AskResponse)
        done = time.monotonic()
        processor_ms = (time.process_time() - used - searched) * 1000
        if part.answer is None:
            return None
        assert part.answer.kind == "generated", part.answer.fallback
        return Times(asked, first, done, part.timings_ms["search"], processor_ms, searched * 1000)

    return ask


def over_http(client: httpx.Client) -> Callable[[str], Times | None]:
    """Ask a server by server-sent events."""

    def ask(question: str) -> Times | None:
        asked, first = time.monotonic(), 0.0
        with client.stream("POST", "/v1/ask", json={"query": question, "stream": True}) as response:
            for name, data in events(response):  # noqa: B007 - the last one counts
                if name == "delta" and not first:
                    first = time.monotonic()
            done = time.monotonic()
        return Times(asked, first, done, data["timings_ms"]["search"]) if first else None

    return ask


def measure(ask: Callable[[str], Times | None], pipe: Connection, questions: list[str]) -> dict[str, Any]:
    """Milliseconds of our own until the first word, behind the last one, and in all."""
    firsts, ends, totals, worked, searched = [], [], [], [], []
    for number, question in enumerate(questions * (1 + (RUNS + WARM_UP) // len(questions))):
        if len(totals) == RUNS:
            break
        if (times := ask(question)) is None:
            continue
        received, first, last = pipe.recv()
        if number < WARM_UP:
            continue
        before = (times.first - times.asked - (first - received)) * 1000 - times.search_ms
        after = (times.done - last) * 1000
        worked.append(times.processor_ms)
        searched.append(times.search_processor_ms)
        firsts.append(before)
        ends.append(after)
        totals.append((times.done - times.asked - (last - received)) * 1000 - times.search_ms)
    named = {
        "to the first word": firsts,
        "after the last word": ends,
        "in all": totals,
        "of the processor": worked,
        "(a search)": searched,
    }
    return {
        name: {"median_ms": round(median(found), 2), "p95_ms": round(quantiles(found, n=20)[-1], 2)}
        for name, found in named.items()
        if any(found)
    }


def configured(folder: Path, base_url: str) -> Config:
    """The shipped seeds with the model server."""
    file = folder / "config.yaml"
    llm = f"{{model: fixed, base_url: '{base_url}'}}"
    file.write_text(f"corpus: [{ROOT / 'seeds'}]\nllm: {llm}\n", encoding="utf-8")
    return load_config(file)


@contextmanager
def server(folder: Path) -> Iterator[httpx.Client]:
    """A client of `qa serve` in a process of its own."""
    command = [str(Path(sys.executable).with_name("qa")), "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = next(line.split()[0] for line in process.stderr if line.startswith("http"))
        with httpx.Client(base_url=address, timeout=60) as client:
            yield client
        process.terminate()


def main() -> None:
    """Measure and keep."""
    lines = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    questions = [line["question"] for line in lines if line["evidence"]]
    with tempfile.TemporaryDirectory() as folder, model_server() as (base_url, pipe):
        config = configured(Path(folder), base_url)
        engine = Engine(config)
        engine.index_if_missing()
        found = {"engine": measure(through_engine(engine), pipe, questions)}
        with server(Path(folder)) as client:
            found["http"] = measure(over_http(client), pipe, questions)
    for name, figures in found.items():
        for part, figure in figures.items():
            print(f"{name:7} {part:20} median {figure['median_ms']:6.2f} ms   p95 {figure['p95_ms']:6.2f} ms")
    is_met = all(figures[part]["median_ms"] < TARGET_MS for figures in found.values() for part in WALL)
    print(f"{'under' if is_met else 'NOT under'} {TARGET_MS:g} ms")
    load = round(os.getloadavg()[0], 1)
    RESULTS.write_text(json.dumps({"load": load, "runs": RUNS, "own_time": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
