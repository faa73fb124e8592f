"""Documents and passages of one generation, looked up on a server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property

from index.errors import QueryError
from index.store.milvus.connection import KINDS, MAX_ROWS, Row, Server, Table, among, literal
from index.store.milvus.rows import (
    INFO,
    codes_of,
    document_of,
    info_of,
    passage_of,
    pieces_of,
    section_of,
    skipped_in,
    whole,
)
from index.store.rows import RowCache
from index.text.fold import fold_text
from index.types import Document, DocumentInfo, Filters, Passage, PassageVectors, Section, Skipped

# What questions come back to; about 40 MB.
_CACHED = 8192
_PASSAGE = ["row", "number", "article", "document", "generation", "collection", "leader", "data"]
# Ids are hashes: so many of 16 hexadecimal digits there are.
_IDS = 1 << 64
# Documents that a path may admit beside other filters; their numbers stand in the expression.
_MAX_ADMITTED = 100_000


@dataclass(frozen=True, slots=True)
class StoredPassage:
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
        pieces = {row["piece"]: row["value"] for row in self["pieces"].get("piece", wanted)} if wanted else {}
        for row in rows:
            for key in fields:
                row[key] = whole(row[key], pieces)


class MilvusDocuments:
    """What readers of a generation see; see `index.store.DocumentLookup`.

    Documents that went by then and are still stored are left out.
    """

    def __init__(self, tables: Tables, generation: int, documents: int) -> None:
        """`documents` is about how many there are."""
        self._tables = tables
        self.generation = generation
        self._documents = documents
        self._stored: RowCache[StoredPassage] = RowCache(_CACHED)
        self._codes: RowCache[PassageVectors] = RowCache(_CACHED)
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
            records = [
                row
                for listed in among("id", filters.document_id)
                for row in self._tables["documents"].read(f"{expression} and {listed}", ["row", "path"])
            ]
            return [row["row"] for row in records if pattern.match(row["path"])]
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

    def passages(self, rows: Iterable[int]) -> dict[int, Passage]:
        """Passages by row; rows that are gone, or not there yet, are left out."""
        return {row: stored.passage for row, stored in self._stored.find(rows, self._read_stored).items()}

    def clusters(self, rows: Iterable[int]) -> dict[int, int]:
        wanted = list(rows)
        stored = self._stored.find(wanted, self._read_stored)
        return {row: stored[row].leader if row in stored else row for row in wanted}

    def _read_stored(self, rows: list[int]) -> dict[int, StoredPassage]:
        passages = self._tables["passages"].get("row", rows, _PASSAGE)
        return self._opened([row for row in passages if self._is_visible(row)])

    def _is_visible(self, row: Row) -> bool:
        return row["generation"] <= self.generation and row["document"] not in self._hidden

    def _opened(self, rows: Sequence[Row]) -> dict[int, StoredPassage]:
        self._tables.wholes(rows, "data")
        return {row["row"]: StoredPassage(passage_of(row), row["leader"]) for row in rows}

    def _passages_where(self, expression: str) -> list[Passage]:
        """The passages that an expression admits, in reading order."""
        rows = self._tables["passages"].read_all(expression, _PASSAGE)
        opened = self._opened([row for row in rows if self._is_visible(row)])
        return [opened[row].passage for row in sorted(opened)]

    def article_passages(self, article: int) -> list[Passage]:
        return self._passages_where(f"article == {article}")

    def document_passages(self, document_id: str, limit: int, after: int = 0) -> list[Passage]:
        record = self._record(document_id, ["row"])
        numbers = f"number > {after} and number <= {after + limit}"
        return self._passages_where(f"document == {record['row']} and {numbers}") if record else []

    def sections(self, document_id: str) -> list[Section]:
        record = self._record(document_id, ["row"])
        return [section_of(own) for own in self._passages_where(f"document == {record['row']}")] if record else []

    def vectors(self, rows: Iterable[int]) -> list[PassageVectors]:
        return list(self._codes.find(rows, self._read_codes).values())

    def _read_codes(self, rows: list[int]) -> dict[int, PassageVectors]:
        fields = ["row", "article", "document", "generation", "vectors"]
        passages = [row for row in self._tables["passages"].get("row", rows, fields) if self._is_visible(row)]
        self._tables.wholes(passages, "vectors")
        return {row["row"]: PassageVectors(row["row"], row["article"], codes_of(row["vectors"])) for row in passages}

    def copies(self, rows: Mapping[int, int], limit: int, filters: Filters) -> dict[int, list[Passage]]:
        members = self._members(rows.values(), filters)
        wanted = {
            row: [copy for copy in members.get(leader, ()) if copy != row][:limit] for row, leader in rows.items()
        }
        passages = self.passages({copy for copies in wanted.values() for copy in copies})
        return {row: [passages[copy] for copy in copies if copy in passages] for row, copies in wanted.items()}

    def _members(self, leaders: Iterable[int], filters: Filters) -> dict[int, list[int]]:
        """Rows of the passages that each of these leads, in ascending order, as far as one call gives them."""
        admitted = self.admitted(filters)
        members: dict[int, list[int]] = {}
        for listed in among("leader", leaders) if admitted else ():
            for row in self._tables["passages"].read(f"{listed} and {admitted}", ["row", "leader"]):
                members.setdefault(row["leader"], []).append(row["row"])
        return {leader: sorted(rows) for leader, rows in members.items()}

    def _record(self, document_id: str, fields: Sequence[str]) -> Row | None:
        """The record of a document."""
        records = self._tables["documents"].read(f"{self.present} and id == {literal(document_id)}", fields)
        return max(records, key=lambda row: int(row["row"])) if records else None

    def of_file(self, file: str) -> tuple[list[str], list[Skipped]]:
        records = self._tables["documents"].read(f"{self.present} and file == {literal(file)}", ["id"])
        return sorted(row["id"] for row in records), skipped_in(self._tables["notes"], file)

    def skipped(self) -> list[Skipped]:
        return skipped_in(self._tables["notes"])

    def document(self, document_id: str) -> Document | None:
        record = self._record(document_id, [*INFO, "text"])
        if record is None:
            return None
        self._tables.wholes([record], "data", "text")
        return document_of(record)

    def document_info(self, document_id: str) -> DocumentInfo | None:
        record = self._record(document_id, INFO)
        return self._infos([record])[0] if record else None

    def _infos(self, records: Sequence[Row]) -> list[DocumentInfo]:
        self._tables.wholes(records, "data")
        return list(map(info_of, records))

    def passage_rows_of(self, document_ids: Sequence[str]) -> dict[str, list[int]]:
        ids = {
            row["row"]: row["id"]
            for listed in among("id", document_ids)
            for row in self._tables["documents"].read(f"{self.present} and {listed}", ["row", "id"])
        }
        rows: dict[str, list[int]] = {}
        for listed in among("document", ids):
            for row in self._tables["passages"].read_all(listed, ["row", "document"]):
                rows.setdefault(ids[row["document"]], []).append(row["row"])
        return {document_id: sorted(own) for document_id, own in rows.items()}

    def documents(self, limit: int | None = None, after: str = "", containing: str = "") -> list[DocumentInfo]:
        """As `DocumentLookup` says.

        A server sorts nothing. Ids are hashes, evenly spread, so a range of them is read that holds about as many as
        are wanted, and then the next.
        """
        wanted, needle = limit or max(self._documents, 1), fold_text(containing)
        infos: list[DocumentInfo] = []
        place, step = _number(after), _step(wanted, self._documents)
        while len(infos) < wanted and place < _IDS:
            end = place + step
            rows = self._range(f"id > {literal(after)} and id >= {literal(f'{place:016x}')}", end, needle)
            if rows is None:
                step = max(1, step // 4)
                continue
            infos += sorted(self._infos(rows), key=lambda info: info.id)
            place = end
            step = min(_IDS, 2 * step) if len(rows) < MAX_ROWS // 4 else step
        return infos[:wanted]

    def _range(self, start: str, end: int, needle: str) -> list[Row] | None:
        """Records with ids from `start` on and below the number `end`; None when these are too many for one call."""
        expression = f"{self.present} and {start}"
        if end < _IDS:
            expression += f" and id < {literal(f'{end:016x}')}"
        if needle and not re.search(r'[%_"\\\n]', needle):
            expression += f" and names like {literal(f'%{needle}%')}"
        rows = self._tables["documents"].read(expression, [*INFO, "names"])
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
