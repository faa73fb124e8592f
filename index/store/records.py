"""What the database holds, read: all of it as it is now, or as it was at one generation."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from index.chunking.passages import clean
from index.sqlite import SqliteFile
from index.store.rows import (
    INFO,
    PASSAGE,
    TextBlocks,
    document_of,
    expanded,
    info_of,
    integers_of,
    numbers,
    passage_of,
    spans_of,
    strings_of,
    unpack,
)
from index.text.fold import fold_text
from index.types import (
    Document,
    DocumentInfo,
    Filters,
    KnownFile,
    Passage,
    PassageText,
    PassageVectors,
    Section,
    Skipped,
)

# A row of vectors or text has 1 to 3 kB: of pages of 4 kB a fifth would be empty.
_PAGE_BYTES = 16384
# All of it, or what SQLite is built to map, mostly 2 GB: pages that are mapped need not be copied, and processes share
# them. Reading the vectors of 400 passages of a million takes 2 ms of processor time, and 8.5 without.
_MAPPED_BYTES = 1 << 40
# Ids as JSON: a statement with the numbers in it would be another one each time.
_GIVEN = "(SELECT value FROM json_each(?))"
# A document's passages, and those of an article, have row ids that follow one another. CROSS JOIN: what stands to the
# left is looked through first, so that passages come in their order and need no sorting.
_OF_DOCUMENT = "CROSS JOIN passages p ON p.row BETWEEN d.first_passage AND d.first_passage + d.passages - 1"
_OF_ARTICLE = (
    "CROSS JOIN passages p ON p.row BETWEEN a.first_passage AND a.first_passage + a.passages - 1 AND p.article = a.row"
)
_AROUND = "JOIN articles a ON a.row = p.article JOIN texts t ON t.row = p.piece"
_PASSAGES = f"""
SELECT {PASSAGE} FROM passages p
JOIN documents d ON d.row = p.document {_AROUND}
WHERE p.row IN {_GIVEN}
"""


class Records(SqliteFile):
    """Documents, articles, passages and vectors: the newest, or those of one generation.

    Each connection sees `documents` as a view of that generation. Raises what `SqliteFile` does.
    """

    page_bytes = _PAGE_BYTES
    mapped_bytes = _MAPPED_BYTES

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
        with self._reading() as connection:
            return int(connection.execute("SELECT generation FROM state").fetchone()[0])

    def skipped(self) -> list[Skipped]:
        """What is not in the index, by path."""
        with self._reading() as connection:
            rows = connection.execute("SELECT * FROM skipped ORDER BY path, reason").fetchall()
        return [Skipped(*row) for row in rows]

    def counts(self) -> tuple[int, int]:
        """How many documents and passages there are; costs what has changed since the generation, not what it holds."""
        at = self.generation
        with self._at_once() as connection:
            documents, passages = connection.execute("SELECT documents, passages FROM state").fetchone()
            since = ((-1, "generation > ?1 AND gone IS NULL"), (1, "gone > ?1 AND generation <= ?1"))
            for sign, changed in since:
                changes = connection.execute(
                    f"SELECT count(*), total(passages) FROM main.documents WHERE {changed}", (at,)
                )
                count, total = changes.fetchone()
                documents, passages = documents + sign * count, passages + sign * int(total)
        return documents, passages

    def document(self, document_id: str) -> Document | None:
        with self._at_once() as connection:
            record = connection.execute(
                "SELECT id, file, collection, path, title, sha256, size, mtime_ns, read_at, encoding, notices,"
                " generation, first_piece, pieces FROM documents WHERE id = ?",
                (document_id,),
            ).fetchone()
            if not record:
                return None
            *columns, first, pieces = record
            stored = connection.execute(
                "SELECT text FROM texts WHERE row BETWEEN ? AND ? ORDER BY row", (first, first + pieces - 1)
            )
            return document_of(columns, "".join(unpack(piece) for (piece,) in stored))

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
            rows = connection.execute(
                f"SELECT {INFO} FROM documents {clauses} ORDER BY id LIMIT ?", (*values, limit or -1)
            ).fetchall()
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
            skipped = connection.execute("SELECT * FROM skipped WHERE file = ? ORDER BY path", (file,)).fetchall()
        return [id for (id,) in ids], [Skipped(*row) for row in skipped]

    def document_info(self, document_id: str) -> DocumentInfo | None:
        with self._reading() as connection:
            row = connection.execute(f"SELECT {INFO} FROM documents WHERE id = ?", (document_id,)).fetchone()
        return info_of(row) if row else None

    def passages(self, rows: Iterable[int]) -> dict[int, Passage]:
        """Passages by row id; row ids that are gone are left out."""
        return {passage.row: passage for passage in self._passages(_PASSAGES, numbers(rows))}

    def document_passages(self, document_id: str, limit: int, after: int = 0) -> list[Passage]:
        """Passages of a document in reading order, those after the first `after`."""
        return self._passages(
            f"SELECT {PASSAGE} FROM documents d {_OF_DOCUMENT} {_AROUND} WHERE d.id = ?1"
            " AND p.row >= d.first_passage + ?2 AND p.row < d.first_passage + ?2 + ?3",
            document_id,
            after,
            limit,
        )

    def article_passages(self, articles: Iterable[int]) -> list[Passage]:
        """All passages of these articles, in reading order."""
        return self._passages(
            f"SELECT {PASSAGE} FROM articles a {_OF_ARTICLE} JOIN documents d ON d.row = p.document"
            f" JOIN texts t ON t.row = p.piece WHERE a.row IN {_GIVEN} ORDER BY a.row",
            numbers(articles),
        )

    def _passages(self, statement: str, *values: object) -> list[Passage]:
        blocks = TextBlocks()
        with self._reading() as connection:
            return [
                passage_of(tuple(columns), blocks.text(piece, columns[10] - at, columns[11] - at, packed))
                for *columns, piece, at, packed in connection.execute(statement, values)
            ]

    def vectors(self, rows: Iterable[int]) -> list[PassageVectors]:
        """The vectors of passages, by row id, in no particular order."""
        with self._reading() as connection:
            passages = connection.execute(
                f"SELECT row, article, codes FROM vectors WHERE row IN {_GIVEN}", (numbers(rows),)
            )
            return [PassageVectors(*columns) for columns in passages]

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
            rows = connection.execute(f"SELECT row FROM documents WHERE {' AND '.join(clauses)}", values).fetchall()
        return [row for (row,) in rows]

    def passage_rows(self, document_rows: Iterable[int]) -> list[int]:
        """Row ids of all passages of these documents."""
        with self._reading() as connection:
            ranges = connection.execute(
                f"SELECT first_passage, passages FROM documents WHERE row IN {_GIVEN}", (numbers(document_rows),)
            )
            return list(expanded(ranges))

    def passage_rows_of(self, document_ids: Sequence[str]) -> dict[str, list[int]]:
        """Row ids of the passages of documents, in reading order, by document id."""
        with self._reading() as connection:
            ranges = connection.execute(
                f"SELECT id, first_passage, passages FROM documents WHERE id IN {_GIVEN} AND passages > 0 ORDER BY row",
                (json.dumps(list(document_ids)),),
            )
            return {id: list(range(first, first + count)) for id, first, count in ranges}

    def sections(self, document_id: str) -> list[Section]:
        """The passages of a document in reading order, without their text."""
        with self._reading() as connection:
            passages = connection.execute(
                'SELECT p.article, a.title, p.headings, p.page, p.paragraph, p.start, p."end", p.page_breaks'
                f" FROM documents d {_OF_DOCUMENT} JOIN articles a ON a.row = p.article WHERE d.id = ?",
                (document_id,),
            ).fetchall()
        return [
            Section(
                article,
                title,
                strings_of(headings),
                page,
                paragraph,
                start,
                end,
                page_breaks=integers_of(breaks, start),
            )
            for article, title, headings, page, paragraph, start, end, breaks in passages
        ]

    def removed_since(self, kind: str, generation: int) -> list[int]:
        """Row ids of `passages` or `articles` that went after `generation`."""
        with self._reading() as connection:
            ranges = connection.execute(
                f"SELECT first_{kind[:-1]}, {kind} FROM removed WHERE generation > ? AND generation <= ?",
                (generation, self.generation),
            )
            return list(expanded(ranges))

    def texts_since(self, generation: int) -> Iterator[PassageText]:
        """The passages of documents that came after `generation`, those of an article together, in reading order."""
        blocks = TextBlocks()
        with self._reading() as connection:
            passages = connection.execute(
                'SELECT p.row, p.document, p.article, a.title, p.headings, a.context, p.start, p."end", p.hidden,'
                f" t.row, t.start, t.text FROM documents d {_OF_DOCUMENT} {_AROUND}"
                " WHERE d.generation > ? ORDER BY d.generation",
                (generation,),
            )
            for row, document, article, title, headings, context, start, end, hidden, piece, at, packed in passages:
                text = blocks.text(piece, start - at, end - at, packed)
                above, around = strings_of(headings), strings_of(context)
                yield PassageText(row, document, article, title, above, around, text, start, spans_of(hidden, start))

    def passages_since(self, generation: int) -> int:
        """How many passages documents have that came after `generation`."""
        with self._reading() as connection:
            (count,) = connection.execute(
                "SELECT total(passages) FROM documents WHERE generation > ?", (generation,)
            ).fetchone()
        return int(count)

    def passage_rows_since(self, generation: int) -> Iterator[int]:
        """Row ids of the passages of documents that came after `generation`."""
        with self._reading() as connection:
            yield from expanded(
                connection.execute(
                    "SELECT first_passage, passages FROM documents WHERE generation > ? ORDER BY generation",
                    (generation,),
                )
            )

    def visible(self, rows: Iterable[int]) -> dict[int, str]:
        """The text of passages as matching sees it, by row id."""
        blocks = TextBlocks()
        with self._reading() as connection:
            passages = connection.execute(
                'SELECT p.row, p.start, p."end", p.hidden, t.row, t.start, t.text FROM passages p'
                f" JOIN texts t ON t.row = p.piece WHERE p.row IN {_GIVEN}",
                (numbers(rows),),
            )
            return {
                row: clean(blocks.text(piece, start - at, end - at, packed), start, spans_of(hidden, start))
                for row, start, end, hidden, piece, at, packed in passages
            }

    def changed_vectors(self, generation: int) -> int:
        """About how many vectors came and went after `generation`; one is counted for a passage that went."""
        with self._reading() as connection:
            (came,) = connection.execute(
                "SELECT total(units) FROM documents WHERE generation > ?", (generation,)
            ).fetchone()
        return int(came) + len(self.removed_since("passages", generation))

    def vectors_since(self, generation: int) -> Iterator[PassageVectors]:
        """Vectors of the passages of documents that came after `generation`, in ascending order of rows."""
        with self._reading() as connection:
            passages = connection.execute(
                "SELECT v.row, v.article, v.codes FROM documents d CROSS JOIN vectors v"
                " ON v.row BETWEEN d.first_passage AND d.first_passage + d.passages - 1"
                " WHERE d.generation > ? ORDER BY d.generation",
                (generation,),
            )
            yield from (PassageVectors(*columns) for columns in passages)
