"""SQLite: the one source of truth.

What is replaced or removed stays until the sync after, marked with the generation at which it went. So a reader of the
generation that was published last sees all of it, and nothing else, while a writer works. Each connection sees
`documents` as they are, or were at one generation; only what writes names the table itself, `main.documents`.

Documents, articles, passages and vectors live here; what FAISS and tantivy hold is derived from it. Row ids are never
used twice, so a row id that a derived index still knows either finds the passage it meant or nothing.

What belongs together follows one another: a document names its first passage, article and piece of text and how many it
has, an article its passages. So no index over passages is needed, and what goes with a document is named in one row of
`removed`. `state`, one row, counts what is there, so that nobody has to.

`texts` are the documents' texts in blocks (`index.store.rows`), the one place of text; a passage is in one
piece. `start` and `end` count code points of the document's text. `hidden`, `units` (the spans within the passage of
the text units that its vectors stand for), `page_breaks` and `damaged` are offsets as `index.store.rows` packs them,
`codes` vectors as `index.store.codes` does; in a table of their own, as a question reads those of hundreds of passages
and nothing else of them. `headings`, `context` and `notices` are JSON.
"""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass

from index.store.records import Records
from index.store.rows import blocks, integers, pack, spans, strings
from index.types import Document, Section, Skipped, Units

FORMAT = 4
_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (
    one INTEGER PRIMARY KEY CHECK (one = 1), generation INTEGER NOT NULL, documents INTEGER NOT NULL,
    passages INTEGER NOT NULL, last_document INTEGER NOT NULL, last_article INTEGER NOT NULL,
    last_passage INTEGER NOT NULL, last_piece INTEGER NOT NULL);
