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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple

from index.store.records import Records
from index.store.rows import Units
from index.types import Document, Section, Skipped

FORMAT = 3
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


class Database(Records):
    """The records as they are now, which can be changed. Raises what `SqliteFile` does."""

    schema = Records.schema + _SCHEMA

    def at(self, generation: int) -> Records:
        """The records as they were at a generation, which is the one published last or the newest."""
        return Records(self.path, generation)

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
