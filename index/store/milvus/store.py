"""A published generation of an index on a Milvus server, for reading by many threads."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from index.encoder import Vectors
from index.errors import IndexMissingError, IndexUnusableError
from index.store import Settings
from index.store.milvus.connection import MAX_ROWS, MilvusOptions, Server, Table
from index.store.milvus.reading import MilvusDocuments, Tables
from index.store.milvus.rows import Sparse, dimension
from index.store.milvus.state import Lease, MadeWith, Notes, Published, State
from index.store.milvus.writer import MilvusChanges
from index.store.terms import AnyOf, CutArticles, Terms, inverse_frequency
from index.text.segmenter import Segmenter
from index.types import Filters, Progress

# A newer generation is looked for this often.
_LOOK_EVERY_S = 1.0
# Where some terms can be said in several ways, so many times more are looked at, as a first search adds the ways up.
_MORE = 2
_CACHED_TERMS = 100_000


@dataclass(frozen=True, slots=True)
class Frequency:
    """In how many passages, and in how many articles, a token stands."""

    passages: int = 0
    articles: int = 0


class Frequencies:
    """The frequencies of tokens in one generation, read once each."""

    def __init__(self, terms: Table, generation: int) -> None:
        self._terms = terms
        self._generation = generation
        self._known: dict[str, Frequency] = {}

    def __getitem__(self, token: str) -> Frequency:
        if token not in self._known:
            self.read([token])
        return self._known[token]

    def read(self, tokens: Iterable[str]) -> None:
        """Have the frequencies of these at hand."""
        wanted = {token: dimension(token) for token in tokens if token not in self._known}
        if not wanted:
            return
        rows = {row["place"]: row for row in self._terms.get("place", wanted.values())}
        if len(self._known) > _CACHED_TERMS:
            self._known = {}
        for token, place in wanted.items():
            row = rows.get(place)
            if row is None:
                self._known[token] = Frequency()
            elif row["generation"] <= self._generation:
                self._known[token] = Frequency(row["passages"], row["articles"])
            else:  # someone is about to publish a later one
                self._known[token] = Frequency(row["passages_before"], row["articles_before"])


class MilvusWords:
    """The lexical index over passages or over whole articles. `sign` is -1 on servers that give negative products."""

    def __init__(self, table: Table, frequencies: Frequencies, total: int, sign: int) -> None:
        self._table = table
        self._frequencies = frequencies
        self._total = total
        self._of_articles = table.name.endswith("articles")
        self._sign = sign

    def search(self, terms: Terms, limit: int, admitted: str | None) -> list[tuple[int, float]]:
        """Rows with their BM25 score, highest first, among those that an expression admits."""
        if admitted is None or limit < 1 or not terms:
            return []
        limit = min(limit, MAX_ROWS)
        self._frequencies.read(_tokens(terms))
        plain = [term for term in terms if not isinstance(term, AnyOf)]
        choices = [[self._query(way) for way in term.ways] for term in terms if isinstance(term, AnyOf)]
        query = self._query(plain)
        for way in (way for ways in choices for way in ways):
            query |= {place: max(query.get(place, 0.0), value) for place, value in way.items()}
        scores = self._products([query], limit * (_MORE if choices else 1), admitted)[0]
        if choices and scores:
            scores = self._chosen(self._query(plain), choices, list(scores))
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        return [(row, score) for row, score in best if score > 0][:limit]

    def _chosen(self, plain: Sparse, choices: Sequence[Sequence[Sparse]], rows: Sequence[int]) -> dict[int, float]:
        """The scores of rows, where of several ways to say a thing the best one counts."""
        queries = [plain, *(way for ways in choices for way in ways)]
        among_rows = f"row in [{', '.join(map(str, rows))}]"
        asked = [query for query in queries if query]
        answers = iter(self._products(asked, len(rows), among_rows))
        products = [next(answers) if query else {} for query in queries]
        total = {row: products[0].get(row, 0.0) for row in rows}
        first = 1
        for ways in choices:
            own = products[first : first + len(ways)]
            first += len(ways)
            for row in rows:
                total[row] += max((product.get(row, 0.0) for product in own), default=0.0)
        return total

    def _products(self, queries: Sequence[Sparse], limit: int, expression: str) -> list[dict[int, float]]:
        if not any(queries):
            return [{} for _ in queries]
        answers = self._table.search("words", queries, limit, expression, ["row"])
        return [{row["row"]: self._sign * score for row, score in hits} for hits in answers]

    def _query(self, terms: Iterable[tuple[str, float]]) -> Sparse:
        """The question's part of BM25: the weights of tokens times their inverse document frequencies."""
        query: Sparse = {}
        for token, weight in terms:
            frequency = self._frequencies[token]
            count = frequency.articles if self._of_articles else frequency.passages
            if count:
                place = dimension(token)
                query[place] = query.get(place, 0.0) + weight * inverse_frequency(min(count, self._total), self._total)
        return query


def _tokens(terms: Terms) -> Iterable[str]:
    for term in terms:
        if isinstance(term, AnyOf):
            yield from (token for way in term.ways for token, _ in way)
        else:
            yield term[0]


