"""In how many passages and articles each token stands, kept in step with what is published.

The frequency of a token is stored with the one before it and the generation that it is of. So it can be worked out
again after a crash, and readers of the generation before have theirs.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from index.store.milvus.codes import Sparse, places_of
from index.store.milvus.connection import Row, among
from index.store.milvus.reading import Tables

_Places = NDArray[np.uint32]
# So many are counted at once, about 100 MB; and so many written.
_WAITING = 20_000_000
_WRITTEN = 20_000


class Counting:
    """How frequencies change: `kind` is `passages` or `articles`."""

    def __init__(self) -> None:
        self._changes: dict[str, _Tally] = {"passages": _Tally(), "articles": _Tally()}

    def add(self, kind: str, words: Iterable[Sparse], by: int = 1) -> None:
        self._changes[kind].add(words, by)

    def add_stored(self, tables: Tables, documents: Iterable[int], by: int) -> None:
        """Count what is stored of documents."""
        for listed in among("document", documents):
            for kind, tally in self._changes.items():
                for row in tables[kind].read_all(listed, ["row", "words"]):
                    tally.add([row["words"]], by)

    def write(self, tables: Tables, published: int, generation: int) -> int | None:
        """Store the frequencies of a generation, where `published` is the one before; the place of a frequent token."""
        passages, articles = (tally.total() for tally in self._changes.values())
        places = sorted(passages.keys() | articles.keys())
        most, frequent = 0, None
        for start in range(0, len(places), _WRITTEN):
            part = places[start : start + _WRITTEN]
            stored = {row["place"]: row for row in tables["terms"].get("place", part)}
            rows: list[Row] = []
            for place in part:
                base = [_base(stored.get(place), kind, published) for kind in ("passages", "articles")]
                row = {
                    "place": place,
                    "generation": generation,
                    "passages_before": base[0],
                    "articles_before": base[1],
                    "passages": max(0, base[0] + passages.get(place, 0)),
                    "articles": max(0, base[1] + articles.get(place, 0)),
                }
                most, frequent = max((most, frequent or 0), (row["passages"], place))
                rows.append(row)
            tables["terms"].write(rows, replace=True)
        return frequent if most else None


def _base(row: Row | None, kind: str, published: int) -> int:
    """The frequency as it is published; a run that was cut short may have stored a later one."""
    if row is None:
        return 0
    return int(row[kind] if row["generation"] <= published else row[f"{kind}_before"])


class _Tally:
    """Changes by place, added up now and then."""

    def __init__(self) -> None:
        self._places: _Places = np.zeros(0, np.uint32)
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._waiting: list[tuple[_Places, int]] = []
        self._size = 0

    def add(self, words: Iterable[Sparse], by: int) -> None:
        found = np.array([place for own in words for place in places_of(own)], np.uint32)
        self._waiting.append((found, by))
        self._size += len(found)
        if self._size > _WAITING:
            self._add_up()

    def _add_up(self) -> None:
        places = np.concatenate([self._places, *(found for found, _ in self._waiting)])
        counts = np.concatenate([self._counts, *(np.full(len(found), by) for found, by in self._waiting)])
        self._places, inverse = np.unique(places, return_inverse=True)
        self._counts = np.zeros(len(self._places), np.int64)
        np.add.at(self._counts, inverse, counts)
        self._waiting, self._size = [], 0

    def total(self) -> dict[int, int]:
        self._add_up()
        changed = self._counts != 0
        return dict(zip(self._places[changed].tolist(), self._counts[changed].tolist(), strict=True))
