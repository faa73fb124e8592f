"""The store on a Milvus server or cluster: any number of readers, one writer at a time, nothing on local disk.

    <prefix>_state                      which index is current, and who is writing
    <prefix>_<name>_notes               an index's settings, what was published last, what could not be read
    <prefix>_<name>_documents, _pieces  records of documents; their texts in pieces
    <prefix>_<name>_articles, _passages, _units
                                        words of articles; passages with their words; vectors of their units
    <prefix>_<name>_terms               in how many passages each token stands

A row is written once and never changed, save for the records of documents. Each carries the generation that it comes
with, and readers of a generation ask for no later one, so that what is being written is not seen. The record of a
document is written after all that belongs to it; what a writer left without one is removed by the next. A document that
goes is marked with the generation at which it went, hidden from readers of that, and deleted by the sync after.

pymilvus is imported when a place is opened, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from index.store import Store, Writer
    from index.store.local import Settings


@dataclass(frozen=True, slots=True)
class MilvusOptions:
    """How a server is reached, and how collections are made there.

    `prefix` begins the names of all our collections. `timeout_s` is how long one call may take.
    """

    uri: str
    token: str = ""
    database: str = ""
    prefix: str = "cited_qa"
    vector_index: str = "AUTOINDEX"
    shards: int = 1
    replicas: int = 1
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class MilvusPlace:
    """An index on a Milvus server; see `index.store.Place`."""

    options: MilvusOptions

    def open(self, settings: Settings) -> Store:
        from index.store.milvus.store import open_store

        return open_store(self.options, settings)

    @contextmanager
    def writing(self, settings: Settings, dim: Callable[[], int], *, rebuild: bool = False) -> Iterator[Writer]:
        from index.store.milvus.opening import writing

        with writing(self.options, settings, dim, rebuild=rebuild) as writer:
            yield writer
