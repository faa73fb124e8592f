"""What the database holds, read: all of it as it is now, or as it was at one generation."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from index.fold import fold_text
from index.passages import clean
from index.store.rows import (
    PassageText,
    PassageVectors,
    document_of,
    info_of,
    integers_of,
    numbers,
    passage_of,
    spans_of,
    strings_of,
)
from index.store.sqlite import SqliteFile
from index.types import Document, DocumentInfo, Filters, KnownFile, Passage, Section, Skipped

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


class Records(SqliteFile):
    """Documents, articles, passages and vectors: the newest, or those of one generation.

    Each connection sees `documents` as a view of that generation. Raises what `SqliteFile` does.
    """

    def __init__(self, path: Path, generation: int | None = None) -> None:
        super().__init__(path)
        self._generation = generation

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

    def skipped(self) -> list[Skipped]:
        """What is not in the index, by path."""
        with self._reading() as connection:
            found = connection.execute("SELECT * FROM skipped ORDER BY path, reason").fetchall()
        return [Skipped(*row) for row in found]

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
        return document_of(found) if found else None

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
        return [info_of(row) for row in rows]

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
        return info_of(row) if row else None

    def passages(self, rows: Iterable[int]) -> dict[int, Passage]:
        """Passages by row id; row ids that are gone are left out."""
        return {passage.row: passage for passage in self._passages("p.row", rows)}

    def document_passages(self, document_id: str, limit: int, after: int = 0) -> list[Passage]:
        """Passages of a document in reading order, those after the first `after`."""
        with self._reading() as connection:
            found = connection.execute(
                f"{_PASSAGE} WHERE d.id = ? AND p.number > ? ORDER BY p.number LIMIT ?", (document_id, after, limit)
            ).fetchall()
        return [passage_of(row) for row in found]

    def article_passages(self, articles: Iterable[int]) -> list[Passage]:
        """All passages of these articles, in reading order."""
        return sorted(self._passages("p.article", articles), key=lambda passage: passage.row)

    def _passages(self, column: str, rows: Iterable[int]) -> Iterator[Passage]:
        with self._reading() as connection:
            found = connection.execute(f"{_PASSAGE} WHERE {column} IN {_GIVEN}", (numbers(rows),)).fetchall()
        yield from (passage_of(row) for row in found)

    def vectors(self, rows: Iterable[int], dim: int) -> list[PassageVectors]:
        """The vectors of passages, by row id, in no particular order."""
        with self._reading() as connection:
            found = connection.execute(
                f"SELECT row, article, vectors FROM passages WHERE row IN {_GIVEN}", (numbers(rows),)
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
                f"SELECT row FROM passages WHERE document IN {_GIVEN}", (numbers(document_rows),)
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
            Section(article, title, strings_of(headings), page, paragraph, start, end, page_breaks=integers_of(breaks))
            for article, title, headings, page, paragraph, start, end, breaks in found
        ]  # fmt: skip

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
                above, around = strings_of(headings), strings_of(context)
                yield PassageText(row, document, article, title, above, around, text, start, spans_of(hidden))

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
                f"SELECT row, text, start, hidden FROM passages WHERE row IN {_GIVEN}", (numbers(rows),)
            )
            return {row: clean(text, start, spans_of(hidden)) for row, text, start, hidden in found}

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
