"""Hold an index on a Milvus server for writing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from index.indexing.workers import Workers
from index.store.local import Settings
from index.store.milvus import MilvusOptions
from index.store.milvus.connection import Server
from index.store.milvus.lease import Lease
from index.store.milvus.published import Made, Notes, State
from index.store.milvus.reading import Tables
from index.store.milvus.store import MilvusStore
from index.store.milvus.writer import MilvusChanges
from index.text.segmenter import Segmenter
from index.types import Progress


class MilvusWriter:
    """See `index.store.Writer`. Use `writing`."""

    def __init__(self, server: Server, name: str, changes: MilvusChanges, segmenter: Segmenter) -> None:
        self.database = changes
        self._server = server
        self._name = name
        self._segmenter = segmenter

    def finish(self, workers: Workers | None = None, progress: Progress | None = None) -> MilvusStore:
        published = self.database.publish()
        return MilvusStore(self._server, self._name, self.database.made, published, self._segmenter)


@contextmanager
def writing(
    options: MilvusOptions, settings: Settings, dim: Callable[[], int], *, rebuild: bool = False
) -> Iterator[MilvusWriter]:
    """Hold the index on a server for writing; see `index.store.Place`.

    Raises:
        IndexBusyError, IndexMismatchError, IndexUnusableError: as `Place` says; the server can't be reached or used.
    """
    server = Server(options)
    state = State(server)
    if not state.table.exists():
        state.table.create(0)
    state.table.load()
    with Lease(state.table, options.uri) as lease:
        replaced = state.current()
        made = Notes(server, replaced).made() if replaced else None
        name = replaced
        if rebuild or name is None or made is None:
            name, made = secrets.token_hex(4), Made.by(settings, dim(), options.vector_index)
            _create(server, name, made)
            is_new = True
        else:
            made.check(settings, options.uri)
            is_new = False
        tables, notes = Tables(server, name), Notes(server, name)
        for table in tables:
            table.load()
        if is_new and not (rebuild and replaced):
            state.make_current(name)  # so that an interrupted first run goes on where it stopped
        changes = MilvusChanges(tables, notes, lease, made, settings.segmenter)
        yield MilvusWriter(server, name, changes, settings.segmenter)
        lease.check()
        state.make_current(name)
        for old in server.names() - {name, replaced}:  # readers may still be in the one that was current until now
            for table in Tables(server, old):
                table.drop()


def _create(server: Server, name: str, made: Made) -> None:
    for table in Tables(server, name):
        table.create(made.dim)
    Notes(server, name).set_made(made)
