"""A folder of documents with an index of it somewhere: in a folder beside it, or on a Milvus server."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from index.indexing.build import sync
from index.indexing.report import SyncReport
from index.retrieval.search import search
from index.store import IndexLocation, IndexWriter, Settings, Store
from index.types import Filters, Hit
from tests.conftest import BigramEncoder


class Shelf:
    """Two collections, `docs` and `more`; `place` is where the index is kept."""

    def __init__(self, base: Path, place: IndexLocation) -> None:
        self.base = base
        self.place = place
        self.encoder = BigramEncoder()
        for name in ("docs", "more"):
            (base / name).mkdir(parents=True, exist_ok=True)

    @property
    def settings(self) -> Settings:
        return Settings(self.encoder.fingerprint)

    def write(self, path: str, text: str) -> Path:
        """A file, last changed long enough ago that its time tells whether it changes again."""
        file = self.base / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        os.utime(file, ns=(1, file.stat().st_mtime_ns - 10_000_000_000))
        return file

    def sync(self, *, only: Iterable[Path] = (), rebuild: bool = False) -> SyncReport:
        folders = {name: self.base / name for name in ("docs", "more")}
        return sync(
            folders,
            self.base / "data",
            self.encoder,
            base=self.base,
            only=tuple(only),
            rebuild=rebuild,
            place=self.place,
        )[1]

    def open(self) -> Store:
        return self.place.open(self.settings)

    def writing(self) -> AbstractContextManager[IndexWriter]:
        return self.place.writing(self.settings, lambda: self.encoder.dim)

    def hits(self, query: str, store: Store | None = None, **filters: object) -> list[Hit]:
        return search(
            store or self.open(),
            self.encoder,
            query,
            top_k=5,
            filters=Filters(**filters),  # type: ignore[arg-type]
        )

    def find(self, query: str, store: Store | None = None, **filters: object) -> list[str]:
        return [hit.passage.path for hit in self.hits(query, store, **filters)]
