"""Search by words: our BM25 as inner products over the server's inverted index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.store.milvus.connection import MAX_ROWS, Row, Table, among
from index.store.milvus.reading import Tables
from index.store.milvus.rows import Sparse, dimension, places_of
from index.store.terms import AnyOf, Terms, inverse_frequency

# Where some terms can be said in several ways, so many times more are looked at, as a first search adds the ways up.
_MORE = 2
_KEPT_TERMS = 100_000


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
        if len(self._known) > _KEPT_TERMS:
            self._known = {}
        for token, place in wanted.items():
            row = rows.get(place)
            if row is None:
                self._known[token] = Frequency()
            elif row["generation"] <= self._generation:
                self._known[token] = Frequency(row["passages"], row["articles"])
            else:  # someone is about to publish a later one
                self._known[token] = Frequency(row["passages_before"], row["articles_before"])


class Words:
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
        found = self._products([query], limit * (_MORE if choices else 1), admitted)[0]
        if choices and found:
            found = self._chosen(self._query(plain), choices, list(found))
        best = sorted(found.items(), key=lambda item: (-item[1], item[0]))
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
        found = self._table.search("words", queries, limit, expression, ["row"])
        return [{row["row"]: self._sign * score for row, score in hits} for hits in found]

    def _query(self, terms: Iterable[tuple[str, float]]) -> Sparse:
        """The question's part of BM25: the weights of tokens times their inverse document frequencies."""
        query: Sparse = {}
        for token, weight in terms:
            found = self._frequencies[token]
            count = found.articles if self._of_articles else found.passages
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
