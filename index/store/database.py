"""SQLite: the one source of truth.

What is replaced or removed stays until the sync after, marked with the generation at which it went. So a reader of the
generation that was published last sees all of it, and nothing else, while a writer works. Each connection sees
`documents` as they are, or were at one generation; only what writes names the table itself, `main.documents`.

Documents, articles, passages and vectors live here; what FAISS and tantivy hold is derived from it. Row ids are never
used twice, so a row id that a derived index still knows either finds the passage it meant or nothing.

A passage's vectors are one blob of little-endian float16, `(units, dim)` row by row; `unit_spans` holds the spans of
the text units that they stand for, within the passage.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.fold import fold_text
from index.passages import clean
from index.store.sqlite import SqliteFile
from index.types import Document, DocumentInfo, Filters, KnownFile, Notice, Passage, Section, Skipped, Span

FORMAT = 3
HalfVectors = NDArray[np.float16]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, file TEXT NOT NULL, collection TEXT NOT NULL,
    path TEXT NOT NULL, title TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    read_at TEXT NOT NULL, encoding TEXT, notices TEXT NOT NULL, generation INTEGER NOT NULL, gone INTEGER,
    text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS articles (
    row INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    number INTEGER NOT NULL, title TEXT NOT NULL, context TEXT NOT NULL, start INTEGER NOT NULL,
    "end" INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS passages (
    row INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    article INTEGER NOT NULL REFERENCES articles ON DELETE CASCADE, number INTEGER NOT NULL, headings TEXT NOT NULL,
    page INTEGER, paragraph INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, text TEXT NOT NULL,
    hidden TEXT NOT NULL, unit_spans TEXT NOT NULL, page_breaks TEXT NOT NULL, damaged TEXT NOT NULL,
    vectors BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS skipped (
    path TEXT NOT NULL, file TEXT NOT NULL, reason TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    read_at TEXT NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS removed (
    kind TEXT NOT NULL, row INTEGER NOT NULL, generation INTEGER NOT NULL, PRIMARY KEY (kind, row)) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS main.documents_present ON documents (id) WHERE gone IS NULL;
CREATE INDEX IF NOT EXISTS main.documents_id ON documents (id);
CREATE INDEX IF NOT EXISTS main.documents_generation ON documents (generation, gone);
CREATE INDEX IF NOT EXISTS main.documents_gone ON documents (gone) WHERE gone IS NOT NULL;
CREATE INDEX IF NOT EXISTS main.documents_file ON documents (file);
CREATE INDEX IF NOT EXISTS skipped_file ON skipped (file);
CREATE INDEX IF NOT EXISTS articles_document ON articles (document);
CREATE INDEX IF NOT EXISTS passages_document ON passages (document);
CREATE INDEX IF NOT EXISTS passages_article ON passages (article);
CREATE INDEX IF NOT EXISTS removed_generation ON removed (generation);
"""
_PASSAGE = """
SELECT p.row, d.id, p.number, d.collection, d.path, a.title, p.headings, p.article, p.page, p.paragraph, p.start,
       p."end", p.text, p.hidden, p.unit_spans, p.page_breaks, p.damaged, a.context
FROM passages p JOIN documents d ON d.row = p.document JOIN articles a ON a.row = p.article
"""
# Ids as JSON: a statement with the numbers in it would be another one each time.
_GIVEN = "(SELECT value FROM json_each(?))"
_INFO = """
SELECT id, file, collection, path, title, sha256, size, mtime_ns, read_at, encoding, notices,
       (SELECT count(*) FROM passages p WHERE p.document = d.row), generation
FROM documents d
"""


@dataclass(frozen=True, slots=True)
class Units:
    """The embedded units of one passage: their spans within its text, and their vectors `(len(spans), dim)`."""

    spans: tuple[Span, ...]
    vectors: HalfVectors


@dataclass(frozen=True, slots=True)
class PassageVectors:
    """The vectors of a passage's units, `(units, dim)`, with the row ids of the passage and its article."""

    row: int
    article: int
    vectors: HalfVectors


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


