"""What a store must do, whatever keeps the data: searching, looking up, telling what it is; and for the one who writes.

Those who read ask for the protocol that they need; `Store` is all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from index.encoder import Vectors
from index.store.terms import CutArticles, Terms
from index.text.segmenter import PLAIN, Segmenter
from index.types import (
    Document,
    DocumentInfo,
    Filters,
    KnownFile,
    Passage,
    PassageVectors,
    Progress,
    Section,
    Skipped,
    Units,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What an index is made with: the encoder's fingerprint, and the segmenter.

    Vectors and tokens made otherwise can't be compared.
    """

    encoder: str
    segmenter: Segmenter = PLAIN


class PassageSearch(Protocol):
    """Search for passages of one generation. Scores are higher for better; lists are sorted, best first."""

    @property
    def segmenter(self) -> Segmenter:
        """What cut the words that are held; questions must be cut by the same."""

    def counts(self) -> tuple[int, int]:
        """Documents and passages."""

    def expect(self, terms: Iterable[str]) -> None:
        """Be told of tokens whose frequencies will be asked for: a store that is far away fetches them together."""

    def document_frequency(self, term: str) -> int:
        """In how many passages a token stands."""

    def search_passages(self, terms: Terms, limit: int, filters: Filters) -> list[tuple[int, float]]:
        """Passage rows by BM25."""

    def search_articles(self, terms: Terms, limit: int, filters: Filters) -> list[tuple[int, float]]:
        """Article rows by BM25 over whole articles."""

    def search_vectors(self, vector: Vectors, limit: int, filters: Filters) -> list[tuple[int, float]]:
        """Passage rows by the cosine of their nearest unit, from the `limit` nearest units."""

    def vectors(self, rows: Iterable[int]) -> list[PassageVectors]: ...

    def passages(self, rows: Iterable[int]) -> dict[int, Passage]: ...

    def clusters(self, rows: Iterable[int]) -> dict[int, int]:
        """For each passage the one that leads its cluster: passages with one leader say the same thing."""

    def copies(self, rows: Mapping[int, int], limit: int, filters: Filters) -> dict[int, list[Passage]]:
        """For passages given with their leaders, the others of their clusters: `limit` at most each, by row."""


class DocumentLookup(Protocol):
    """Documents of one generation with all that belongs to them, by id."""

    def document(self, document_id: str) -> Document | None: ...

    def document_info(self, document_id: str) -> DocumentInfo | None: ...

    def documents(self, limit: int | None = None, after: str = "", containing: str = "") -> list[DocumentInfo]:
        """Documents by id, those after the id `after` and with `containing` in their title or path, folded."""

    def sections(self, document_id: str) -> list[Section]:
        """The passages of a document in reading order, without their text; empty when there is no such document."""

    def document_passages(self, document_id: str, limit: int, after: int = 0) -> list[Passage]:
        """Passages of a document in reading order, those after the first `after`."""

    def article_passages(self, article: int) -> list[Passage]:
        """All passages of an article, in reading order."""

    def passage_rows_of(self, document_ids: Sequence[str]) -> dict[str, list[int]]:
        """Passage rows in reading order, by document id."""

    def of_file(self, file: str) -> tuple[list[str], list[Skipped]]:
        """What was read from a file: the ids of its documents, and what of it could not be read."""

    def skipped(self) -> list[Skipped]:
        """What could not be read, by path."""


class Store(PassageSearch, DocumentLookup, Protocol):
    """A published generation of an index, for reading by many threads."""

    @property
    def generation(self) -> int: ...

    @property
    def encoder(self) -> str:
        """Fingerprint of the encoder whose vectors are held."""

    @property
    def dim(self) -> int:
        """How many numbers a vector has."""

    @property
    def units(self) -> int:
        """About how many vectors are held."""

    @property
    def where(self) -> str:
        """Where it is kept, for people."""

    def is_stale(self) -> bool:
        """Whether a newer generation has been published, or another index made current."""

    def is_there(self) -> bool:
        """Whether what this generation reads is still kept."""

    def check(self) -> str:
        """`ok`, or what is wrong with what is kept."""


class IndexChanges(Protocol):
    """The documents of an index as they are now, which can be changed. What returns is kept, whatever comes after."""

    def together(self) -> AbstractContextManager[None]:
        """All that is changed in the block is kept when it ends, which costs less than one by one."""

    def files(self, only: Iterable[str] | None = None) -> list[KnownFile]:
        """The file of every document, or of those whose file is one of `only`."""

    def skipped(self) -> list[Skipped]:
        """What could not be read, by path."""

    def of_file(self, file: str) -> tuple[list[str], list[Skipped]]:
        """What was read from a file: the ids of its documents, and what of it could not be read."""

    def put(self, document: Document, sections: Sequence[Section], units: Sequence[Units]) -> None:
        """Add a document, or replace the one with the same id."""

    def remove(self, document_id: str) -> object:
        """Remove a document, if there is one."""

    def settle(self, file: str, size: int, mtime_ns: int, read_at: str) -> None:
        """Note that all of a file was read when it looked like this."""

    def skip(self, file: str, skipped: Sequence[Skipped]) -> None:
        """Note what of a file could not be read, in place of what was noted before."""

    def move(
        self, document_id: str, new_id: str, collection: str, path: str, size: int, mtime_ns: int, read_at: str
    ) -> None:
        """Give a document another place. A document that was there is replaced."""


class IndexWriter(Protocol):
    """The one process that changes an index."""

    @property
    def database(self) -> IndexChanges: ...

    def finish(self, cut: CutArticles | None = None, progress: Progress | None = None) -> Store:
        """Bring what is derived up to date, and let readers see the result.

        `cut` cuts articles into words, by other processes say; without it this one does.
        """


class IndexLocation(Protocol):
    """Where an index is kept."""

    def open(self, settings: Settings) -> Store:
        """The generation that was published last.

        Raises:
            IndexMissingError, IndexMismatchError, IndexDamagedError: with the command to run.
        """

    def writing(
        self, settings: Settings, dim: Callable[[], int], *, rebuild: bool = False
    ) -> AbstractContextManager[IndexWriter]:
        """Hold an index for writing, made here where there is none.

        `dim` gives the length of a vector, which may load a model; only a new index asks for it. A rebuild becomes
        current only when the block ends without an error.

        Raises:
            IndexBusyError: another process is writing.
            IndexMismatchError: the index was made with other settings and `rebuild` is off.
        """
