"""The words of passages and of whole articles, each in a lexical index derived from the database."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import chain, groupby
from pathlib import Path

from index.errors import IndexDamagedError
from index.indexing.digest import article_words
from index.indexing.workers import Workers, batches
from index.store.lexical import Entry, LexicalIndex
from index.store.records import Records
from index.text.segmenter import Segmenter
from index.types import Progress

# Articles that one process cuts into words in one go.
_BATCH = 8

logger = logging.getLogger(__name__)


class Words:
    """The lexical indexes of a generation: `passages`, and `articles` as a prior for the passages in them."""

    def __init__(
        self,
        folder: Path,
        database: Records,
        segmenter: Segmenter,
        target: int,
        *,
        may_write: bool,
        workers: Workers | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Open them in `folder`; where `may_write`, bring them to generation `target` with the help of `workers`.

        Raises:
            IndexDamagedError: they can't be read, and may not be written.
        """
        self._database = database
        self._segmenter = segmenter
        self.passages = self._open(folder, "passages", target, may_write)
        self.articles = self._open(folder, "articles", target, may_write)
        if may_write and self.generation < target:
            self._update(target, workers, progress or (lambda *_: None))

    @property
    def generation(self) -> int:
        return min(self.passages.generation, self.articles.generation)

    def _open(self, folder: Path, kind: str, target: int, may_write: bool) -> LexicalIndex:
        # Another segmenter has another folder, so that readers go on with theirs until this one is complete.
        own = folder / f"{kind}-{self._segmenter.fingerprint}"
        try:
            found = LexicalIndex(own)
            if found.generation > target:
                raise ValueError(f"{own}: is ahead of the database")
        except ValueError as exc:
            if not may_write:
                raise IndexDamagedError(f"{exc}; run: qa index") from exc
            logger.warning("%s; deriving the lexical index again from the database", exc)
            found = LexicalIndex.reset(own)
        return found

    def _update(self, target: int, workers: Workers | None, progress: Progress) -> None:
        """Bring both to `target` in one pass over the articles."""
        since, done = self.generation, 0
        total = self._database.passages_since(since)
        with (
            self.passages.changing(self._database.removed_since("passages", since), target) as passages,
            self.articles.changing(self._database.removed_since("articles", since), target) as articles,
        ):
            for own, whole in self._entries(since, workers):
                for entry in own:
                    passages.add(entry)
                articles.add(whole)
                done += len(own)
                progress("words", done, total)

    def _entries(self, since: int, workers: Workers | None) -> Iterator[tuple[list[Entry], Entry]]:
        texts = self._database.texts_since(since)
        found = (list(passages) for _, passages in groupby(texts, key=lambda text: text.article))
        several = batches(found, _BATCH)
        if workers is None:
            yield from chain.from_iterable(article_words(articles, self._segmenter) for articles in several)
        else:
            yield from chain.from_iterable(workers.map("words", several))
