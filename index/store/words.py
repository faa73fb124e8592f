"""The words of passages and of whole articles, each in a lexical index derived from the database."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from index.errors import IndexDamagedError
from index.fold import fold_text
from index.passages import clean
from index.segmenter import Segmenter
from index.store.database import Database, PassageText
from index.store.lexical import Change, Entry, LexicalIndex
from index.tokens import tokenize

logger = logging.getLogger(__name__)


class Words:
    """The lexical indexes of a generation: `passages`, and `articles` as a prior for the passages in them."""

    def __init__(self, folder: Path, database: Database, segmenter: Segmenter, target: int, *, may_write: bool) -> None:
        """Open them in `folder`; where `may_write`, bring them to generation `target`.

        Raises:
            IndexDamagedError: they can't be read, and may not be written.
        """
        self._database = database
        self._segmenter = segmenter
        self.passages = self._open(folder, "passages", target, may_write)
        self.articles = self._open(folder, "articles", target, may_write)
        if may_write and self.generation < target:
            self._update(target)

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

    def _update(self, target: int) -> None:
        """Bring both to `target` in one pass: an article's words are those of its title and its passages."""
        since = self.generation
        with (
            self.passages.changing(self._database.removed_since("passages", since), target) as passages,
            self.articles.changing(self._database.removed_since("articles", since), target) as articles,
        ):
            for article in self._articles(since):
                self._add(article, passages, articles)

    def _articles(self, since: int) -> Iterator[list[PassageText]]:
        texts = self._database.texts_since(since)
        return (list(passages) for _, passages in groupby(texts, key=lambda text: text.article))

    def _add(self, texts: list[PassageText], passages: Change, articles: Change) -> None:
        first = texts[0]
        whole = self._tokenize(first.title)
        for text in texts:
            tokens = self._tokenize(clean(text.text, text.start, text.hidden))
            whole += tokens
            # A passage is also found by its headings and by its article's title, date and place. Words that it repeats
            # count once: captions that repeat the title would win otherwise.
            context = self._tokenize("\n".join([text.title, *text.heading_path, *text.context]))
            passages.add(Entry(text.row, text.document_row, [*tokens, *set(context).difference(tokens)]))
        articles.add(Entry(first.article, first.document_row, whole))

    def _tokenize(self, text: str) -> list[str]:
        return tokenize(fold_text(text), self._segmenter)