class Database(SqliteFile):
    """Documents, articles, passages and vectors: the newest, or those of one generation. Raises what `SqliteFile` does.

    Only the newest can be changed.
    """

    schema = SqliteFile.schema + _SCHEMA

    def __init__(self, path: Path, generation: int | None = None) -> None:
        super().__init__(path)
        self._generation = generation

    def at(self, generation: int) -> Database:
        """The database as it was at a generation, which is the one published last or the newest."""
        return Database(self.path, generation)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"CREATE TEMP VIEW documents AS SELECT * FROM main.documents WHERE {self._is_there}")

    @property
    def _is_there(self) -> str:
        at = self._generation
        return "gone IS NULL" if at is None else f"(generation <= {at} AND (gone IS NULL OR gone > {at}))"

    @property
    def generation(self) -> int:
        """Counts changes; every added or removed document is one."""
        return self.newest if self._generation is None else self._generation

    @property
    def newest(self) -> int:
        """The generation of the last change."""
        return int(self.meta("generation") or 0)

    def put(self, document: Document, sections: Sequence[Section], units: Sequence[Units]) -> None:
        """Add a document, or replace the one with the same id, in one transaction."""
        with self._writing() as connection:
            generation = self._next_generation(connection)
            self._delete(connection, document.id, generation)
            row = connection.execute(
                "INSERT INTO main.documents (id, file, collection, path, title, text, sha256, size, mtime_ns, read_at,"
                " encoding, notices, generation) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    document.id, document.file, document.collection, document.path, document.title, document.text,
                    document.sha256, document.size, document.mtime_ns, document.read_at, document.encoding,
                    json.dumps([asdict(notice) for notice in document.notices], ensure_ascii=False), generation,
                ),
            ).lastrowid  # fmt: skip
            assert row is not None
            articles = _insert_articles(connection, row, sections)
            connection.executemany(
                'INSERT INTO passages (document, article, number, headings, page, paragraph, start, "end", text,'
                " hidden, unit_spans, page_breaks, damaged, vectors) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        row, articles[section.article], number, json.dumps(section.heading_path, ensure_ascii=False),
                        section.page, section.paragraph, section.start, section.end,
                        document.text[section.start : section.end], json.dumps(section.hidden),
                        json.dumps(unit.spans), json.dumps(section.page_breaks), json.dumps(section.damaged),
                        unit.vectors.astype("<f2").tobytes(),
                    )
                    for number, (section, unit) in enumerate(zip(sections, units, strict=True), start=1)
                ),
            )  # fmt: skip

    def remove(self, document_id: str) -> bool:
        """Remove a document; False when there was none."""
        with self._writing() as connection:
            known = connection.execute("SELECT 1 FROM documents WHERE id = ?", (document_id,)).fetchone()
            if known:
                self._delete(connection, document_id, self._next_generation(connection))
        return bool(known)

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

    def skipped(self) -> list[Skipped]:
        """What is not in the index, by path."""
        with self._reading() as connection:
            found = connection.execute("SELECT * FROM skipped ORDER BY path, reason").fetchall()
        return [Skipped(*row) for row in found]

    def move(
        self, document_id: str, new_id: str, collection: str, path: str, size: int, mtime_ns: int, read_at: str
    ) -> None:
        """Give a document another place; its passages and vectors stay. A document that was there is replaced."""
        with self._writing() as connection:
            self._delete(connection, new_id, self._next_generation(connection))
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

    @staticmethod
    def _next_generation(connection: sqlite3.Connection) -> int:
        found = connection.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()
        generation = int(found[0]) + 1 if found else 1
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('generation', ?)", (str(generation),))
        return generation

    @staticmethod
    def _delete(connection: sqlite3.Connection, document_id: str, generation: int) -> None:
        for kind in ("passages", "articles"):
            connection.execute(
                f"INSERT INTO removed SELECT ?, row, ? FROM {kind} WHERE document ="
                " (SELECT row FROM documents WHERE id = ?)",
                (kind, generation, document_id),
            )
        connection.execute(
            "UPDATE main.documents SET gone = ? WHERE id = ? AND gone IS NULL", (generation, document_id)
        )

    def purge(self, generation: int) -> None:
        """Drop what had gone by a generation; nobody reads an older one any more."""
        with self._writing() as connection:
            connection.execute("DELETE FROM main.documents WHERE gone <= ?", (generation,))

    def counts(self) -> tuple[int, int]:
        """How many documents and passages there are."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM passages) - (SELECT count(*) FROM"
                f" passages WHERE document IN (SELECT row FROM main.documents WHERE NOT {self._is_there}))"
            )
            documents, passages = found.fetchone()
        return documents, passages

    def document(self, document_id: str) -> Document | None:
        with self._reading() as connection:
            found = connection.execute(
                "SELECT id, file, collection, path, title, text, sha256, size, mtime_ns, read_at, encoding, notices,"
                " generation FROM documents WHERE id = ?",
                (document_id,),
            ).fetchone()
        return _document(found) if found else None

    def documents(self, limit: int | None = None, after: str = "", containing: str = "") -> list[DocumentInfo]:
        """Documents by id, those after the id `after` and with `containing` in their title or path, folded."""
        clauses = "WHERE id > ?"
        values: list[object] = [after]
        if containing:
            clauses += " AND (instr(folded(title), ?) OR instr(folded(path), ?))"
            values += [fold_text(containing)] * 2
        with self._reading() as connection:
            if containing:
                connection.create_function("folded", 1, fold_text, deterministic=True)
            rows = connection.execute(f"{_INFO} {clauses} ORDER BY id LIMIT ?", (*values, limit or -1)).fetchall()
        return [_info(row) for row in rows]

    def files(self, only: Iterable[str] | None = None) -> list[KnownFile]:
        """The file of every document, or of those whose file is one of `only`, by id."""
        wanted, given = ("", ()) if only is None else (f" WHERE file IN {_GIVEN}", (json.dumps(list(only)),))
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT id, file, path, sha256, size, mtime_ns, read_at, instr(notices, '\"needs-ocr\"') FROM documents"
                + wanted,
                given,
            ).fetchall()
        return [KnownFile(*row) for row in rows]

    def of_file(self, file: str) -> tuple[list[str], list[Skipped]]:
        """What was read from a file: the ids of its documents, and what of it could not be read."""
        with self._reading() as connection:
            ids = connection.execute("SELECT id FROM documents WHERE file = ? ORDER BY id", (file,)).fetchall()
            found = connection.execute("SELECT * FROM skipped WHERE file = ? ORDER BY path", (file,)).fetchall()
        return [id for (id,) in ids], [Skipped(*row) for row in found]

    def document_info(self, document_id: str) -> DocumentInfo | None:
        with self._reading() as connection:
            row = connection.execute(f"{_INFO} WHERE id = ?", (document_id,)).fetchone()
        return _info(row) if row else None

    def passages(self, rows: Iterable[int]) -> dict[int, Passage]:
        """Passages by row id; row ids that are gone are left out."""
        return {passage.row: passage for passage in self._passages("p.row", rows)}

    def document_passages(self, document_id: str, limit: int, after: int = 0) -> list[Passage]:
        """Passages of a document in reading order, those after the first `after`."""
        with self._reading() as connection:
            found = connection.execute(
                f"{_PASSAGE} WHERE d.id = ? AND p.number > ? ORDER BY p.number LIMIT ?", (document_id, after, limit)
            ).fetchall()
        return [_passage(row) for row in found]

    def article_passages(self, articles: Iterable[int]) -> list[Passage]:
        """All passages of these articles, in reading order."""
        return sorted(self._passages("p.article", articles), key=lambda passage: passage.row)

    def _passages(self, column: str, rows: Iterable[int]) -> Iterator[Passage]:
        with self._reading() as connection:
            found = connection.execute(f"{_PASSAGE} WHERE {column} IN {_GIVEN}", (_numbers(rows),)).fetchall()
        yield from (_passage(row) for row in found)

    def vectors(self, rows: Iterable[int], dim: int) -> list[PassageVectors]:
        """The vectors of passages, by row id, in no particular order."""
        with self._reading() as connection:
            found = connection.execute(
                f"SELECT row, article, vectors FROM passages WHERE row IN {_GIVEN}", (_numbers(rows),)
            ).fetchall()
        return [
            PassageVectors(row, article, np.frombuffer(blob, dtype="<f2").reshape(-1, dim))
            for row, article, blob in found
        ]

    def document_rows(self, filters: Filters) -> list[int]:
        """Row ids of the documents that a filter admits."""
        clauses = ["1"]
        values: list[str] = []
        for column, wanted in (("collection", filters.collection), ("id", filters.document_id)):
            if wanted:
                clauses.append(f"{column} IN ({','.join('?' * len(wanted))})")
                values.extend(wanted)
        if filters.path:
            clauses.append("path GLOB ?")
            values.append(filters.path)
        with self._reading() as connection:
            found = connection.execute(f"SELECT row FROM documents WHERE {' AND '.join(clauses)}", values).fetchall()
        return [row for (row,) in found]

    def passage_rows(self, document_rows: Iterable[int]) -> list[int]:
        """Row ids of all passages of these documents."""
        with self._reading() as connection:
            found = connection.execute(
                f"SELECT row FROM passages WHERE document IN {_GIVEN}", (_numbers(document_rows),)
            )
            return [row for (row,) in found]

    def passage_rows_of(self, document_ids: Sequence[str]) -> dict[str, list[int]]:
        """Row ids of the passages of documents, in reading order, by document id."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT d.id, p.row FROM documents d JOIN passages p ON p.document = d.row"
                f" WHERE d.id IN ({','.join('?' * len(document_ids))}) ORDER BY d.row, p.number",
                document_ids,
            ).fetchall()
        rows: dict[str, list[int]] = {}
        for document_id, row in found:
            rows.setdefault(document_id, []).append(row)
        return rows

    def sections(self, document_id: str) -> list[Section]:
        """The passages of a document in reading order, without their text."""
        with self._reading() as connection:
            found = connection.execute(
                'SELECT p.article, a.title, p.headings, p.page, p.paragraph, p.start, p."end", p.page_breaks'
                " FROM passages p JOIN articles a ON a.row = p.article JOIN documents d ON d.row = p.document"
                " WHERE d.id = ? ORDER BY p.number",
                (document_id,),
            ).fetchall()
        return [
            Section(article, title, tuple(json.loads(headings)), page, paragraph, start, end,
                    page_breaks=tuple(json.loads(breaks)))
            for article, title, headings, page, paragraph, start, end, breaks in found
        ]  # fmt: skip

    def passages_in(self, rows: Iterable[int], document_rows: Iterable[int]) -> list[int]:
        """Those of the passages that stand in these documents, by row id."""
        with self._reading() as connection:
            found = connection.execute(
                f"SELECT row FROM passages WHERE row IN {_GIVEN} AND +document IN {_GIVEN}",
                (_numbers(rows), _numbers(document_rows)),
            )
            return [row for (row,) in found]

    def removed_since(self, kind: str, generation: int) -> list[int]:
        """Row ids of `passages` or `articles` that went after `generation`."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT row FROM removed WHERE kind = ? AND generation > ? AND generation <= ?",
                (kind, generation, self.generation),
            )
            return [row for (row,) in found]

    def texts_since(self, generation: int) -> Iterator[PassageText]:
        """The passages of documents that came after `generation`, those of an article together, in reading order."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT p.row, p.document, p.article, a.title, p.headings, a.context, p.text, p.start, p.hidden"
                " FROM documents d JOIN passages p ON p.document = d.row JOIN articles a ON a.row = p.article"
                " WHERE d.generation > ? ORDER BY d.generation, d.row, p.row",
                (generation,),
            )
            for row, document, article, title, headings, context, text, start, hidden in found:
                above, around = _strings(headings), _strings(context)
                yield PassageText(row, document, article, title, above, around, text, start, _spans(hidden))

    def passage_rows_since(self, generation: int) -> Iterator[int]:
        """Row ids of the passages of documents that came after `generation`."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT p.row FROM documents d JOIN passages p ON p.document = d.row WHERE d.generation > ?"
                " ORDER BY d.generation, d.row, p.row",
                (generation,),
            )
            yield from (row for (row,) in found)

    def visible(self, rows: Iterable[int]) -> dict[int, str]:
        """The text of passages as matching sees it, by row id."""
        with self._reading() as connection:
            found = connection.execute(
                f"SELECT row, text, start, hidden FROM passages WHERE row IN {_GIVEN}", (_numbers(rows),)
            )
            return {row: clean(text, start, _spans(hidden)) for row, text, start, hidden in found}

    def changed_vectors(self, generation: int, dim: int) -> int:
        """About how many vectors came and went after `generation`; one is counted for a passage that went."""
        with self._reading() as connection:
            (came,) = connection.execute(
                "SELECT total(length(p.vectors)) FROM documents d JOIN passages p ON p.document = d.row"
                " WHERE d.generation > ?",
                (generation,),
            ).fetchone()
        return int(came) // (2 * dim) + len(self.removed_since("passages", generation))

    def vectors_since(self, generation: int, dim: int) -> Iterator[PassageVectors]:
        """Vectors of the passages of documents that came after `generation`, in ascending order of rows."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT p.row, p.article, p.vectors FROM documents d JOIN passages p ON p.document = d.row"
                " WHERE d.generation > ? ORDER BY d.generation, d.row, p.row",
                (generation,),
            )
            for row, article, blob in found:
                yield PassageVectors(row, article, np.frombuffer(blob, dtype="<f2").reshape(-1, dim))


