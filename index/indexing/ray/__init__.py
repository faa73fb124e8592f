"""Workers on a Ray cluster: those of `index.indexing.workers`, on as many machines as there are.

    here  --pipe-->  index.indexing.ray.bridge  --Ray-->  index.indexing.ray.node, on every CPU of the cluster

Ray is kept to a process of its own, the bridge: it writes to the terminal, takes over signals and ends its process when
the cluster is lost. What it does ends up here as an answer, or as the end of a pipe.
"""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten
from typing import Any

from index.batches import batches
from index.encoder import Encoder
from index.errors import ClusterError, ConfigError
from index.indexing.workers import Workers, send
from index.text.segmenter import Segmenter

_ROOT = Path(__file__).parents[3]
# For what a cluster does at its own pace: answer at first, tell that a node is gone, get another.
PATIENCE_S = 60.0
# Batches of `map` that go to a node in one go; they are small, and handing one over costs some milliseconds.
_TOGETHER = 16
_REASON_CHARS = 300
_LOGGED = re.compile(r"^\[[^]]*\] \S+: ")
_GO_ON = "what was stored until then stays; run the same command again to go on"
_Answer = tuple[int, bytes | None, str]
"""Number of the request, the pickled result, or why there is none; number 0 is the whole cluster."""


class RayWorkers(Workers):
    """All CPUs of the Ray cluster at `address`: `auto`, `host:port` or `ray://host:port`.

    Entering it connects.

    Raises:
        ConfigError: Ray is not installed, or `address` is none.
        ClusterError: no cluster answers there, a node has another version, or, from a future, what was asked failed.
    """

    def __init__(self, encoder: Encoder, segmenter: Segmenter, address: str, patience_s: float | None = None) -> None:
        super().__init__(encoder, segmenter)
        if find_spec("ray") is None:
            raise ConfigError("--ray: Ray is not installed; run: pip install 'cited-qa[ray]'")
        self._address = _checked(address)
        self._patience_s = patience_s or PATIENCE_S
        self._asked: dict[int, Future[Any]] = {}
        self._changing = threading.Lock()
        self._number = 0
        self._lost: ClusterError | None = None
        self._said = tempfile.TemporaryFile()

    def __enter__(self) -> RayWorkers:
        # -P: a folder named `index` where the user stands must not stand in for ours. In / there is none; Ray shows
        # its processes the folder that this one stands in.
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_gcs_rpc_server_reconnect_timeout_s": f"{self._patience_s:.0f}"}
        self._bridge = subprocess.Popen(
            [sys.executable, "-P", "-m", "index.indexing.ray.bridge"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            cwd=Path(_ROOT.anchor),
            env={**os.environ, **quiet, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for this process, which then ends that one
        )
        assert self._bridge.stdin is not None and self._bridge.stdout is not None
        self._requests, self._answers = self._bridge.stdin, self._bridge.stdout
        # Twice, for what each node does after the cluster has answered; the bridge itself should say what is wrong.
        deadline = threading.Timer(2.5 * self._patience_s, self._bridge.kill)
        deadline.start()
        try:
            send(self._requests, (self._address, pickle.dumps(self._state), self._patience_s))
            _, answer, reason = self._answer()
        except BaseException:
            self.__exit__()
            raise
        finally:
            deadline.cancel()
        if answer is None:
            self.__exit__()
            raise ClusterError(f"--ray {self._address}: {reason}")
        self.count = pickle.loads(answer)  # noqa: S301 - the bridge is ours
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bridge.kill()  # Ray ends what it was still doing for it
        self._bridge.wait()
        if hasattr(self, "_reader"):
            self._reader.join()
        for pipe in (self._requests, self._answers):
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        self._said.close()

    @property
    def is_started(self) -> bool:
        return True

    def submit(self, name: str, batch: Sequence[Any]) -> Future[Any]:
        """The result of the method `name` of `Work`, to come."""
        several = self._submit(name, [batch])
        future: Future[Any] = Future()

        def settle(done: Future[Any]) -> None:
            error = done.exception()
            future.set_exception(error) if error else future.set_result(done.result()[0])

        several.add_done_callback(settle)
        return future

    def map(self, name: str, batches_: Iterable[Sequence[Any]]) -> Iterator[Any]:
        """The results of the method `name` of `Work` for each batch, in order."""
        waiting: deque[Future[Any]] = deque()
        for together in batches(batches_, _TOGETHER):
            waiting.append(self._submit(name, together))
            if len(waiting) > self.ahead:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()

    def _submit(self, name: str, several: list[Sequence[Any]]) -> Future[Any]:
        request = pickle.dumps((name, several), protocol=pickle.HIGHEST_PROTOCOL)
        future: Future[Any] = Future()
        with self._changing:
            if self._lost:
                future.set_exception(self._lost)
                return future
            self._number += 1
            self._asked[self._number] = future
            send(self._requests, (self._number, request))
        return future

    def _answer(self) -> _Answer:
        try:
            answer: _Answer = pickle.load(self._answers)  # noqa: S301 - the bridge is ours
        except (OSError, EOFError, pickle.UnpicklingError, ValueError):
            return 0, None, f"the connection to the cluster ended{self._last_words()}"
        return answer

    def _read(self) -> None:
        """Hand out answers until there are no more."""
        while True:
            number, answer, reason = self._answer()
            if not number:
                break
            with self._changing:
                future = self._asked.pop(number)
            if answer is None:
                future.set_exception(ClusterError(f"--ray {self._address}: {reason}; {_GO_ON}"))
                continue
            results = pickle.loads(answer)  # noqa: S301 - made by our own code, on a cluster that the user trusts
            future.set_exception(results) if isinstance(results, Exception) else future.set_result(results)
        with self._changing:
            self._lost = ClusterError(f"--ray {self._address}: {reason}; {_GO_ON}")
            left, self._asked = self._asked, {}
        for future in left.values():
            future.set_exception(self._lost)

    def _last_words(self) -> str:
        """What the bridge or Ray wrote last, as the reason."""
        self._said.seek(0)
        lines = [line for line in self._said.read().decode("utf-8", "replace").splitlines() if line.strip()]
        last = _LOGGED.sub("", lines[-1]) if lines else ""
        return f" ({shorten(last, _REASON_CHARS, placeholder='…')})" if last else ""


def _checked(address: str) -> str:
    """An address, if it is one that Ray connects to."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address != "auto" and not (host and port.isdigit() and 0 < int(port) < 1 << 16 and "/" not in host):
        raise ConfigError(
            f"--ray: {address!r} is no address of a cluster; give `auto` or HOST:PORT where this machine is one of its"
            " nodes, else ray://HOST:PORT"
        )
    return address
