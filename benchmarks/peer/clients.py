"""Clients of a peer's HTTP server, the same for all of them and light: the standard library's, one connection each."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

from served import memory_mb

from peer.measure import milliseconds, percentile

CLIENTS = 8
WARM_UP_S, MEASURED_S, START_S, END_S = 3.0, 10.0, 180.0, 20.0
_ONE_CLIENT_QUESTIONS = 300
Request = tuple[str, Any]


class ServerError(Exception):
    """The server did not start, or did not answer as it should."""


def measure(spec: dict[str, Any], port: int, cores: int, environment: dict[str, str], log: Path) -> dict[str, float]:
    """Latency for one client, the rate of eight, and the memory after that; the rate of a worker a core if there are.

    Raises:
        ServerError: it did not start, or answered with an error.
    """
    requests: list[Request] = [(path, body) for path, body in spec["requests"]]
    surroundings = environment | spec["environment"]
    with _running(spec["command"], surroundings, log) as process:
        _wait(process, port, requests[0], log)
        _together(port, requests, WARM_UP_S)
        alone = _ask(port, cycle(requests), MEASURED_S, _ONE_CLIENT_QUESTIONS)
        figures = {
            "http_p50_ms": milliseconds(median(alone)),
            "http_p99_ms": milliseconds(percentile(alone, 0.99)),
            "http_per_s": _rate(port, requests),
            "server_mb": round(memory_mb(process.pid)[1]),
        }
    if spec["workers"] and cores > 1:
        with _running([*spec["command"], spec["workers"], str(cores)], surroundings, log) as process:
            _wait(process, port, requests[0], log)
            _together(port, requests, WARM_UP_S)
            figures |= {"http_workers": cores, "http_workers_per_s": _rate(port, requests)}
    return figures


def _rate(port: int, requests: Sequence[Request]) -> float:
    """Questions a second that all clients are answered."""
    started = time.perf_counter()
    rate = _together(port, requests, MEASURED_S) / (time.perf_counter() - started)
    return round(rate, 1) if rate < 20 else round(rate)


@contextmanager
def _running(command: Sequence[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=log.parent, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, request: Request, log: Path) -> None:
    """Until the server answers a question."""
    ends = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < ends:
        try:
            _ask(port, iter([request]), START_S, 1)
            return
        except (OSError, http.client.HTTPException, ServerError):
            time.sleep(0.2)
    last = log.read_text(errors="replace").strip().splitlines()[-1:]
    raise ServerError(f"the server does not answer: {''.join(last)[:200]}")


def _together(port: int, requests: Sequence[Request], seconds: float) -> int:
    """How many questions are answered to all clients, each beginning at another one."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [
            pool.submit(_ask, port, islice(cycle(requests), number * len(requests) // CLIENTS, None), seconds)
            for number in range(CLIENTS)
        ]
        return sum(len(client.result()) for client in running)


def _ask(port: int, requests: Iterator[Request], seconds: float, most: int | None = None) -> list[float]:
    """Seconds that each question took, over one connection, for so long or so many."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    taken: list[float] = []
    ends = time.perf_counter() + seconds
    for path, body in islice(requests, most):
        started = time.perf_counter()
        if body is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise ServerError(f"{path}: {answer.status} {text[:100]!r}")
        taken.append(time.perf_counter() - started)
        if time.perf_counter() > ends:
            break
    connection.close()
    return taken
