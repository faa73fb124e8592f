"""What a store must do, whatever keeps the data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from index.encoder import Vectors
from index.segmenter import Segmenter
from index.store.rows import PassageVectors
from index.types import Document, DocumentInfo, Filters, Passage, Section, Skipped


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Ways to say one thing, each of weighted tokens; a passage scores what the best of them gives."""

    ways: tuple[tuple[tuple[str, float], ...], ...]


# A token with its weight, or several ways to say the same.
Term = tuple[str, float] | AnyOf
Terms = Sequence[Term]


class Store(Protocol):
    """A readable generation of an index. Scores are higher for better; lists are sorted, best first."""

    @property
    def generation(self) -> int: ...

    @property
    def encoder(self) -> str:
        """Fingerprint of the encoder whose vectors are held."""

    @property
    def dim(self) -> int:
        """How many numbers a vector has."""

    @property
    def segmenter(self) -> Segmenter:
        """What cut the words that are held; questions must be cut by the same."""

    def counts(self) -> tuple[int, int]:
        """Documents and passages."""

    def search_passages(self, terms: Terms, limit: int, filters: Filters) -> list[tuple[int, float]]:
        """Passage rows by BM25."""

    def search_articles(self, terms: Terms, limit: int, filters: Filters) -> list[tuple[int, float]]:
        """Article rows by BM25 over whole articles."""

    def search_vectors(self, vector: Vectors, limit: int, filters: Filters) -> list[tuple[int, float]]:
        """Passage rows by the cosine of their nearest unit, from the `limit` nearest units."""

    def passages(self, rows: Iterable[int]) -> dict[int, Passage]: ...

    def article_passages(self, article: int) -> list[Passage]:
        """All passages of an article, in reading order."""

    def vectors(self, rows: Iterable[int]) -> list[PassageVectors]: ...

    def clusters(self, rows: Iterable[int]) -> dict[int, int]:
        """For each passage the one that leads its cluster: passages with one leader say the same thing."""

    def copies(self, rows: Mapping[int, int], limit: int, filters: Filters) -> dict[int, list[Passage]]:
        """For passages given with their leaders, the others of their clusters: `limit` at most each, by row."""

    def document_frequency(self, term: str) -> int:
        """In how many passages a token stands."""

    def document(self, document_id: str) -> Document | None: ...

    def document_info(self, document_id: str) -> DocumentInfo | None: ...

    def sections(self, document_id: str) -> list[Section]:
        """The passages of a document in reading order, without their text; empty when there is no such document."""

    def passage_rows_of(self, document_ids: Sequence[str]) -> dict[str, list[int]]:
        """Passage rows in reading order, by document id."""

    def skipped(self) -> list[Skipped]:
        """What could not be read, by path."""

    def documents(self, limit: int | None = None, after: str = "", containing: str = "") -> list[DocumentInfo]: ...

    def document_passages(self, document_id: str, limit: int, after: int = 0) -> list[Passage]: ...
