"""Texts to their digests and on to the database, in order, several at once, many in one transaction."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType

from index.errors import EncoderError
from index.indexing import remembering
from index.indexing.digest import Digest, digest
from index.indexing.embeddings import Advance, Embedder
from index.indexing.workers import Workers
from index.parsing import ReadText
from index.store import Changes

# Texts that one process digests in one go: large enough that handing them over costs little.
_BATCH_CHARS = 30_000
# Before so much has come the other processes are not worth starting.
_MUCH_CHARS = 1_000_000
# So many characters, or so many seconds, are one transaction.
_TOGETHER_CHARS = 300_000
_TOGETHER_S = 0.3


@dataclass(slots=True)
class _Batch:
    """Texts on their way through one process."""

    texts: list[ReadText] = field(default_factory=list)
    chars: int = 0
    found: Future[list[Digest]] | None = None


class Pipeline:
    """Steps are taken in the order in which they are handed in; those that wait for a digest hold up the rest.

    As a context manager it takes all steps before it ends, also when an error ends it that came with a later one.
    """

    def __init__(self, database: Changes, embedder: Embedder, workers: Workers) -> None:
        self._database = database
        self._embedder = embedder
        self._workers = workers
        self._steps: deque[tuple[int, Callable[[], object]]] = deque()
        self._batch = _Batch()
        self._told: list[Callable[[], object]] = []
        self._waiting_chars = self._seen_chars = 0
        self._stored_at = time.monotonic()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None or isinstance(error, Exception):
            self._take(0)

    def then(self, step: Callable[[], object]) -> None:
        """Take a step when those before it have been taken."""
        self._steps.append((0, step))
        if not self._waiting_chars:
            self._take_if_due()

    def tell(self, told: Callable[[], object]) -> None:
        """Tell of progress when the steps before it are stored."""
        self.then(partial(self._told.append, told))

    def digest(self, text: ReadText, store: Callable[[Digest], None], advance: Advance | None = None) -> None:
        """Digest a text, and `store` what comes of it in its turn; `advance` is told how much of it is embedded.

        Raises:
            EncoderError: of this text, or of an earlier one.
        """
        chars = len(text.text)
        self._seen_chars += chars
        if self._is_handed_over:
            self._hand_over(text, store)
        else:
            found = digest(text, self._embedder, advance)
            self._steps.append((chars, partial(store, found)))
        self._waiting_chars += chars
        self._take_if_due()

    @property
    def _is_handed_over(self) -> bool:
        return self._workers.is_started or bool(self._workers.count and self._seen_chars > _MUCH_CHARS)

    def _hand_over(self, text: ReadText, store: Callable[[Digest], None]) -> None:
        batch, number = self._batch, len(self._batch.texts)
        batch.texts.append(text)
        batch.chars += len(text.text)

        def take() -> None:
            if batch.found is None:
                self._submit()
            assert batch.found is not None
            store(batch.found.result()[number])

        self._steps.append((len(text.text), take))
        if batch.chars >= _BATCH_CHARS:
            self._submit()

    def _submit(self) -> None:
        texts, cache = self._batch.texts, self._embedder.cache
        if cache:
            self._batch.found = remembering.digests(texts, self._workers, cache)
        else:
            self._batch.found = self._workers.submit("digests", texts)
        self._batch = _Batch()

    def _take_if_due(self) -> None:
        if self._is_handed_over:
            # What is under way stays, so that the other processes have no pause.
            under_way = self._workers.ahead * _BATCH_CHARS
            if self._waiting_chars > under_way + _TOGETHER_CHARS:
                self._take(under_way)
        elif self._waiting_chars > _TOGETHER_CHARS or time.monotonic() - self._stored_at > _TOGETHER_S:
            self._take(0)

    def _take(self, left_chars: int) -> None:
        """Take steps until so many characters are left, in one transaction."""
        failed: EncoderError | None = None
        steps, self._steps = self._steps, deque()  # after an error nothing is taken that came later
        with self._database.together():
            while steps and (self._waiting_chars > left_chars or not left_chars):
                chars, step = steps.popleft()
                self._waiting_chars -= chars
                try:
                    step()
                except EncoderError as exc:
                    failed = exc
                    break
        if failed:
            raise failed
        self._steps = steps
        self._stored_at = time.monotonic()
        told, self._told = self._told, []
        for tell in told:
            tell()
