"""A published generation of an index on a Milvus server, for reading by many threads."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from index.encoder import Vectors
from index.errors import IndexUnusableError
from index.store import Settings
from index.store.milvus.connection import MAX_ROWS, MilvusOptions, Server, search_parameters
from index.store.milvus.reading import Reading, Tables
from index.store.milvus.rows import INFO, section_of, skipped_in
from index.store.milvus.state import Lease, Made, Notes, Published, State, missing
from index.store.milvus.words import Frequencies, Words
from index.store.milvus.writer import MilvusChanges
from index.store.terms import CutArticles, Terms
from index.text.segmenter import Segmenter
from index.types import Document, DocumentInfo, Filters, Passage, PassageVectors, Progress, Section, Skipped

# A newer generation is looked for this often.
_LOOK_EVERY_S = 1.0


def open_store(options: MilvusOptions, settings: Settings) -> MilvusStore:
    """Open what was published last.

    Raises:
        IndexMissingError, IndexMismatchError: with the command to run.
        IndexUnusableError: the server can't be reached or used.
    """
    server = Server(options)
    state = State(server)
    name = state.current() if state.table.exists() else None
    notes = Notes(server, name) if name else None
    made = notes.made() if notes else None
    published = notes.published() if notes else None
    if name is None or made is None or published is None:
        raise missing(options.uri)
    made.check(settings, options.uri)
    return MilvusStore(server, name, made, published, settings.segmenter)


class MilvusStore:
    """See `index.store.Store`; a newer generation is another one of these."""

    def __init__(self, server: Server, name: str, made: Made, published: Published, segmenter: Segmenter) -> None:
        self._server = server
        self._name = name
        self._published = published
        self.segmenter = segmenter
        self.encoder = made.encoder
        self.dim = made.dim
        self._vector_index = made.vector_index
        self.units = published.units
        self._tables = Tables(server, name, published.level)
        self._reading = Reading(self._tables, published.generation)
        sign = self._probed()
        self._frequencies = Frequencies(self._tables["terms"], published.generation)
        self._passage_words = Words(self._tables["passages"], self._frequencies, published.passages, sign)
        self._article_words = Words(self._tables["articles"], self._frequencies, published.articles, sign)
        self._looked_at = time.monotonic()
        self._is_stale = False

    def _probed(self) -> int:
        """The sign of the server's products, told by a search for something that is there.

        Raises:
            IndexUnusableError: it is not found.
        """
        probe, visible = self._published.probe, self._reading.visible
        query = {0 if probe is None else probe: 1.0}
        found = self._tables["passages"].search("words", [query], 1, visible, ["row"])[0]
        if probe is not None and not found:
            raise IndexUnusableError(
                f"{self._server.options.uri}: the Milvus server (version {self._server.version}) does not find what it"
                " holds; see its log, or use a later version"
            )
        return -1 if any(score < 0 for _, score in found) else 1

    @property
    def generation(self) -> int:
        return self._published.generation

    @property
    def where(self) -> str:
        options = self._server.options
        return f"{options.uri}, Milvus {self._server.version}, collections {options.prefix}_*"

    def is_stale(self) -> bool:
        """As for any store; looked at once a second, and the news may take some seconds through a cluster."""
        if not self._is_stale and time.monotonic() - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = time.monotonic()
            self._tables.read_at(self._published.level)
            self._is_stale = self._has_news()
        return self._is_stale

    def _has_news(self) -> bool:
        if State(self._server).current("Bounded") != self._name:
            return True
        published = Notes(self._server, self._name).published("Bounded")
        # Bounded: a replica that lags may still tell of an older one.
        return published is not None and published.generation > self.generation

    def is_there(self) -> bool:
        return self._tables["notes"].exists()

    def check(self) -> str:
        count = self._tables["documents"].count(self._reading.present)
        if count == self._published.documents:
            return "ok"
        return f"{count} documents are stored, {self._published.documents} were published; run: qa index --rebuild"

    def counts(self) -> tuple[int, int]:
        return self._published.documents, self._published.passages

    def search_passages(self, terms: Terms, limit: int, filters: Filters) -> list[tuple[int, float]]:
        return self._passage_words.search(terms, limit, self._reading.admitted(filters))

    def search_articles(self, terms: Terms, limit: int, filters: Filters) -> list[tuple[int, float]]:
        return self._article_words.search(terms, limit, self._reading.admitted(filters))

    def search_vectors(self, vector: Vectors, limit: int, filters: Filters) -> list[tuple[int, float]]:
        admitted = self._reading.admitted(filters)
        if admitted is None or limit < 1:
            return []
        params = search_parameters(self._vector_index, limit)
        found = self._tables["units"].search("vector", [vector], limit, admitted, ["passage"], params)[0]
        best: dict[int, float] = {}
        for row, score in sorted(found, key=lambda hit: (-hit[1], hit[0]["passage"])):
            best.setdefault(row["passage"], score)
        return list(best.items())

    def passages(self, rows: Iterable[int]) -> dict[int, Passage]:
        return {row: found.passage for row, found in self._reading.stored(rows).items()}

    def article_passages(self, article: int) -> list[Passage]:
        return self._reading.article(article)

    def vectors(self, rows: Iterable[int]) -> list[PassageVectors]:
        return self._reading.vectors(rows)

    def clusters(self, rows: Iterable[int]) -> dict[int, int]:
        wanted = list(rows)
        found = self._reading.stored(wanted)
        return {row: found[row].leader if row in found else row for row in wanted}

    def copies(self, rows: Mapping[int, int], limit: int, filters: Filters) -> dict[int, list[Passage]]:
        members = self._reading.members(rows.values(), MAX_ROWS, filters)
        wanted = {
            row: [copy for copy in members.get(leader, ()) if copy != row][:limit] for row, leader in rows.items()
        }
        found = self.passages({copy for copies in wanted.values() for copy in copies})
        return {row: [found[copy] for copy in copies if copy in found] for row, copies in wanted.items()}

    def expect(self, terms: Iterable[str]) -> None:
        self._frequencies.read(terms)

    def document_frequency(self, term: str) -> int:
        return min(self._frequencies[term].passages, self._published.passages)

    def document(self, document_id: str) -> Document | None:
        return self._reading.document(document_id)

    def document_info(self, document_id: str) -> DocumentInfo | None:
        found = self._reading.record(document_id, INFO)
        return self._reading.infos([found])[0] if found else None

    def documents(self, limit: int | None = None, after: str = "", containing: str = "") -> list[DocumentInfo]:
        return self._reading.listed(limit, after, containing, self._published.documents)

    def document_passages(self, document_id: str, limit: int, after: int = 0) -> list[Passage]:
        found = self._reading.record(document_id, ["row"])
        if found is None:
            return []
        numbers = f"number > {after} and number <= {after + limit}"
        return self._reading.passages_where(f"document == {found['row']} and {numbers}")

    def sections(self, document_id: str) -> list[Section]:
        found = self._reading.record(document_id, ["row"])
        passages = self._reading.passages_where(f"document == {found['row']}") if found else []
        return [section_of(passage) for passage in passages]

    def passage_rows_of(self, document_ids: Sequence[str]) -> dict[str, list[int]]:
        return self._reading.rows_of(document_ids)

    def of_file(self, file: str) -> tuple[list[str], list[Skipped]]:
        return self._reading.ids_of_file(file), skipped_in(self._tables["notes"], file)

    def skipped(self) -> list[Skipped]:
        return skipped_in(self._tables["notes"])


class MilvusWriter:
    """See `index.store.IndexWriter`. Use `writing`."""

    def __init__(self, server: Server, name: str, changes: MilvusChanges, segmenter: Segmenter) -> None:
        self.database = changes
        self._server = server
        self._name = name
        self._segmenter = segmenter

    def finish(self, cut: CutArticles | None = None, progress: Progress | None = None) -> MilvusStore:
        published = self.database.publish()
        return MilvusStore(self._server, self._name, self.database.made, published, self._segmenter)


@contextmanager
def writing(
    options: MilvusOptions, settings: Settings, dim: Callable[[], int], *, rebuild: bool = False
) -> Iterator[MilvusWriter]:
    """Hold the index on a server for writing; see `index.store.IndexLocation`.

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


@dataclass(frozen=True, slots=True)
class MilvusLocation:
    """An index on a Milvus server; see `index.store.IndexLocation`."""

    options: MilvusOptions

    def open(self, settings: Settings) -> MilvusStore:
        return open_store(self.options, settings)

    @contextmanager
    def writing(self, settings: Settings, dim: Callable[[], int], *, rebuild: bool = False) -> Iterator[MilvusWriter]:
        with writing(self.options, settings, dim, rebuild=rebuild) as writer:
            yield writer
