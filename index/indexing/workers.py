"""Other processes that do `index.indexing.digest.Work`, so that every core takes part.

They are started when there is much to do: each takes half a second of processor time to load the model and dictionary.
Processes of our own rather than multiprocessing's: these end when the one that started them does, also by a kill.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import chain
from pathlib import Path
from typing import Any

from index.batches import batches
from index.encoder import Encoder
from index.errors import CitedQAError
from index.indexing.digest import Digest, Remembered, Work
from index.indexing.embeddings import Cache
from index.parsing import ReadText
from index.store.terms import BATCH, ArticleEntries
from index.text.segmenter import Segmenter
from index.types import PassageText

_ROOT = Path(__file__).parents[2]
# Work that would have taken so long here is worth starting them.
_MUCH_S = 1.0
# So many batches a process are under way, so that none waits for the next.
_AHEAD = 2
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS"), "1") | {"TOKENIZERS_PARALLELISM": "false"}


class Workers:
    """As many processes as there are cores to run on; none for an encoder that is not in this process anyway."""

    def __init__(self, encoder: Encoder, segmenter: Segmenter) -> None:
        self._work = Work(encoder, segmenter)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.count = cores if cores > 1 and not encoder.is_slow else 0
        self._state = (encoder, segmenter)
        self._tasks: queue.SimpleQueue[tuple[str, Any, Future[Any]] | None] = queue.SimpleQueue()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        for _ in self._threads:
            self._tasks.put(None)
        for process in self._processes:
            process.kill()
            process.wait()
        for thread in self._threads:
            thread.join()

    @property
    def is_started(self) -> bool:
        """Whether they are there already, and nothing is saved by leaving them alone."""
        return bool(self._threads)

    @property
    def ahead(self) -> int:
        """How many batches to hand in before the first is waited for."""
        return _AHEAD * self.count

    def submit(self, name: str, batch: Sequence[Any]) -> Future[Any]:
        """The result of the method `name` of `Work`, to come."""
        if not self._threads:
            for _ in range(self.count):
                self._start()
        future: Future[Any] = Future()
        self._tasks.put((name, batch, future))
        return future

    def map(self, name: str, batches: Iterable[Sequence[Any]]) -> Iterator[Any]:
        """The results of the method `name` of `Work` for each batch, in order; done here while it is little."""
        batches = iter(batches)
        done_s = 0.0
        while not self.is_started and (done_s < _MUCH_S or not self.count):
            started = time.thread_time()
            if (batch := next(batches, None)) is None:
                return
            result = getattr(self._work, name)(batch)
            done_s += time.thread_time() - started
            yield result
        waiting: deque[Future[Any]] = deque()
        for batch in batches:
            waiting.append(self.submit(name, batch))
            if len(waiting) > self.ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def digests(self, texts: Sequence[ReadText], cache: Cache) -> Future[list[Digest]]:
        """The digests of texts, to come. What is not known of their vectors is added to `cache` before they do.

        The other processes don't have the vectors that are kept here: they are sent those that they need. They split
        the texts twice, first to say what they would embed: next to a slow encoder that costs little.
        """
        digests: Future[list[Digest]] = Future()

        def ask(wanted: Future[set[bytes]]) -> None:
            known = cache.find(wanted.result())
            _then(self.submit("digests_with", (texts, known)), keep, digests)

        def keep(embedded: Future[Remembered]) -> None:
            result, fresh = embedded.result()
            cache.add(fresh.items())
            digests.set_result(result)

        _then(self.submit("embedded", texts), ask, digests)
        return digests

    def cut(self, articles: Iterable[Sequence[PassageText]]) -> Iterator[ArticleEntries]:
        """Articles cut into words; see `index.store.terms`."""
        yield from chain.from_iterable(self.map("words", batches(articles, BATCH)))

    def _start(self) -> None:
        # -P: a folder named `index` where the user stands must not stand in for ours.
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "index.indexing.workers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path},
        )
        thread = threading.Thread(target=self._attend, args=(process,), daemon=True)
        self._processes.append(process)
        self._threads.append(thread)
        thread.start()

    def _attend(self, process: subprocess.Popen[bytes]) -> None:
        """Hand tasks to a process one by one; those that it can't do, as when it was killed, are done here."""
        assert process.stdin is not None and process.stdout is not None
        with process.stdin as requests, process.stdout as answers:
            send(requests, self._state)
            while task := self._tasks.get():
                name, batch, future = task
                try:
                    send(requests, (name, batch))
                    answer = pickle.load(answers)  # noqa: S301 - our own process, which runs no parser
                except (OSError, EOFError, pickle.UnpicklingError, ValueError):
                    answer = _done(self._work, name, batch)
                if isinstance(answer, CitedQAError):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)


def _then(done: Future[Any], step: Callable[[Future[Any]], None], result: Future[Any]) -> None:
    """Take a step when something is done, in the thread that brings it; an error ends up in `result`."""

    def take(done: Future[Any]) -> None:
        try:
            step(done)
        except Exception as exc:
            result.set_exception(exc)

    done.add_done_callback(take)


def send(pipe: Any, value: object) -> None:  # noqa: ANN401
    """Write a value to a pipe; what can't be written is met when the answer is read."""
    try:
        pickle.dump(value, pipe, protocol=pickle.HIGHEST_PROTOCOL)
        pipe.flush()
    except BrokenPipeError:
        pass


def _done(work: Work, name: str, batch: Sequence[Any]) -> Any:  # noqa: ANN401
    try:
        return getattr(work, name)(batch)
    except CitedQAError as exc:
        return exc


def main() -> None:
    """Answer requests on stdin until it is closed."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not stand between the answers
    encoder, segmenter = pickle.load(sys.stdin.buffer)  # noqa: S301
    work = Work(encoder, segmenter)
    while True:
        try:
            name, batch = pickle.load(sys.stdin.buffer)  # noqa: S301
        except EOFError:
            return
        send(answers, _done(work, name, batch))


if __name__ == "__main__":
    main()
