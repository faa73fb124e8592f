"""The nouns. Offsets everywhere count code points of the document's text: `text[start:end]`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

Span = tuple[int, int]
Progress = Callable[[str, float, int], None]
"""Told of what is being done, how many are done (with the done part of the present one), and of how many: of files
while they are read, then of passages while what is derived from them is made."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to be wary of in a document. `kind` is one stable word, `text` says it in full.

    The place is as exact as it is known: a span of the document's text, a paragraph, a page (both from 1), or none.
    """

    kind: str
    text: str
    page: int | None = None
    paragraph: int | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Caption:
    """The caption of the table that fills `text[start:end]`; it belongs to each of its rows."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class ReadText:
    """What a parser makes of a document. All offsets refer to `text`.

    `encoding` is None where the format fixes it. `pages` are the offsets at which the pages begin, empty where the
    format has none. `member` is the path within the file, for a document inside an archive or a message. `sections`
    are its passages once it is cut, None before.
    """

    text: str
    encoding: str | None = None
    pages: tuple[int, ...] = ()
    captions: tuple[Caption, ...] = ()
    notices: tuple[Notice, ...] = ()
    member: str = ""
    sections: tuple[Section, ...] | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """A file, or a member of one, that could not be read. `reason` says why and what to do."""

    reason: str
    member: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """What the splitter makes of a stretch of text: a passage without its place in a store.

    `title` is the article's, `heading_path` the headings above the passage, outermost first. `paragraph` counts from
    1 within the document. `hidden` are document spans that matching must not see, such as a line break in a word.
    `page` is the page that it begins on, from 1, None where there are none; `page_breaks` are the offsets within it at
    which further pages begin. `damaged` are document spans that can't be read as they were meant.
    `context` are dates, names and the place that hold for the whole article, folded.
    """

    article: int
    title: str
    heading_path: tuple[str, ...]
    page: int | None
    paragraph: int
    start: int
    end: int
    hidden: tuple[Span, ...] = ()
    page_breaks: tuple[int, ...] = ()
    damaged: tuple[Span, ...] = ()
    context: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """One document as it was read: its text is what every offset refers to.

    `file` is the id of the file that it came from: its own, or that of the archive or message that holds it.
    `sha256`, `size`, `mtime_ns` and `read_at` are that file's. `generation` is the index's that it came with.
    """

    id: str
    file: str
    collection: str
    path: str
    title: str
    text: str
    sha256: str
    size: int
    mtime_ns: int
    read_at: str
    encoding: str | None = None
    notices: tuple[Notice, ...] = ()
    generation: int = 0


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document without its text, for listings. `passages` is how many it has."""

    id: str
    file: str
    collection: str
    path: str
    title: str
    sha256: str
    size: int
    mtime_ns: int
    read_at: str
    encoding: str | None
    notices: tuple[Notice, ...]
    passages: int
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file, or a member of an archive, that is not in the index, and why."""

    path: str
    file: str
    reason: str
    size: int
    mtime_ns: int
    read_at: str
    sha256: str


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A document's file, as it was when the document was read from it; `file` is its id."""

    id: str
    file: str
    path: str
    sha256: str
    size: int
    mtime_ns: int
    read_at: str
    needs_ocr: bool


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document that can be found and cited; `text` is exactly the document's `text[start:end]`.

    `units` are the spans, within `text`, of the clauses that were embedded. `context` is as in `Section`.
    """

    id: str
    row: int
    document_id: str
    collection: str
    path: str
    title: str
    heading_path: tuple[str, ...]
    article: int
    page: int | None
    paragraph: int
    start: int
    end: int
    text: str
    hidden: tuple[Span, ...] = ()
    units: tuple[Span, ...] = ()
    page_breaks: tuple[int, ...] = ()
    damaged: tuple[Span, ...] = ()
    context: tuple[str, ...] = ()

    def page_at(self, offset: int) -> int | None:
        """The page on which the document's character `offset`, within this passage, stands."""
        return None if self.page is None else self.page + bisect_right(self.page_breaks, offset)


@dataclass(frozen=True, slots=True)
class Units:
    """The embedded units of one passage: their spans within its text, and their vectors, see `index.store.codes`."""

    spans: tuple[Span, ...]
    codes: bytes


@dataclass(frozen=True, slots=True)
class PassageVectors:
    """The vectors of a passage's units, see `index.store.codes`, with the row ids of the passage and its article."""

    row: int
    article: int
    codes: bytes


@dataclass(frozen=True, slots=True)
class PassageText:
    """A passage as lexical search indexes it."""

    row: int
    document_row: int
    article: int
    title: str
    heading_path: tuple[str, ...]
    context: tuple[str, ...]
    text: str
    start: int
    hidden: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Filters:
    """Limits on where to search; an empty tuple or None does not limit. `path` is a glob over document paths."""

    collection: tuple[str, ...] = ()
    document_id: tuple[str, ...] = ()
    path: str | None = None

    def __bool__(self) -> bool:
        return bool(self.collection or self.document_id or self.path)


@dataclass(frozen=True, slots=True)
class Scores:
    """The parts of a hit's score, each at most about 1; higher is better. `reranker` is None where none read it.

    `names` is the share of the query's names that the article mentions, which `total` leaves out.
    """

    lexical: float
    dense: float
    article: float
    total: float
    names: float = 0.0
    reranker: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage with its place in the ranking. `rank` starts at 1.

    `also_in` are near-identical passages that this hit stands for.
    """

    rank: int
    score: float
    passage: Passage
    scores: Scores
    also_in: tuple[Passage, ...] = ()
