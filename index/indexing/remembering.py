"""Digests by other processes that don't have the vectors which are kept here: they are sent those that they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from index.indexing.digest import Digest, Remembered
from index.indexing.embeddings import Cache
from index.indexing.workers import Workers
from index.parsing import ReadText


def digests(texts: Sequence[ReadText], workers: Workers, cache: Cache) -> Future[list[Digest]]:
    """The digests of texts, to come. What is not known of their vectors is added to `cache` before they do.

    The other processes split the texts twice, first to say what they would embed: next to a slow encoder that costs
    little.
    """
    found: Future[list[Digest]] = Future()

    def ask(asked: Future[set[bytes]]) -> None:
        known = cache.find(asked.result())
        _then(workers.submit("digests_with", (texts, known)), keep, found)

    def keep(made: Future[Remembered]) -> None:
        result, fresh = made.result()
        cache.add(fresh.items())
        found.set_result(result)

    _then(workers.submit("embedded", texts), ask, found)
    return found


def _then(done: Future[Any], step: Callable[[Future[Any]], None], found: Future[list[Digest]]) -> None:
    """Take a step when something is done, in the thread that brings it; an error ends up in `found`."""

    def take(done: Future[Any]) -> None:
        try:
            step(done)
        except Exception as exc:
            found.set_exception(exc)

    done.add_done_callback(take)
