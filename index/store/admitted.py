"""What a filter admits to a search: looked up once a generation, not three times a question."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from index.store.records import Records
from index.types import Filters

# Each costs 8 bytes a passage that it admits.
_KEPT = 8


class Admission:
    """What filters admit of a generation; None where it is everything, which need not be looked through."""

    def __init__(self, database: Records, documents: int) -> None:
        """`documents` is how many there are in `database`."""
        self._database = database
        self._documents = documents
        self._kept = lru_cache(_KEPT)(self._read)

    def documents(self, filters: Filters) -> list[int] | None:
        """Row ids of documents."""
        return self._kept(filters)[0] if filters else None

    def passages(self, filters: Filters) -> list[int] | None:
        """Row ids of passages, ascending."""
        rows = self._rows(filters)
        return None if rows is None else rows.tolist()

    def of(self, filters: Filters, passages: Iterable[int]) -> list[int]:
        """Those of the passages that are admitted."""
        wanted, rows = list(passages), self._rows(filters)
        if rows is None:
            return wanted
        given = np.array(wanted, np.int64)
        held = np.searchsorted(rows, given, "left") < np.searchsorted(rows, given, "right")
        return [row for row, is_held in zip(wanted, held.tolist(), strict=True) if is_held]

    def _rows(self, filters: Filters) -> NDArray[np.int64] | None:
        return self._kept(filters)[1] if filters else None

    def _read(self, filters: Filters) -> tuple[list[int] | None, NDArray[np.int64] | None]:
        documents = self._database.document_rows(filters)
        if len(documents) == self._documents:
            return None, None
        return documents, np.sort(np.array(self._database.passage_rows(documents), np.int64))
