"""The store on local disk: SQLite for the truth; vector index, lexical indexes and clusters derived from it.

    data_dir/current            name of the folder that is read
    data_dir/write.lock         held by the one writer
    data_dir/<name>/index.sqlite, vectors.faiss, clusters.sqlite,
                                passages-<segmenter>/, articles-<segmenter>/

A rebuild makes a new folder beside the old one and switches `current` when it is complete.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from index.dedup.clusters import Clusters
from index.encoder import Vectors
from index.errors import IndexDamagedError
from index.indexing.workers import Workers
from index.store import Terms, codes, vectors
from index.store.database import FORMAT, Database
from index.store.filters import Admission
from index.store.lexical_pair import Words
from index.store.records import Records
from index.store.row_cache import Kept
from index.store.rows import PassageVectors
from index.store.vectors import Admitted, Stamp, VectorIndex
from index.text.segmenter import PLAIN, Segmenter
from index.types import Document, DocumentInfo, Filters, Passage, Progress, Section, Skipped

logger = logging.getLogger(__name__)

VECTORS = "vectors.faiss"
# What questions come back to; about 40 MB.
_KEPT_PASSAGES = 8192
_KEPT_TOKENS = 1 << 14
# The vectors of so few are sooner compared one by one than found in an index of all.
_FEW_PASSAGES = 1000
# What passages filters admit, as bits: 1 MB each for a million passages.
_KEPT_FILTERS = 16
# Rewriting the vector checkpoint costs what the corpus costs, so it waits until this share of it has changed, or as
# many vectors as a new reader can replay, and a search look through beside it, without being felt.
_CHECKPOINT_SHARE = 0.1
_CHECKPOINT_VECTORS = 20_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What an index is made with; vectors and tokens made otherwise can't be compared."""

    encoder: str
    segmenter: Segmenter = PLAIN
    format: int = FORMAT

    def stored(self) -> dict[str, str | int]:
        """As the database keeps it."""
        return {"encoder": self.encoder, "segmenter": self.segmenter.fingerprint, "format": self.format}