INSERT OR IGNORE INTO state VALUES (1, 0, 0, 0, 0, 0, 0, 0);
CREATE TABLE IF NOT EXISTS documents (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL, file TEXT NOT NULL, collection TEXT NOT NULL, path TEXT NOT NULL,
    title TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, read_at TEXT NOT NULL,
    encoding TEXT, notices TEXT NOT NULL, generation INTEGER NOT NULL, gone INTEGER, units INTEGER NOT NULL,
    first_article INTEGER NOT NULL, articles INTEGER NOT NULL, first_passage INTEGER NOT NULL,
    passages INTEGER NOT NULL, first_piece INTEGER NOT NULL, pieces INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS articles (
    row INTEGER PRIMARY KEY, title TEXT NOT NULL, context TEXT NOT NULL, first_passage INTEGER NOT NULL,
    passages INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS passages (
    row INTEGER PRIMARY KEY, document INTEGER NOT NULL, article INTEGER NOT NULL, piece INTEGER NOT NULL, page INTEGER,
    paragraph INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, headings TEXT NOT NULL,
    hidden BLOB NOT NULL, units BLOB NOT NULL, page_breaks BLOB NOT NULL, damaged BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS vectors (row INTEGER PRIMARY KEY, article INTEGER NOT NULL, codes BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS texts (row INTEGER PRIMARY KEY, start INTEGER NOT NULL, text BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS skipped (
    path TEXT NOT NULL, file TEXT NOT NULL, reason TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    read_at TEXT NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS removed (
    generation INTEGER PRIMARY KEY, first_passage INTEGER NOT NULL, passages INTEGER NOT NULL,
    first_article INTEGER NOT NULL, articles INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS main.documents_id ON documents (id);
CREATE INDEX IF NOT EXISTS main.documents_generation ON documents (generation, gone);
CREATE INDEX IF NOT EXISTS main.documents_gone ON documents (gone) WHERE gone IS NOT NULL;
CREATE INDEX IF NOT EXISTS main.documents_file ON documents (file);
CREATE INDEX IF NOT EXISTS skipped_file ON skipped (file);
"""
_STATE = "generation, documents, passages, last_document, last_article, last_passage, last_piece"


@dataclass(slots=True)
class _State:
    """The row of `state`; the last row ids are those given last, which are never given again."""

    generation: int
    documents: int
    passages: int
    last_document: int
    last_article: int
    last_passage: int
    last_piece: int

    def take(self, articles: int, passages: int, pieces: int) -> None:
        """Count a document that has so many, with the row ids after the last ones."""
        self.documents += 1
        self.passages += passages
        self.last_document += 1
        self.last_article += articles
        self.last_passage += passages
        self.last_piece += pieces


class Database(Records):
    """The records as they are now, which can be changed. Raises what `SqliteFile` does."""

    schema = Records.schema + _SCHEMA

    def at(self, generation: int) -> Records:
        """The records as they were at a generation, which is the one published last or the newest."""
        return Records(self.path, generation)

    def put(self, document: Document, sections: Sequence[Section], units: Sequence[Units]) -> None:
        """Add a document, or replace the one with the same id, in one transaction."""
        cuts = list(blocks(len(document.text), [(section.start, section.end) for section in sections]))
        with self._changing() as (connection, state):
            self._delete(connection, document.id, state)
            first, block = state.last_passage + 1, state.last_piece + 1
            articles = _articles(sections, state)
            ranges = (state.last_article + 1, len(articles), first, len(sections), block, len(cuts))
            count = sum(len(unit.spans) for unit in units)
            connection.execute(
                f"INSERT INTO main.documents VALUES ({_places(21)})",
                (state.last_document + 1, *_described(document), state.generation, None, count, *ranges),
            )
            connection.executemany("INSERT INTO articles VALUES (?, ?, ?, ?, ?)", articles.values())
            connection.executemany(
                "INSERT INTO texts VALUES (?, ?, ?)",
                ((row, start, pack(document.text[start:end])) for row, (start, end) in enumerate(cuts, block)),
            )
            rows = {number: article[0] for number, article in articles.items()}
            starts = [start for start, _ in cuts]
            own = list(enumerate(zip(sections, units, strict=True), first))
            block_of = {row: block - 1 + bisect_right(starts, section.start) for row, (section, _) in own}
            connection.executemany(
                f"INSERT INTO passages VALUES ({_places(13)})",
                (
                    (row, state.last_document + 1, rows[section.article], block_of[row], *_columns(section, unit))
                    for row, (section, unit) in own
                ),
            )
            connection.executemany(
                "INSERT INTO vectors VALUES (?, ?, ?)",
                ((row, rows[section.article], unit.codes) for row, (section, unit) in own),
            )
            state.take(len(articles), len(sections), len(cuts))

    def remove(self, document_id: str) -> bool:
        """Remove a document; False when there was none."""
        with self._writing() as connection:
            known = connection.execute("SELECT 1 FROM documents WHERE id = ?", (document_id,)).fetchone()
            if known:
                with self._changing() as (_, state):
                    self._delete(connection, document_id, state)
        return bool(known)

    @contextmanager
    def _changing(self) -> Iterator[tuple[sqlite3.Connection, _State]]:
        """One change, of a generation of its own; what the block makes of the state is stored."""
        with self._writing() as connection:
            state = _State(*connection.execute(f"SELECT {_STATE} FROM state").fetchone())
            state.generation += 1
            yield connection, state
            # Not `astuple`, which copies deeply.
            values = [getattr(state, column) for column in _STATE.split(", ")]
            connection.execute(f"UPDATE state SET ({_STATE}) = ({_places(7)})", values)

    def settle(self, file: str, size: int, mtime_ns: int, read_at: str) -> None:
        """Note that all of a file was read when it looked like this."""
        with self._writing() as connection:
            for table in ("documents", "skipped"):
                is_there = " AND gone IS NULL" if table == "documents" else ""
                connection.execute(
                    f"UPDATE main.{table} SET size = ?, mtime_ns = ?, read_at = ? WHERE file = ?{is_there}",
                    (size, mtime_ns, read_at, file),
                )

    def skip(self, file: str, skipped: Sequence[Skipped]) -> None:
        """Note what of a file could not be read, in place of what was noted before."""
        with self._writing() as connection:
            connection.execute("DELETE FROM skipped WHERE file = ?", (file,))
            connection.executemany("INSERT INTO skipped VALUES (?, ?, ?, ?, ?, ?, ?)", map(astuple, skipped))

    def move(
        self, document_id: str, new_id: str, collection: str, path: str, size: int, mtime_ns: int, read_at: str
    ) -> None:
        """Give a document another place; its passages and vectors stay. A document that was there is replaced."""
        with self._changing() as (connection, state):
            self._delete(connection, new_id, state)
            connection.execute(
                "UPDATE main.documents SET id = ?, file = ?, collection = ?, path = ?, size = ?, mtime_ns = ?,"
                " read_at = ? WHERE id = ? AND gone IS NULL",
                (new_id, new_id, collection, path, size, mtime_ns, read_at, document_id),
            )

    def relocate(self, folders: Mapping[str, tuple[str, str]]) -> None:
        """Show the paths of collections under another folder: `(before, after)` by collection, each with its slash."""
        with self._writing() as connection:
            for collection, (before, after) in folders.items():
                connection.execute(
                    "UPDATE main.documents SET path = ? || substr(path, ?) WHERE collection = ?"
                    " AND substr(path, 1, ?) = ?",
                    (after, len(before) + 1, collection, len(before), before),
                )
            moved = [
                (after + path[len(before) :], row)
                for row, path in connection.execute("SELECT rowid, path FROM skipped").fetchall()
                for before, after in folders.values()
                if path.startswith(before)
            ]
            connection.executemany("UPDATE skipped SET path = ? WHERE rowid = ?", moved)

    def advance(self, generation: int) -> None:
        """Go on from a later generation."""
        with self._writing() as connection:
            connection.execute("UPDATE state SET generation = ?", (generation,))

    @staticmethod
    def _delete(connection: sqlite3.Connection, document_id: str, state: _State) -> None:
        known = connection.execute(
            "SELECT row, first_passage, passages, first_article, articles FROM documents WHERE id = ?", (document_id,)
        ).fetchone()
        if known:
            row, *ranges = known
            connection.execute("INSERT INTO removed VALUES (?, ?, ?, ?, ?)", (state.generation, *ranges))
            connection.execute("UPDATE main.documents SET gone = ? WHERE row = ?", (state.generation, row))
            state.documents -= 1
            state.passages -= ranges[1]

    def purge(self, generation: int) -> None:
        """Drop what had gone by a generation; nobody reads an older one any more."""
        with self._writing() as connection:
            gone = connection.execute(
                "SELECT row, first_article, articles, first_passage, passages, first_piece, pieces FROM main.documents"
                " WHERE gone <= ?",
                (generation,),
            ).fetchall()
            for row, *ranges in gone:
                articles, passages, texts = zip(ranges[::2], ranges[1::2], strict=True)
                for table, (first, count) in (
                    ("articles", articles),
                    ("passages", passages),
                    ("vectors", passages),
                    ("texts", texts),
                ):
                    connection.execute(f"DELETE FROM {table} WHERE row BETWEEN ? AND ?", (first, first + count - 1))
                connection.execute("DELETE FROM main.documents WHERE row = ?", (row,))


def _places(count: int) -> str:
    return ", ".join("?" * count)


def _described(document: Document) -> tuple[object, ...]:
    """A document's columns from `id` to `notices`."""
    return (
        document.id,
        document.file,
        document.collection,
        document.path,
        document.title,
        document.sha256,
        document.size,
        document.mtime_ns,
        document.read_at,
        document.encoding,
        json.dumps([asdict(notice) for notice in document.notices], ensure_ascii=False),
    )


def _columns(section: Section, unit: Units) -> tuple[object, ...]:
    """A passage's columns from `page` on."""
    return (
        section.page,
        section.paragraph,
        section.start,
        section.end,
        strings(section.heading_path),
        spans(section.hidden, section.start),
        spans(unit.spans),
        integers(section.page_breaks, section.start),
        spans(section.damaged, section.start),
    )


def _articles(sections: Sequence[Section], state: _State) -> dict[int, tuple[int, str, str, int, int]]:
    """The row of `articles` for each article number."""
    articles: dict[int, tuple[int, str, str, int, int]] = {}
    for passage, section in enumerate(sections, state.last_passage + 1):
        row, title, context, first, _ = articles.get(
            section.article,
            (state.last_article + 1 + len(articles), section.title, strings(section.context), passage, 0),
        )
        articles[section.article] = (row, title, context, first, passage - first + 1)
    return articles
