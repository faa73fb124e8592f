"""The process that is part of a Ray cluster: requests from stdin become tasks, their results go to stdout.

Tasks rather than actors: Ray does a task again elsewhere when its node or the result on it is gone, and starts tasks on
nodes that join. A process on a node keeps what it has loaded from one task to the next, as an actor would.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import sys
import threading
import time
from concurrent.futures import Future
from functools import partial
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from index.errors import CitedQAError
from index.indexing.ray.node import Identity, differences, identity, run
from index.indexing.workers import send

# For a task whose process or node ends while it runs; one that ends each of its processes must not go on for ever.
_RETRIES = 5
_DIAL_S = 5.0
_LOOK_S = 2.0
_ATTEMPTS = 3


class _Problem(Exception):
    """Why the cluster can't be used, in one line."""


def probe(state: bytes) -> tuple[Identity, str]:
    """What a node has of what results depend on, or why it can't be used.

    It goes to the node as code, as it is: it must also run where cited-qa is missing.
    """
    try:
        from index.errors import CitedQAError
        from index.indexing.ray.node import identity
    except ImportError as exc:
        return {}, f"has no usable cited-qa ({exc}); install it there: pip install 'cited-qa[ray]'"
    try:
        return identity(state), ""
    except CitedQAError as exc:
        return {}, f"can't use the encoder: {exc}"


class _Bridge:
    def __init__(self, answers: Any, patience_s: float) -> None:  # noqa: ANN401 - a pipe
        self._answers = answers
        self._patience_s = patience_s
        self._writing = threading.Lock()
        self._pending = 0

    def connect(self, address: str, state: bytes) -> int:
        """How many CPUs the cluster has.

        Raises:
            _Problem: there is none, or one of its nodes can't be used.
        """
        # What Ray itself takes for auto, before it looks for a cluster on this machine.
        if (place := os.environ.get("RAY_ADDRESS", "auto") if address == "auto" else address) != "auto":
            _dial(place)
        _join(address)
        try:
            self._expected = identity(state)
        except CitedQAError as exc:
            raise _Problem(str(exc)) from exc
        nodes = _nodes()
        if not nodes:
            raise _Problem("no node of the cluster has a CPU; start one with: ray start --address=…")
        self._check(nodes, state)
        self._state = [ray.put(state)]
        self._task = ray.remote(run).options(num_cpus=1, max_retries=_RETRIES, scheduling_strategy="SPREAD")
        threading.Thread(target=self._watch, daemon=True).start()
        return max(1, int(sum(node["Resources"]["CPU"] for node in nodes)))

    def _check(self, nodes: list[dict[str, Any]], state: bytes) -> None:
        """Ask each node for what results depend on; one that has gone meanwhile need not answer."""
        ask = ray.remote(probe)
        asked = {}
        for node in nodes:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked[node["NodeManagerAddress"]] = ask.options(num_cpus=0, scheduling_strategy=there).remote(state)
        deadline = time.monotonic() + self._patience_s
        for name, ref in asked.items():
            try:
                there, problem = ray.get(ref, timeout=max(0.1, deadline - time.monotonic()))
            except ray.exceptions.GetTimeoutError as exc:
                raise _Problem(f"node {name} did not answer in {self._patience_s:.0f} s; look at: ray status") from exc
            except ray.exceptions.TaskUnschedulableError:
                continue
            except ray.exceptions.RayError as exc:
                raise _Problem(f"node {name} can't be used ({_first_line(exc)})") from exc
            if problem := f"node {name} {problem}" if problem else differences(self._expected, there, name):
                raise _Problem(problem)

    def request(self, number: int, request: bytes) -> None:
        """Have a request done; the answer is sent when it is there."""
        with self._writing:
            self._pending += 1
        future: Future[bytes] = self._task.remote(self._expected, self._state, request).future()
        future.add_done_callback(partial(self._done, number))

    def _done(self, number: int, future: Future[bytes]) -> None:
        error = future.exception()
        with self._writing:
            self._pending -= 1
            send(self._answers, (number, None, _first_line(error)) if error else (number, future.result(), ""))

    def _watch(self) -> None:
        """Give up when there has been no node to do what is asked for too long: Ray itself would wait for ever."""
        seen = time.monotonic()
        while True:
            time.sleep(_LOOK_S)
            if not self._pending or _nodes():
                seen = time.monotonic()
            elif time.monotonic() - seen > self._patience_s:
                with self._writing:
                    send(self._answers, (0, None, "all nodes of the cluster are gone"))
                os._exit(1)


def _nodes() -> list[dict[str, Any]]:
    """The nodes that are there and have a CPU."""
    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]


def _join(address: str) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            ray.init(address, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR)
            return
        except (ConnectionError, RuntimeError, ValueError, ImportError) as exc:
            # Ray's server for ray:// gives up on a process of its own that is slow to start.
            if attempt + 1 == _ATTEMPTS or not isinstance(exc, ConnectionError):
                raise _Problem(_meaning(address, " ".join(str(exc).split()))) from exc
            ray.shutdown()


def _dial(address: str) -> None:
    """Raise _Problem when nobody listens at an address; Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _DIAL_S).close()
    except OSError as exc:
        raise _Problem(f"no cluster answers at {address} ({exc.strerror or exc}); see on its head: ray status") from exc


def _meaning(address: str, reason: str) -> str:
    if "ersion mismatch" in reason:
        return f"{reason}; use the same versions here and there"
    if address == "auto":
        return f"no cluster runs on this machine ({reason}); start one, or give its address"
    if not address.startswith("ray://"):
        return f"can't join the cluster ({reason}); where this machine is none of its nodes, give ray://HOST:10001"
    return f"can't join the cluster ({reason})"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def main() -> None:
    """Answer requests on stdin until it is closed."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not stand between the answers
    address, state, patience_s = pickle.load(sys.stdin.buffer)  # noqa: S301
    bridge = _Bridge(answers, patience_s)
    try:
        cpus = bridge.connect(address, state)
    except _Problem as exc:
        send(answers, (0, None, str(exc)))
        os._exit(1)
    send(answers, (0, pickle.dumps(cpus), ""))
    while True:
        try:
            number, request = pickle.load(sys.stdin.buffer)  # noqa: S301
        except EOFError:
            os._exit(0)  # Ray's own end takes seconds, and nobody waits for anything any more
        bridge.request(number, request)


if __name__ == "__main__":
    main()
