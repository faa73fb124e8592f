"""Documents and passages of one generation, read from a server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property

from index.errors import QueryError
from index.store.milvus import rows as made
from index.store.milvus.connection import KINDS, MAX_ROWS, Row, Server, Table, among, literal
from index.store.milvus.rows import codes_of, pieces_of, whole
from index.store.rows import RowCache
from index.text.fold import fold_text
from index.types import Document, DocumentInfo, Filters, Passage, PassageVectors

# What questions come back to; about 40 MB.
_KEPT = 8192
_PASSAGE = ["row", "number", "article", "document", "generation", "collection", "leader", "data"]
# Ids are hashes: so many of 16 hexadecimal digits there are.
_IDS = 1 << 64
# Documents that a path may admit beside other filters; their numbers stand in the expression.
_MAX_ADMITTED = 100_000


@dataclass(frozen=True, slots=True)
class Stored:
    """A passage with the row of the one that leads its cluster."""

    passage: Passage
    leader: int


class Tables:
    """The collections of one index, by kind."""

    def __init__(self, server: Server, name: str, level: str = "Strong") -> None:
        self.name = name
        self.is_lite = server.is_lite
        self._tables = {kind: server.table(name, kind) for kind in KINDS}
        self.read_at(level)

    def __getitem__(self, kind: str) -> Table:
        return self._tables[kind]

    def __iter__(self) -> Iterator[Table]:
        return iter(self._tables.values())

    def read_at(self, level: str) -> None:
        """Ask for this consistency from now on."""
        for table in self:
            table.level = level

    def wholes(self, rows: Sequence[Row], *fields: str) -> None:
        """Put the values of fields that were cut into pieces together again, in place."""
        wanted = [place for row in rows for key in fields for place in pieces_of(row[key])]
        found = {row["piece"]: row["value"] for row in self["pieces"].get("piece", wanted)} if wanted else {}
        for row in rows:
            for key in fields:
                row[key] = whole(row[key], found)


class Reading:
    """What readers of a generation see. Documents that went by then and are still stored are left out."""

    def __init__(self, tables: Tables, generation: int) -> None:
        self._tables = tables
        self.generation = generation
        self._read: RowCache[Stored] = RowCache(_KEPT)
        self._read_vectors: RowCache[PassageVectors] = RowCache(_KEPT)
        gone = f"gone > 0 and gone <= {generation}"
        self._hidden = frozenset(row["row"] for row in tables["documents"].read_all(gone, ["row"]))

    @cached_property
    def visible(self) -> str:
        """The expression that admits rows of what belongs to documents."""
        hidden = ", ".join(map(str, sorted(self._hidden)))
        return f"generation <= {self.generation}" + (f" and document not in [{hidden}]" if hidden else "")

    @property
    def present(self) -> str:
        """The expression that admits records of documents."""
        return f"generation <= {self.generation} and (gone == 0 or gone > {self.generation})"

    def admitted(self, filters: Filters) -> str | None:
        """The expression for rows that a filter admits; None when it admits nothing.

        Raises:
            QueryError: the path admits too many documents.
        """
        parts = [self.visible]
        if filters.collection:
            parts.append(" or ".join(among("collection", filters.collection)))
        if filters.document_id or filters.path:
            rows = self._document_rows(filters)
            if not rows:
                return None
            parts.append(f"document in [{', '.join(map(str, rows))}]")
        return " and ".join(f"({part})" for part in parts)

    def _document_rows(self, filters: Filters) -> list[int]:
        expression = self.present
        if filters.collection:
            expression += f" and ({' or '.join(among('collection', filters.collection))})"
        pattern = _glob(filters.path or "*")
        if filters.document_id:
            found = [
                row
                for listed in among("id", filters.document_id)
                for row in self._tables["documents"].read(f"{expression} and {listed}", ["row", "path"])
            ]
            return [row["row"] for row in found if pattern.match(row["path"])]
        start = re.split(r"[*?\[]", filters.path or "")[0]
        if start and not re.search(r'[%"\\]', start):
            # Where the path holds an underscore this admits more, and the pattern decides.
            expression += f" and path like {literal(start + '%')}"
        rows = []
        for row in self._tables["documents"].read_all(expression, ["row", "path"]):
            if pattern.match(row["path"]):
                rows.append(row["row"])
            if len(rows) > _MAX_ADMITTED:
                raise QueryError(
                    f"filters.path: {filters.path!r} admits more than {_MAX_ADMITTED:,} documents, too many for a"
                    " Milvus store; narrow it, or filter by collection"
                )
        return rows

    def stored(self, rows: Iterable[int]) -> dict[int, Stored]:
        """Passages by row; rows that are gone, or not there yet, are left out."""
        return self._read.find(rows, self._stored)

    def _stored(self, rows: list[int]) -> dict[int, Stored]:
        found = [row for row in self._tables["passages"].get("row", rows, _PASSAGE) if self._is_visible(row)]
        return self._opened(found)

    def _is_visible(self, row: Row) -> bool:
        return row["generation"] <= self.generation and row["document"] not in self._hidden

    def _opened(self, found: Sequence[Row]) -> dict[int, Stored]:
        self._tables.wholes(found, "data")
        return {row["row"]: Stored(made.passage_of(row), row["leader"]) for row in found}

    def passages_where(self, expression: str) -> list[Passage]:
        """The passages that an expression admits, in reading order."""
        found = list(self._tables["passages"].read_all(expression, _PASSAGE))
        opened = self._opened([row for row in found if self._is_visible(row)])
        return [opened[row].passage for row in sorted(opened)]

    def article(self, article: int) -> list[Passage]:
        """The passages of an article, in reading order."""
        return self.passages_where(f"article == {article}")

    def vectors(self, rows: Iterable[int]) -> list[PassageVectors]:
        """The vectors of passages' units."""
        return list(self._read_vectors.find(rows, self._vectors).values())

    def _vectors(self, rows: list[int]) -> dict[int, PassageVectors]:
        fields = ["row", "article", "document", "generation", "vectors"]
        found = [row for row in self._tables["passages"].get("row", rows, fields) if self._is_visible(row)]
        self._tables.wholes(found, "vectors")
        return {row["row"]: PassageVectors(row["row"], row["article"], codes_of(row["vectors"])) for row in found}

    def members(self, leaders: Iterable[int], limit: int, filters: Filters) -> dict[int, list[int]]:
        """Rows of the passages that each of these leads, about `limit` at most together, in ascending order."""
        admitted = self.admitted(filters)
        found: dict[int, list[int]] = {}
        if admitted is None:
            return found
        for listed in among("leader", leaders):
            for row in self._tables["passages"].read(f"{listed} and {admitted}", ["row", "leader"], limit):
                found.setdefault(row["leader"], []).append(row["row"])
        return {leader: sorted(rows) for leader, rows in found.items()}

    def record(self, document_id: str, fields: Sequence[str]) -> Row | None:
        """The record of a document."""
        found = self._tables["documents"].read(f"{self.present} and id == {literal(document_id)}", fields)
        return max(found, key=lambda row: int(row["row"])) if found else None

    def ids_of_file(self, file: str) -> list[str]:
        """The ids of the documents that were read from a file."""
        found = self._tables["documents"].read(f"{self.present} and file == {literal(file)}", ["id"])
        return sorted(row["id"] for row in found)

    def document(self, document_id: str) -> Document | None:
        row = self.record(document_id, [*made.INFO, "text"])
        if row is None:
            return None
        self._tables.wholes([row], "data", "text")
        return made.document_of(row)

    def infos(self, rows: Sequence[Row]) -> list[DocumentInfo]:
        """Documents without their text, from records with the fields `rows.INFO`."""
        self._tables.wholes(rows, "data")
        return [made.info_of(row) for row in rows]

    def rows_of(self, document_ids: Sequence[str]) -> dict[str, list[int]]:
        """Rows of the passages of documents, in reading order, by document id."""
        ids = {
            row["row"]: row["id"]
            for listed in among("id", document_ids)
            for row in self._tables["documents"].read(f"{self.present} and {listed}", ["row", "id"])
        }
        found: dict[str, list[int]] = {}
        for listed in among("document", ids):
            for row in self._tables["passages"].read_all(listed, ["row", "document"]):
                found.setdefault(ids[row["document"]], []).append(row["row"])
        return {document_id: sorted(rows) for document_id, rows in found.items()}

    def listed(self, limit: int | None, after: str, containing: str, documents: int) -> list[DocumentInfo]:
        """Documents by id, those after the id `after` and with `containing` in their title or path, folded.

        A server sorts nothing. Ids are hashes, evenly spread, so a range of them is read that holds about as many
        as are wanted, and then the next.
        """
        wanted, needle = limit or max(documents, 1), fold_text(containing)
        found: list[DocumentInfo] = []
        place, step = _number(after), _step(wanted, documents)
        while len(found) < wanted and place < _IDS:
            end = place + step
            rows = self._range(f"id > {literal(after)} and id >= {literal(f'{place:016x}')}", end, needle)
            if rows is None:
                step = max(1, step // 4)
                continue
            found += sorted(self.infos(rows), key=lambda info: info.id)
            place = end
            step = min(_IDS, 2 * step) if len(rows) < MAX_ROWS // 4 else step
        return found[:wanted]

    def _range(self, start: str, end: int, needle: str) -> list[Row] | None:
        """Records with ids from `start` on and below the number `end`; None when these are too many for one call."""
        expression = f"{self.present} and {start}"
        if end < _IDS:
            expression += f" and id < {literal(f'{end:016x}')}"
        if needle and not re.search(r'[%_"\\\n]', needle):
            expression += f" and names like {literal(f'%{needle}%')}"
        rows = self._tables["documents"].read(expression, [*made.INFO, "names"])
        if len(rows) >= MAX_ROWS and end < _IDS:
            return None
        return [row for row in rows if needle in row["names"]]


def _number(id: str) -> int:
    """Where an id stands among all there could be; a strange one at the start."""
    return int(id, 16) if re.fullmatch("[0-9a-f]{16}", id) else 0


def _step(wanted: int, documents: int) -> int:
    return min(_IDS, max(1, _IDS // max(documents, 1) * min(2 * wanted + 16, MAX_ROWS // 2)))


def _glob(pattern: str) -> re.Pattern[str]:
    """A glob as SQLite understands it: case counts, * crosses folders, and ^ is what negates a set."""
    return re.compile(translate(pattern.replace("[!", "[\0!").replace("[^", "[!")))