def _insert_articles(connection: sqlite3.Connection, document: int, sections: Sequence[Section]) -> dict[int, int]:
    """Row id of each article number."""
    bounds: dict[int, tuple[Section, int]] = {}
    for section in sections:
        first, _ = bounds.get(section.article, (section, 0))
        bounds[section.article] = (first, section.end)
    rows: dict[int, int] = {}
    for number, (first, end) in bounds.items():
        row = connection.execute(
            'INSERT INTO articles (document, number, title, context, start, "end") VALUES (?, ?, ?, ?, ?, ?)',
            (document, number, first.title, json.dumps(first.context, ensure_ascii=False), first.start, end),
        ).lastrowid
        assert row is not None
        rows[number] = row
    return rows


def _document(row: tuple[Any, ...]) -> Document:
    *columns, notices, generation = row
    return Document(*columns, notices=_notices(notices), generation=generation)  # type: ignore[misc]


def _info(row: tuple[Any, ...]) -> DocumentInfo:
    *columns, notices, passages, generation = row
    return DocumentInfo(*columns, notices=_notices(notices), passages=passages, generation=generation)  # type: ignore[misc]


def _notices(stored: str) -> tuple[Notice, ...]:
    return tuple(Notice(**notice) for notice in json.loads(stored))


def _passage(found: tuple[Any, ...]) -> Passage:
    row, document_id, number, collection, path, title, headings, article, page, paragraph, start, end, *rest = found
    return Passage(
        id=f"{document_id}-{number}", row=row, document_id=document_id, collection=collection, path=path, title=title,
        heading_path=_strings(headings), article=article, page=page, paragraph=paragraph, start=start, end=end,
        text=rest[0], hidden=_spans(rest[1]), units=_spans(rest[2]),
        page_breaks=_integers(rest[3]), damaged=_spans(rest[4]), context=_strings(rest[5]),
    )  # fmt: skip


@lru_cache(maxsize=1 << 12)
def _strings(stored: str) -> tuple[str, ...]:
    return tuple(json.loads(stored))


def _integers(stored: str) -> tuple[int, ...]:
    return () if stored == "[]" else tuple(json.loads(stored))


def _spans(stored: str) -> tuple[Span, ...]:
    # Most have none, and parsing is the most of what a passage costs.
    return () if stored == "[]" else tuple((start, end) for start, end in json.loads(stored))


def _numbers(rows: Iterable[int]) -> str:
    """Row ids for `_GIVEN`."""
    return f"[{','.join(map(str, rows))}]"