class MilvusStore(MilvusDocuments):
    """See `index.store.Store`; a newer generation is another one of these."""

    def __init__(self, server: Server, name: str, made: MadeWith, published: Published, segmenter: Segmenter) -> None:
        self._server = server
        self._name = name
        self._published = published
        self.segmenter = segmenter
        self.encoder = made.encoder
        self.dim = made.dim
        self._vector_index = made.vector_index
        self.units = published.units
        super().__init__(Tables(server, name, published.level), published.generation, published.documents)
        sign = self._probed()
        self._frequencies = Frequencies(self._tables["terms"], published.generation)
        self._passage_words = MilvusWords(self._tables["passages"], self._frequencies, published.passages, sign)
        self._article_words = MilvusWords(self._tables["articles"], self._frequencies, published.articles, sign)
        self._looked_at = time.monotonic()
        self._is_stale = False

    def _probed(self) -> int:
        """The sign of the server's products, told by a search for something that is there.

        Raises:
            IndexUnusableError: it is not found.
        """
        probe, visible = self._published.probe, self.visible
        query = {0 if probe is None else probe: 1.0}
        hits = self._tables["passages"].search("words", [query], 1, visible, ["row"])[0]
        if probe is not None and not hits:
            raise IndexUnusableError(
                f"{self._server.options.uri}: the Milvus server (version {self._server.version}) does not find what it"
                " holds; see its log, or use a later version"
            )
        return -1 if any(score < 0 for _, score in hits) else 1

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
        count = self._tables["documents"].count(self.present)
        if count == self._published.documents:
            return "ok"
        return f"{count} documents are stored, {self._published.documents} were published; run: qa index --rebuild"

    def counts(self) -> tuple[int, int]:
        return self._published.documents, self._published.passages

    def search_passages(self, terms: Terms, limit: int, filters: Filters) -> list[tuple[int, float]]:
        return self._passage_words.search(terms, limit, self.admitted(filters))

    def search_articles(self, terms: Terms, limit: int, filters: Filters) -> list[tuple[int, float]]:
        return self._article_words.search(terms, limit, self.admitted(filters))

    def search_vectors(self, vector: Vectors, limit: int, filters: Filters) -> list[tuple[int, float]]:
        admitted = self.admitted(filters)
        if admitted is None or limit < 1:
            return []
        params = _search_parameters(self._vector_index, limit)
        hits = self._tables["units"].search("vector", [vector], limit, admitted, ["passage"], params)[0]
        best: dict[int, float] = {}
        for row, score in sorted(hits, key=lambda hit: (-hit[1], hit[0]["passage"])):
            best.setdefault(row["passage"], score)
        return list(best.items())

    def expect(self, terms: Iterable[str]) -> None:
        self._frequencies.read(terms)

    def document_frequency(self, term: str) -> int:
        return min(self._frequencies[term].passages, self._published.passages)


class MilvusWriter:
    """See `index.store.IndexWriter`. Use `MilvusLocation.writing`."""

    def __init__(self, server: Server, name: str, changes: MilvusChanges, segmenter: Segmenter) -> None:
        self.database = changes
        self._server = server
        self._name = name
        self._segmenter = segmenter

    def finish(self, cut: CutArticles | None = None, progress: Progress | None = None) -> MilvusStore:
        published = self.database.publish()
        return MilvusStore(self._server, self._name, self.database.made, published, self._segmenter)


def _search_parameters(vector_index: str, limit: int) -> dict[str, int]:
    """How widely an index is looked through for the `limit` best; servers refuse less than as many."""
    if vector_index == "HNSW":
        return {"ef": max(64, 2 * limit)}
    if vector_index == "DISKANN":
        return {"search_list": max(100, 2 * limit)}
    return {"nprobe": 64} if vector_index.startswith("IVF") else {}


def _create(server: Server, name: str, made: MadeWith) -> None:
    for table in Tables(server, name):
        table.create(made.dim)
    Notes(server, name).set_made(made)


@dataclass(frozen=True, slots=True)
class MilvusLocation:
    """An index on a Milvus server; see `index.store.IndexLocation`.

    Raises:
        IndexUnusableError: from any method: the server can't be reached or used.
    """

    options: MilvusOptions

    def open(self, settings: Settings) -> MilvusStore:
        server = Server(self.options)
        state = State(server)
        name = state.current() if state.table.exists() else None
        notes = Notes(server, name) if name else None
        made = notes.made() if notes else None
        published = notes.published() if notes else None
        if name is None or made is None or published is None:
            raise IndexMissingError(f"{self.options.uri}: there is no index here; run: qa index")
        made.check(settings, self.options.uri)
        return MilvusStore(server, name, made, published, settings.segmenter)

    @contextmanager
    def writing(self, settings: Settings, dim: Callable[[], int], *, rebuild: bool = False) -> Iterator[MilvusWriter]:
        server = Server(self.options)
        state = State(server)
        if not state.table.exists():
            state.table.create(0)
        state.table.load()
        with Lease(state.table, self.options.uri) as lease:
            replaced = state.current()
            made = Notes(server, replaced).made() if replaced else None
            name = replaced
            if rebuild or name is None or made is None:
                name, made = secrets.token_hex(4), MadeWith.by(settings, dim(), self.options.vector_index)
                _create(server, name, made)
                is_new = True
            else:
                made.check(settings, self.options.uri)
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