class LocalStore:
    """One generation of a local index, for reading by many threads.

    Use `open_store`; a store does not change under its reader, who opens it again when `is_stale` says so.
    """

    def __init__(
        self,
        folder: Path,
        database: Database,
        segmenter: Segmenter,
        may_write: bool,
        workers: Workers | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.folder = folder
        self.segmenter = segmenter
        self.database: Records = database
        self.dim = int(database.meta("dim") or 0)
        self.encoder = str(json.loads(database.meta("settings") or "{}").get("encoder"))
        self._published = database.meta("published")
        target = database.generation
        self._loading = threading.Lock()
        self._read: Kept[Passage] = Kept(_KEPT_PASSAGES)
        self._read_vectors: Kept[PassageVectors] = Kept(_KEPT_PASSAGES)
        self._read_leaders: Kept[int] = Kept(_KEPT_PASSAGES)
        self._loaded: VectorIndex | None = None
        self._selected = lru_cache(_KEPT_FILTERS)(self._select)
        make_words = partial(
            Words, folder, database, segmenter, target, may_write=may_write, workers=workers, progress=progress
        )
        if may_write and not self._published:
            # Nobody reads yet, so that the three may come in any order; each of them alone leaves cores idle.
            with ThreadPoolExecutor(2) as beside:
                saved = beside.submit(self._save_vectors, target)
                grouped = beside.submit(self._load_clusters, target, may_write)
                self._words = make_words()
            saved.result()
            self._clusters = grouped.result()
        else:
            # Readers have the generation of the words; what else they find may be behind it and never ahead.
            self._words = make_words()
            self._clusters = self._load_clusters(target, may_write)
            if may_write:
                self._save_vectors(target)
        self._frequency = lru_cache(_KEPT_TOKENS)(self._words.passages.document_frequency)
        self._members = lru_cache(_KEPT_PASSAGES)(self._first_members)
        # While someone writes, the database is ahead of what is derived from it.
        self.database = database.at(self.generation)
        self._counts = self.database.counts()
        self._admission = Admission(self.database)
        published = f"{target} {segmenter.fingerprint}"
        if may_write and self._published != published:
            database.set_meta("published", published)
            self._published = published

    @property
    def generation(self) -> int:
        # Vectors follow the database when they are loaded.
        return self._words.generation

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
        first = self._admission.first(filters, limit, lambda more: own.search(terms, more))
        return own.search(terms, limit, self._admission.documents(filters)) if first is None else first

    def search_articles(self, terms: Terms, limit: int, filters: Filters) -> list[tuple[int, float]]:
        return self._words.articles.search(terms, limit, self._admission.documents(filters))

    def search_vectors(self, vector: Vectors, limit: int, filters: Filters) -> list[tuple[int, float]]:
        rows = self._admission.passages(filters)
        if rows is not None and len(rows) <= _FEW_PASSAGES:
            return self._nearest(vector, limit, rows.tolist())
        index = self._vectors
        found = index.search(vector, limit, None if rows is None else self._selected(filters))
        return self._nearest(vector, limit, (row for row, _ in found)) if index.is_rough else found

    def _select(self, filters: Filters) -> Admitted:
        rows = self._admission.passages(filters)
        assert rows is not None
        return self._vectors.admit(rows)

    def _nearest(self, vector: Vectors, limit: int, rows: Iterable[int]) -> list[tuple[int, float]]:
        """Of these passages those that have the `limit` nearest units, by exact cosines."""
        found = self.vectors(rows)
        if not found:
            return []
        near = codes.cosines([passage.codes for passage in found], vector[None])[:, 0]
        size = codes.width(self.dim)
        owners = np.repeat([passage.row for passage in found], [len(passage.codes) // size for passage in found])
        best: dict[int, float] = {}
        for place in np.lexsort((owners, -near))[:limit].tolist():
            best.setdefault(int(owners[place]), float(near[place]))
        return list(best.items())

    def passages(self, rows: Iterable[int]) -> dict[int, Passage]:
        return self._read.find(rows, self.database.passages)

    def article_passages(self, article: int) -> list[Passage]:
        return self.database.article_passages([article])

    def vectors(self, rows: Iterable[int]) -> list[PassageVectors]:
        found = self._read_vectors.find(rows, lambda missing: {v.row: v for v in self.database.vectors(missing)})
        return list(found.values())

    def clusters(self, rows: Iterable[int]) -> dict[int, int]:
        return self._read_leaders.find(rows, self._clusters.leaders)

    def copies(self, rows: Mapping[int, int], limit: int, filters: Filters) -> dict[int, list[Passage]]:
        # Where a filter hides the first copies of a passage, those beyond them are not looked for.
        members = {leader: self._members(leader, limit + 1) for leader in rows.values()}
        wanted = {copy for copies in members.values() if len(copies) > 1 for copy in copies}
        found = self.passages(self._admission.of(filters, wanted))
        return {
            row: [found[copy] for copy in members[leader] if copy != row and copy in found][:limit]
            for row, leader in rows.items()
        }

    def _first_members(self, leader: int, limit: int) -> list[int]:
        return self._clusters.members([leader], limit)[leader]

    def expect(self, terms: Iterable[str]) -> None:
        """Nothing: they are at hand."""

    def document_frequency(self, term: str) -> int:
        return self._frequency(term)

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
            found = VectorIndex.load(path, self.dim)
            if found.generation > self.database.newest:
                raise ValueError(f"{path}: is ahead of the database")
        except ValueError as exc:
            if path.exists():
                logger.warning("%s; deriving the vector index again from the database", exc)
            found = VectorIndex(self.dim)
        if found.generation < target:
            found.remove(self.database.removed_since("passages", found.generation))
            found.add(self.database.vectors_since(found.generation))
            found.generation = target
        return found

    def _save_vectors(self, target: int) -> None:
        """Write the checkpoint again when enough has changed since, or when it can't be read."""
        path = self.folder / VECTORS
        stamp = Stamp.read(path)
        changed = self.database.changed_vectors(stamp.generation) if stamp.generation < target else 0
        is_readable = stamp.generation <= target and vectors.is_whole(path, self.dim)
        if is_readable and changed <= min(_CHECKPOINT_SHARE * stamp.vectors, _CHECKPOINT_VECTORS):
            return
        if is_readable and stamp.fits(stamp.vectors + changed):
            removed = self.database.removed_since("passages", stamp.generation)
            vectors.extend(path, target, removed, self.database.vectors_since(stamp.generation))
        else:
            about = self.database.changed_vectors(0)
            vectors.write(path, self.dim, target, lambda: self.database.vectors_since(0), about)

    def _load_clusters(self, target: int, may_write: bool) -> Clusters:
        path = self.folder / "clusters.sqlite"
        try:
            found = Clusters(path)
            if may_write and found.generation > target:
                raise ValueError(f"{path}: is ahead of the database")
        except ValueError as exc:
            if not may_write:
                raise IndexDamagedError(f"{exc}; run: qa index") from exc
            if path.exists():
                logger.warning("%s; comparing the passages again", exc)
            found = Clusters.reset(path)
        since = found.generation
        if may_write and since < target:
            added = self.database.passage_rows_since(since)
            removed = self.database.removed_since("passages", since)
            found.update(removed, added, self.database.visible, target)
        return found


def current_folder(data_dir: Path) -> Path | None:
    """The folder that readers use, None before the first index."""
    try:
        name = (data_dir / "current").read_text().strip()
    except OSError:
        return None
    return data_dir / name
