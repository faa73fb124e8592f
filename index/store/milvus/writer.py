"""Documents into an index on a Milvus server, and what is published of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from index.store.milvus.batch import DocumentBatch, assign_leaders, hand_on
from index.store.milvus.connection import SCHEMA, among, literal
from index.store.milvus.reading import Tables
from index.store.milvus.rows import known_file_of, note_skipped, skipped_in
from index.store.milvus.state import FrequencyCounts, Lease, MadeWith, Notes, Published
from index.text.segmenter import Segmenter
from index.types import Document, KnownFile, Section, Skipped, Units

# Ids are reserved in blocks of so many; what a process that ended had left of its block is never used.
_BLOCK = 1_000_000
_NEXT = "next"
_WRITING = "writing"
# After so many passages the server is told to close its segments, so that they are indexed. Milvus Lite looks through
# what is not row by row.
_FLUSHED, _FLUSHED_LITE = 2000, 50
# Documents that are gone and still stored are named in every search. More than this are deleted as soon as readers have
# had time to move on.
_MOST_HIDDEN = 10_000
_GRACE_S = 10.0
# So many passages tell how long passages and articles are on average.
_TELLING = 1000
_FILE = ["id", "file", "path", "collection", "sha256", "size", "mtime_ns", "read_at", "needs_ocr"]
_IS_THERE = "gone == 0"
_TOTALS = ("passages", "articles", "units", "passage_tokens", "article_tokens")


class MilvusChanges:
    """See `index.store.IndexChanges`; for one thread."""

    def __init__(self, tables: Tables, notes: Notes, lease: Lease, made: MadeWith, segmenter: Segmenter) -> None:
        self._tables = tables
        self._notes = notes
        self._lease = lease
        self.made = made
        self._segmenter = segmenter
        self._published = notes.published() or Published()
        self._target = self._published.generation + 1
        self._next = self._reserved = 0
        self._batch: DocumentBatch | None = None
        self._is_open = False
        # Files of which something could not be read.
        self._noted = {skipped.file for skipped in self.skipped()}
        self._counting = FrequencyCounts()
        self._put_passages = 0
        self._clear_up()
        self._count_unpublished()

    def _clear_up(self) -> None:
        """Remove what the last writer left in the middle of a batch."""
        first = int(self._notes.get(_WRITING) or 0)
        if first:
            present = {row["row"] for row in self._tables["documents"].read_all(f"row >= {first}", ["row"])}
            for kind in ("passages", "articles", "units", "pieces"):
                table = self._tables[kind]
                rows = table.read_all(f"document >= {first}", [SCHEMA[kind].key, "document"])
                table.delete(
                    SCHEMA[kind].key, [row[SCHEMA[kind].key] for row in rows if row["document"] not in present]
                )
        # A document was written, and the one that it replaces not yet marked.
        newest: dict[str, int] = {}
        fields = ["row", "id"]
        unpublished = self._tables["documents"].read_all(f"generation >= {self._target} and {_IS_THERE}", fields)
        for row in unpublished:
            newest[row["id"]] = max(row["row"], newest.get(row["id"], 0))
        older = [
            row
            for listed in among("id", newest)
            for row in self._tables["documents"].read_all(f"{listed} and {_IS_THERE}")
            if row["row"] < newest[row["id"]]
        ]
        self._tables["documents"].write([row | {"gone": self._target} for row in older], replace=True)

    def _count_unpublished(self) -> None:
        """Count what an earlier run added and removed and did not publish."""
        target = self._target
        came = f"generation == {target} and {_IS_THERE}"
        went = f"gone == {target} and generation < {target}"
        for expression, by in ((came, 1), (went, -1)):
            rows = [row["row"] for row in self._tables["documents"].read_all(expression, ["row"])]
            self._counting.add_stored(self._tables, rows, by)

    def files(self, only: Iterable[str] | None = None) -> list[KnownFile]:
        documents = self._tables["documents"]
        parts = [_IS_THERE] if only is None else [f"{_IS_THERE} and {listed}" for listed in among("file", only)]
        return [known_file_of(row) for part in parts for row in documents.read_all(part, _FILE)]

    def skipped(self) -> list[Skipped]:
        return skipped_in(self._notes.table)

    def of_file(self, file: str) -> tuple[list[str], list[Skipped]]:
        records = self._tables["documents"].read_all(f"{_IS_THERE} and file == {literal(file)}", ["id"])
        return sorted(row["id"] for row in records), skipped_in(self._notes.table, file)

    @contextmanager
    def together(self) -> Iterator[None]:
        """As `Changes` says; an error in the block leaves everything as it was.

        The first passages of a new index wait until they are many enough to tell how long passages are.
        """
        if self._is_open:
            yield
            return
        self._batch = self._batch or DocumentBatch(self._take, self._segmenter, self._target, self.made.dim)
        self._is_open = True
        try:
            yield
            if self.made.averages is not None or len(self._batch.passages) >= _TELLING:
                self._write_batch()
        except BaseException:
            self._batch = None
            raise
        finally:
            self._is_open = False

    def _write_batch(self) -> None:
        if self._batch is not None:
            self._write(self._batch)
        self._batch = None

    @contextmanager
    def _batched(self) -> Iterator[DocumentBatch]:
        with self.together():
            assert self._batch is not None
            yield self._batch

    def put(self, document: Document, sections: Sequence[Section], units: Sequence[Units]) -> None:
        with self._batched() as batch:
            batch.remove(document.id)
            batch.add(document, sections, units)

    def remove(self, document_id: str) -> None:
        with self._batched() as batch:
            batch.remove(document_id)

    def settle(self, file: str, size: int, mtime_ns: int, read_at: str) -> None:
        with self._batched() as batch:
            batch.settle(file, {"size": size, "mtime_ns": mtime_ns, "read_at": read_at})
            skipped = batch.skipped.get(file)
            if skipped is None and file in self._noted:
                skipped = skipped_in(self._notes.table, file)
            if skipped:
                batch.skipped[file] = [replace(item, size=size, mtime_ns=mtime_ns, read_at=read_at) for item in skipped]

    def skip(self, file: str, skipped: Sequence[Skipped]) -> None:
        with self._batched() as batch:
            batch.skipped[file] = list(skipped)

    def move(
        self, document_id: str, new_id: str, collection: str, path: str, size: int, mtime_ns: int, read_at: str
    ) -> None:
        """As `Changes` says: its rows are copied, with their vectors, so that readers see the one or the other."""
        with self._batched() as batch:
            batch.remove(new_id)
            for record in self._tables["documents"].read(f"{_IS_THERE} and id == {literal(document_id)}"):
                self._tables.wholes([record], "data", "text")
                rows = {
                    kind: list(self._tables[kind].read_all(f"document == {record['row']}"))
                    for kind in ("articles", "passages", "units")
                }
                self._tables.wholes(rows["passages"], "data", "vectors")
                batch.copy(record, rows, {"id": new_id, "file": new_id, "collection": collection, "path": path})
            batch.remove(document_id)
            batch.settle(new_id, {"size": size, "mtime_ns": mtime_ns, "read_at": read_at})

    def _take(self, count: int) -> int:
        """The first of so many ids that were never given before."""
        if self._next + count > self._reserved:
            self._next = int(self._notes.get(_NEXT) or 1)
            self._reserved = self._next + max(_BLOCK, count)
            self._notes.set(_NEXT, str(self._reserved))
        first = self._next
        self._next += count
        return first

    def _write(self, batch: DocumentBatch) -> None:
        """Store a batch: what belongs to a document first, then its record and the end of its last version."""
        self._mark_stored(batch)
        if batch.passages or batch.articles:
            self._lease.check()
            self._weigh(batch)
            self._notes.set(_WRITING, str(batch.first))
            assign_leaders(self._tables, batch.passages, batch.visible)
            self._lease.check()
            for kind, rows in (
                ("pieces", batch.pieces),
                ("articles", batch.articles),
                ("passages", batch.passages),
                ("units", batch.units),
            ):
                self._tables[kind].write(rows)
                self._tables[kind].level = "Session"  # what we wrote last comes after all that anybody else did
        if batch.documents:
            self._lease.check()
            self._tables["documents"].write(list(batch.documents.values()), replace=True)
            self._tables["documents"].level = "Session"
        for file, skipped in batch.skipped.items():
            if skipped or file in self._noted:
                note_skipped(self._notes.table, file, skipped)
                (self._noted.add if skipped else self._noted.discard)(file)
        self._count(batch)

    def _mark_stored(self, batch: DocumentBatch) -> None:
        """Take in the records of documents that the batch removes or settles."""
        documents = self._tables["documents"]
        for field, values in (("id", batch.removed), ("file", batch.settled)):
            for listed in among(field, values):
                for row in documents.read_all(f"{_IS_THERE} and {listed}"):
                    batch.meet(row)

    def _weigh(self, batch: DocumentBatch) -> None:
        if self.made.averages is None:
            # Those of the first passages stand for all that come: lengths must refer to something that stays.
            self.made = replace(self.made, averages=batch.averages())
            self._notes.set_made(self.made)
        assert self.made.averages is not None
        batch.weigh(self.made.averages)

    def _count(self, batch: DocumentBatch) -> None:
        passages, articles = batch.words()
        self._counting.add("passages", passages)
        self._counting.add("articles", articles)
        self._put_passages += len(batch.passages)
        gone = [row for row, record in batch.documents.items() if record["gone"] == self._target]
        self._counting.add_stored(self._tables, gone, -1)

    def publish(self) -> Published:
        """Let readers see what was changed, and delete what had gone before the generation that they saw until now."""
        self._write_batch()
        before, target = self._published, self._target
        came = list(self._tables["documents"].read_all(f"generation == {target} and {_IS_THERE}", _TOTALS))
        went = list(self._tables["documents"].read_all(f"gone == {target} and generation < {target}", _TOTALS))
        changed = bool(came or went)
        if changed or self._notes.published() is None:
            self._lease.check()
            probe = self._counting.write(self._tables, before.generation, target)
            totals = {
                key: getattr(before, key) + sum(row[key] for row in came) - sum(row[key] for row in went)
                for key in _TOTALS
            }
            documents = before.documents + len(came) - len(went)
            probe = probe if probe is not None else before.probe
            self._published = Published(
                target if changed else before.generation,
                documents,
                **totals,
                probe=probe if totals["passages"] else None,
            )
            self._flush()
            self._notes.publish(self._published)
        self._purge(before.generation)
        if len(went) > _MOST_HIDDEN:
            time.sleep(_GRACE_S)
            self._purge(self._published.generation)
        return self._published

    def _flush(self) -> None:
        if self._put_passages >= (_FLUSHED_LITE if self._tables.is_lite else _FLUSHED):
            for kind in ("documents", "pieces", "articles", "passages", "units", "terms"):
                self._tables[kind].flush()

    def _purge(self, generation: int) -> None:
        """Delete what had gone by a generation; nobody reads an older one any more."""
        documents = self._tables["documents"]
        gone = [row["row"] for row in documents.read_all(f"gone > 0 and gone <= {generation}", ["row"])]
        if not gone:
            return
        hand_on(self._tables, gone)
        for kind in ("units", "passages", "articles", "pieces"):
            self._tables[kind].delete("document", gone)
        documents.delete("row", gone)
