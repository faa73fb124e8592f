"""The store on local disk: SQLite for the truth; vector index, lexical indexes and clusters derived from it.

    data_dir/current            name of the folder that is read
    data_dir/write.lock         held by the one writer
    data_dir/<name>/index.sqlite, vectors.faiss, clusters.sqlite,
                                passages-<segmenter>/, articles-<segmenter>/

Here it is read; `index.store.location` makes and opens it. A rebuild makes a new folder beside the old one and switches
`current` when it is complete.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.dedup.clusters import Clusters
from index.encoder import Vectors
from index.errors import IndexDamagedError
from index.store import codes
from index.store.database import Database
from index.store.lexical import LexicalPair
from index.store.records import Records
from index.store.rows import RowCache
from index.store.terms import Terms
from index.store.vectors import AdmittedVectors, Stamp, VectorIndex
from index.text.segmenter import Segmenter
from index.types import Document, DocumentInfo, Filters, Passage, PassageVectors, Section, Skipped

logger = logging.getLogger(__name__)

VECTORS = "vectors.faiss"
CLUSTERS = "clusters.sqlite"
# What questions come back to; about 40 MB.
_CACHED_PASSAGES = 8192
# The vectors of so few are sooner compared one by one than found in an index of all.
_FEW_PASSAGES = 1000
# What passages filters admit, as bits: 1 MB each for a million passages.
_CACHED_SELECTIONS = 16
# What passages filters admit, as rows: 8 bytes a passage.
_CACHED_FILTERS = 8
# A filter that admits so much is wide; of its share so many times more are found as are wanted.
_WIDE_SHARE = 0.2
_SPARE = 2

Rows = NDArray[np.int64]
Find = Callable[[int], list[tuple[int, float]]]


class FilterRows:
    """What filters admit of a generation, looked up once; None where it is everything, which needs no looking."""

    def __init__(self, database: Records) -> None:
        self._database = database
        self._documents, self._passages = database.counts()
        self._cached = lru_cache(_CACHED_FILTERS)(self._read)

    def documents(self, filters: Filters) -> list[int] | None:
        """Row ids of documents."""
        return self._cached(filters)[0] if filters else None

    def passages(self, filters: Filters) -> Rows | None:
        """Row ids of passages, ascending."""
        return self._cached(filters)[1] if filters else None

    def of(self, filters: Filters, passages: Iterable[int]) -> list[int]:
        """Those of the passages that are admitted."""
        wanted, rows = np.fromiter(passages, np.int64), self.passages(filters)
        if rows is not None:
            wanted = wanted[np.searchsorted(rows, wanted, "right") > np.searchsorted(rows, wanted, "left")]
        admitted: list[int] = wanted.tolist()
        return admitted

    def first(self, filters: Filters, limit: int, find: Find) -> list[tuple[int, float]] | None:
        """The first `limit` passages that a filter admits of what `find` gives without one; None where it is too few.

        A filter that admits most has so many rows that to search through them takes longer than to find more.
        """
        rows = self.passages(filters)
        if rows is None or len(rows) < _WIDE_SHARE * self._passages:
            return None
        scores = dict(find(int(_SPARE * limit * self._passages / len(rows))))
        admitted = self.of(filters, scores)[:limit]
        return [(row, scores[row]) for row in admitted] if len(admitted) == limit else None

    def _read(self, filters: Filters) -> tuple[list[int] | None, Rows | None]:
        documents = self._database.document_rows(filters)
        if len(documents) == self._documents:
            return None, None
        return documents, np.sort(np.array(self._database.passage_rows(documents), np.int64))


class LocalStore:
    """One generation of a local index, for reading by many threads; see `index.store.Store`.

    Use `index.store.location`; a store does not change under its reader, who opens it again when `is_stale` says so.
    """

    def __init__(self, folder: Path, segmenter: Segmenter) -> None:
        """Open what is derived, as it is; it may be behind the database.

        Raises:
            IndexDamagedError: the words or the clusters can't be read.
        """
        database = Database(folder / "index.sqlite")
        self.folder = folder
        self.segmenter = segmenter
        self.dim = int(database.meta("dim") or 0)
        self.encoder = str(json.loads(database.meta("settings") or "{}").get("encoder"))
        self._published = database.meta("published")
        self._words = LexicalPair.load(folder, segmenter, database.generation)
        self._clusters = opened_clusters(folder)
        # Readers have the generation of the words; what else there is may be behind it, and is brought up to it.
        self.generation = self._words.generation
        self.database = database.at(self.generation)
        self._counts = self.database.counts()
        self._filters = FilterRows(self.database)
        self._loading = threading.Lock()
        self._loaded: VectorIndex | None = None
        self._passages: RowCache[Passage] = RowCache(_CACHED_PASSAGES)
        self._codes: RowCache[PassageVectors] = RowCache(_CACHED_PASSAGES)
        self._leaders: RowCache[int] = RowCache(_CACHED_PASSAGES)
        self._members = lru_cache(_CACHED_PASSAGES)(self._first_members)
        self._selected = lru_cache(_CACHED_SELECTIONS)(self._select)

    def is_stale(self) -> bool:
        """Whether a newer generation has been published, or another folder made current."""
        # The folder first: after a rebuild the old database can't be opened any more.
        return current_folder(self.folder.parent) != self.folder or self.database.meta("published") != self._published

    @property
    def where(self) -> str:
        return str(self.folder)

    def is_there(self) -> bool:
        return self.folder.exists()

    def check(self) -> str:
        return self.database.check()

    def counts(self) -> tuple[int, int]:
        return self._counts

    @property
    def units(self) -> int:
        """About how many vectors are held; told without loading them."""
        if self._loaded is not None:
            return len(self._loaded)
        stamp = Stamp.read(self.folder / VECTORS)
        return stamp.vectors + self.database.changed_vectors(stamp.generation)

    def search_passages(self, terms: Terms, limit: int, filters: Filters) -> list[tuple[int, float]]:
        own = self._words.passages
        first = self._filters.first(filters, limit, lambda more: own.search(terms, more))
        return own.search(terms, limit, self._filters.documents(filters)) if first is None else first

    def search_articles(self, terms: Terms, limit: int, filters: Filters) -> list[tuple[int, float]]:
        return self._words.articles.search(terms, limit, self._filters.documents(filters))

    def search_vectors(self, vector: Vectors, limit: int, filters: Filters) -> list[tuple[int, float]]:
        rows = self._filters.passages(filters)
        if rows is not None and len(rows) <= _FEW_PASSAGES:
            return self._nearest(vector, limit, rows.tolist())
        index = self._vectors
        near = index.search(vector, limit, None if rows is None else self._selected(filters))
        return self._nearest(vector, limit, (row for row, _ in near)) if index.is_rough else near

    def _select(self, filters: Filters) -> AdmittedVectors:
        rows = self._filters.passages(filters)
        assert rows is not None
        return self._vectors.admit(rows)

    def _nearest(self, vector: Vectors, limit: int, rows: Iterable[int]) -> list[tuple[int, float]]:
        """Of these passages those that have the `limit` nearest units, by exact cosines."""
        passages = self.vectors(rows)
        if not passages:
            return []
        near = codes.cosines([passage.codes for passage in passages], vector[None])[:, 0]
        size = codes.width(self.dim)
        owners = np.repeat([passage.row for passage in passages], [len(passage.codes) // size for passage in passages])
        best: dict[int, float] = {}
        for place in np.lexsort((owners, -near))[:limit].tolist():
            best.setdefault(int(owners[place]), float(near[place]))
        return list(best.items())

    def passages(self, rows: Iterable[int]) -> dict[int, Passage]:
        return self._passages.find(rows, self.database.passages)

    def article_passages(self, article: int) -> list[Passage]:
        return self.database.article_passages([article])

    def vectors(self, rows: Iterable[int]) -> list[PassageVectors]:
        by_row = self._codes.find(rows, lambda missing: {v.row: v for v in self.database.vectors(missing)})
        return list(by_row.values())

    def clusters(self, rows: Iterable[int]) -> dict[int, int]:
        return self._leaders.find(rows, self._clusters.leaders)

    def copies(self, rows: Mapping[int, int], limit: int, filters: Filters) -> dict[int, list[Passage]]:
        # Where a filter hides the first copies of a passage, those beyond them are not looked for.
        members = {leader: self._members(leader, limit + 1) for leader in rows.values()}
        wanted = {copy for copies in members.values() if len(copies) > 1 for copy in copies}
        passages = self.passages(self._filters.of(filters, wanted))
        return {
            row: [passages[copy] for copy in members[leader] if copy != row and copy in passages][:limit]
            for row, leader in rows.items()
        }

    def _first_members(self, leader: int, limit: int) -> list[int]:
        return self._clusters.members([leader], limit)[leader]

    def expect(self, terms: Iterable[str]) -> None:
        """Nothing: they are at hand."""

    def document_frequency(self, term: str) -> int:
        return self._words.passages.document_frequency(term)

    def document(self, document_id: str) -> Document | None:
        return self.database.document(document_id)

    def document_info(self, document_id: str) -> DocumentInfo | None:
        return self.database.document_info(document_id)

    def documents(self, limit: int | None = None, after: str = "", containing: str = "") -> list[DocumentInfo]:
        return self.database.documents(limit, after, containing)

    def document_passages(self, document_id: str, limit: int, after: int = 0) -> list[Passage]:
        return self.database.document_passages(document_id, limit, after)

    def sections(self, document_id: str) -> list[Section]:
        return self.database.sections(document_id)

    def passage_rows_of(self, document_ids: Sequence[str]) -> dict[str, list[int]]:
        return self.database.passage_rows_of(document_ids)

    def of_file(self, file: str) -> tuple[list[str], list[Skipped]]:
        return self.database.of_file(file)

    def skipped(self) -> list[Skipped]:
        return self.database.skipped()

    @property
    def _vectors(self) -> VectorIndex:
        """Loaded when it is first asked for: a sync that changes little has no use for it."""
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load_vectors()
            return self._loaded

    def _load_vectors(self) -> VectorIndex:
        """The checkpoint brought up to date; derived from the database when it can't be read."""
        path = self.folder / VECTORS
        target = self.database.generation
        try:
            index = VectorIndex.load(path, self.dim)
            if index.generation > self.database.newest:
                raise ValueError(f"{path}: is ahead of the database")
        except ValueError as exc:
            if path.exists():
                logger.warning("%s; deriving the vector index again from the database", exc)
            index = VectorIndex(self.dim)
        if index.generation < target:
            index.remove(self.database.removed_since("passages", index.generation))
            index.add(self.database.vectors_since(index.generation))
            index.generation = target
        return index


def opened_clusters(folder: Path) -> Clusters:
    """The clusters, for reading.

    Raises:
        IndexDamagedError: they can't be read.
    """
    try:
        return Clusters(folder / CLUSTERS)
    except ValueError as exc:
        raise IndexDamagedError(f"{exc}; run: qa index") from exc


def current_folder(data_dir: Path) -> Path | None:
    """The folder that readers use, None before the first index."""
    try:
        name = (data_dir / "current").read_text().strip()
    except OSError:
        return None
    return data_dir / name
