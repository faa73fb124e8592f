"""What a filter admits to a search: looked up once a generation, not three times a question."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from index.store.records import Records
from index.types import Filters

# Each costs 8 bytes a passage that it admits.
_KEPT = 8
# A filter that admits so much is wide; of its share so many times more are found as are wanted.
_WIDE_SHARE = 0.2
_SPARE = 2

Rows = NDArray[np.int64]
Find = Callable[[int], list[tuple[int, float]]]


class Admission:
    """What filters admit of a generation; None where it is everything, which need not be looked through."""

    def __init__(self, database: Records) -> None:
        self._database = database
        self._documents, self._passages = database.counts()
        self._kept = lru_cache(_KEPT)(self._read)

    def documents(self, filters: Filters) -> list[int] | None:
        """Row ids of documents."""
        return self._kept(filters)[0] if filters else None

    def passages(self, filters: Filters) -> Rows | None:
        """Row ids of passages, ascending."""
        return self._kept(filters)[1] if filters else None

    def of(self, filters: Filters, passages: Iterable[int]) -> list[int]:
        """Those of the passages that are admitted."""
        wanted, rows = np.fromiter(passages, np.int64), self.passages(filters)
        if rows is not None:
            wanted = wanted[np.searchsorted(rows, wanted, "right") > np.searchsorted(rows, wanted, "left")]
        found: list[int] = wanted.tolist()
        return found

    def first(self, filters: Filters, limit: int, find: Find) -> list[tuple[int, float]] | None:
        """The first `limit` passages that a filter admits of what `find` gives without one; None where it is too few.

        A filter that admits most has so many rows that to search through them takes longer than to find more.
        """
        rows = self.passages(filters)
        if rows is None or len(rows) < _WIDE_SHARE * self._passages:
            return None
        found = dict(find(int(_SPARE * limit * self._passages / len(rows))))
        admitted = self.of(filters, found)[:limit]
        return [(row, found[row]) for row in admitted] if len(admitted) == limit else None

    def _read(self, filters: Filters) -> tuple[list[int] | None, Rows | None]:
        documents = self._database.document_rows(filters)
        if len(documents) == self._documents:
            return None, None
        return documents, np.sort(np.array(self._database.passage_rows(documents), np.int64))
