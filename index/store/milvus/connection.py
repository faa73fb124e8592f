"""The collections of an index with their fields, and calls to the server that has them; what fails is one line."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from index.errors import ConfigError, IndexUnusableError

if TYPE_CHECKING:
    from pymilvus import MilvusClient

# The first with inner products of sparse vectors that are of use for search.
_MIN_VERSION = (2, 4)
# What one call may bring, and about what one may send; a server takes 64 MB, its message queue less.
MAX_ROWS = 16_384
_SENT_BYTES = 4 << 20
_PAGE = 2000
# Numbers that are written into one expression.
_LISTED = 4000
_REFUSED = re.compile(r"auth|permission|privilege|credential|unauthenticated", re.IGNORECASE)

Row = dict[str, Any]


# Raised when collections or what is in them change.
FORMAT = 1
STATE = "state"
KINDS = ("notes", "documents", "pieces", "articles", "passages", "units", "terms")
# A collection must have a vector; those that need none have this one.
NO_VECTOR = "none"

# The longest text that a field can hold, in bytes.
LONG = 65_535
_ID = 256
_PATH = 8192


@dataclass(frozen=True, slots=True)
class Kind:
    """The fields of a collection: its key, numbers, texts with their lengths in bytes, sparse vectors.

    `searched` are the fields that get an index of their own. `vector` names its dense vector, if it has one.
    """

    key: str
    numbers: tuple[str, ...] = ()
    texts: Mapping[str, int] = field(default_factory=dict)
    sparse: tuple[str, ...] = ()
    searched: tuple[str, ...] = ()
    vector: str | None = None

    @property
    def fields(self) -> list[str]:
        """All of them, save for the vector that says nothing."""
        return [self.key, *self.numbers, *self.texts, *self.sparse, *filter(None, [self.vector])]


_OF_DOCUMENT = ("document", "generation", "collection")
_NOTES = Kind("key", texts={"key": 512, "value": LONG})
SCHEMA: dict[str, Kind] = {
    STATE: _NOTES,
    "notes": _NOTES,
    "documents": Kind(
        "row",
        numbers=tuple(
            "generation gone size mtime_ns passages articles units passage_tokens article_tokens needs_ocr".split()
        ),
        texts=dict.fromkeys(("id", "file", "sha256", "read_at"), _ID)
        | dict.fromkeys(("collection", "path"), _PATH)
        | dict.fromkeys(("names", "data", "text"), LONG),
        searched=("id", "file", "collection", "generation", "gone"),
    ),
    "pieces": Kind("piece", numbers=("document",), texts={"value": LONG}, searched=("document",)),
    "articles": Kind("row", ("document", "generation"), {"collection": _PATH}, ("words",), _OF_DOCUMENT),
    "passages": Kind(
        "row",
        numbers=("document", "article", "number", "generation", "leader", "grams"),
        texts={"collection": _PATH, "data": LONG, "vectors": LONG},
        sparse=("words", "sketch"),
        searched=("document", "article", "generation", "collection", "leader"),
    ),
    "units": Kind("row", ("document", "passage", "generation"), {"collection": _PATH}, (), _OF_DOCUMENT, "vector"),
    "terms": Kind("place", numbers=("generation", "passages", "passages_before", "articles", "articles_before")),
}

# What the types of vector indexes need to be built, beside what they take by themselves.
BUILT = {"HNSW": {"M": 16, "efConstruction": 200}, "IVF_FLAT": {"nlist": 1024}, "IVF_SQ8": {"nlist": 1024}}


@dataclass(frozen=True, slots=True)
class MilvusOptions:
    """How a server is reached, and how collections are made there.

    `prefix` begins the names of all our collections. `timeout_s` is how long one call may take.
    """

    uri: str
    token: str = ""
    database: str = ""
    prefix: str = "cited_qa"
    vector_index: str = "AUTOINDEX"
    shards: int = 1
    replicas: int = 1
    timeout_s: float = 30.0


class Server:
    """A server that can be reached and is new enough, with the names of our collections on it.

    Raises:
        IndexUnusableError: from any method; the message says what to do.
    """

    def __init__(self, options: MilvusOptions) -> None:
        self.options = options
        self._client = self._connected()

    def _connected(self) -> MilvusClient:
        try:
            from pymilvus import MilvusClient
        except ImportError as exc:
            raise ConfigError("store: milvus needs pymilvus; run: pip install 'cited-qa[milvus]'") from exc
        # What goes wrong is told by us, in one line.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        with self._told():
            client = MilvusClient(
                self.options.uri,
                token=self.options.token,
                db_name=self.options.database,
                timeout=self.options.timeout_s,
            )
            self.version = str(client.get_server_version())
        self.is_lite = "lite" in self.version
        number = re.search(r"(\d{1,9})\.(\d{1,9})", self.version)
        if number and not self.is_lite and (int(number[1]), int(number[2])) < _MIN_VERSION:
            wanted = ".".join(map(str, _MIN_VERSION))
            raise IndexUnusableError(
                f"{self.options.uri}: Milvus {self.version} is too old; {wanted} or later is needed"
            )
        return client

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what an error of the client or the network means."""
        import grpc
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except (MilvusException, grpc.RpcError, ValueError) as exc:
            raise IndexUnusableError(f"{self.options.uri}: {_meaning(exc)}") from exc

    def call(self, method: str, *arguments: object, **options: object) -> Any:  # noqa: ANN401
        """What a method of `MilvusClient` gives."""
        with self._told():
            return getattr(self._client, method)(*arguments, timeout=self.options.timeout_s, **options)

    def table(self, name: str, kind: str) -> Table:
        """The collection of a kind; `name` is that of the index, empty for what all share."""
        return Table(self, "_".join(filter(None, [self.options.prefix, name, kind])), SCHEMA[kind])

    def names(self) -> set[str]:
        """The names of all indexes, whole or not, that have our prefix."""
        pattern = re.compile(f"{re.escape(self.options.prefix)}_([0-9a-f]{{8}})_(?:{'|'.join(KINDS)})")
        return {match[1] for name in self.call("list_collections") if (match := pattern.fullmatch(name))}

    def close(self) -> None:
        """End the connection."""
        self._client.close()


def _meaning(error: Exception) -> str:
    message = " ".join(str(getattr(error, "message", "") or error).split())
    # Of the first call that fails the client says that it failed, and why only by its cause.
    details = getattr(error.__cause__, "details", None)
    if callable(details):
        message = f"{message}: {' '.join(str(details()).split())}"
    if _REFUSED.search(message):
        return f"the Milvus server refused us ({message}); check milvus.token and milvus.database"
    if re.search("UNAVAILABLE|[Ff]ail connecting|failed to connect|illegal uri|DEADLINE|timed? ?out", message):
        return f"the Milvus server can't be reached ({message}); start it or check milvus.uri"
    return f"the Milvus server could not do it ({message})"


class Table:
    """One collection. `level` is the consistency that its reads ask for."""

    def __init__(self, server: Server, name: str, kind: Kind) -> None:
        self._server = server
        self.name = name
        self._kind = kind
        self.level = "Strong"

    def exists(self) -> bool:
        return bool(self._server.call("has_collection", self.name))

    def create(self, dim: int) -> None:
        """Make the collection with its indexes and load it; `dim` is the length of a dense vector."""
        from pymilvus import DataType, MilvusClient

        kind, options = self._kind, self._server.options
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        indexes = MilvusClient.prepare_index_params()
        if kind.key in kind.texts:
            schema.add_field(kind.key, DataType.VARCHAR, is_primary=True, max_length=kind.texts[kind.key])
        else:
            schema.add_field(kind.key, DataType.INT64, is_primary=True)
        for number in kind.numbers:
            schema.add_field(number, DataType.INT64)
        for text, length in kind.texts.items():
            if text != kind.key:
                # What is long is read from the server's disk when it is asked for, and not held in memory.
                is_long = text not in kind.searched and length == LONG
                schema.add_field(text, DataType.VARCHAR, max_length=length, mmap_enabled=is_long)
        for sparse in kind.sparse:
            schema.add_field(sparse, DataType.SPARSE_FLOAT_VECTOR)
            indexes.add_index(sparse, index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
        if kind.vector:
            schema.add_field(kind.vector, DataType.FLOAT_VECTOR, dim=dim)
            built = BUILT.get(options.vector_index, {})
            indexes.add_index(kind.vector, index_type=options.vector_index, metric_type="IP", params=built)
        elif not kind.sparse:
            schema.add_field(NO_VECTOR, DataType.FLOAT_VECTOR, dim=2)
            indexes.add_index(NO_VECTOR, index_type="FLAT", metric_type="IP")
        for searched in kind.searched:
            indexes.add_index(searched, index_type="INVERTED")
        self._server.call(
            "create_collection", self.name, schema=schema, num_shards=options.shards, consistency_level="Bounded"
        )
        # There is nothing to index yet, and nothing to wait for; the client would wait half a second for each.
        self._server.call("create_index", self.name, indexes, sync=False)
        self.load()

    def load(self) -> None:
        """Have the server hold it in memory; at once when it does already."""
        self._server.call("load_collection", self.name, replica_number=self._server.options.replicas)

    def _asked(self, method: str, **options: object) -> Any:  # noqa: ANN401
        """What a reading call gives. A server that was started again may have to be told to load the collection."""
        try:
            return self._server.call(method, self.name, consistency_level=self.level, **options)
        except IndexUnusableError as exc:
            if "load" not in str(exc):
                raise
        self.load()
        return self._server.call(method, self.name, consistency_level=self.level, **options)

    def drop(self) -> None:
        self._server.call("drop_collection", self.name)

    def flush(self) -> None:
        """Have the server close what was written into a segment and index it."""
        self._server.call("flush", self.name)

    def write(self, rows: Sequence[Row], *, replace: bool = False) -> None:
        """Add rows, in parts of some megabytes; or put them in the place of those with the same keys."""
        part: list[Row] = []
        size = 0
        for row in rows:
            part.append(row if self._kind.vector or self._kind.sparse else {**row, NO_VECTOR: [0.0, 0.0]})
            size += _size(row)
            if size > _SENT_BYTES:
                self._server.call("upsert" if replace else "insert", self.name, part)
                part, size = [], 0
        if part:
            self._server.call("upsert" if replace else "insert", self.name, part)

    def delete(self, field: str, values: Iterable[int | str]) -> None:
        """Delete the rows whose `field` has one of these values."""
        for listed in among(field, values):
            self._server.call("delete", self.name, filter=listed)

    def read(self, expression: str, fields: Sequence[str] = (), limit: int = MAX_ROWS) -> list[Row]:
        """Rows that an expression admits, `limit` at most, in no particular order."""
        wanted = list(fields or self._kind.fields)
        rows = self._asked("query", filter=expression, output_fields=wanted, limit=limit)
        return [dict(row) for row in rows]

    def read_all(self, expression: str, fields: Sequence[str] = ()) -> Iterator[Row]:
        """All rows that an expression admits, however many; the first page is read when the first row is asked for."""
        wanted = list(fields or self._kind.fields)
        pages = self._asked("query_iterator", batch_size=_PAGE, filter=expression, output_fields=wanted)
        try:
            while page := self._page(pages.next):
                yield from page
        finally:
            pages.close()

    def _page(self, following: Callable[[], Iterable[Row]]) -> list[Row]:
        with self._server._told():
            return [dict(row) for row in following()]

    def get(self, field: str, values: Iterable[int | str], fields: Sequence[str] = ()) -> list[Row]:
        """The rows whose `field`, in which no value stands twice, has one of these values."""
        return [row for listed in among(field, values) for row in self.read(listed, fields)]

    def count(self, expression: str) -> int:
        rows = self._asked("query", filter=expression, output_fields=["count(*)"])
        return int(rows[0]["count(*)"])

    def search(
        self,
        field: str,
        queries: Sequence[object],
        limit: int,
        expression: str,
        fields: Sequence[str],
        params: Mapping[str, int] | None = None,
    ) -> list[list[tuple[Row, float]]]:
        """For each query the rows with the highest inner products, highest first, as the server gives them."""
        answers = self._asked(
            "search",
            data=list(queries),
            anns_field=field,
            limit=min(limit, MAX_ROWS),
            filter=expression,
            output_fields=list(fields),
            search_params={"metric_type": "IP", "params": dict(params or {})},
        )
        return [
            [({**hit["entity"], self._kind.key: hit[self._kind.key]}, float(hit["distance"])) for hit in hits]
            for hits in answers
        ]


def among(field: str, values: Iterable[int | str]) -> Iterator[str]:
    """Expressions that together admit rows whose `field` has one of these values."""
    listed = list(dict.fromkeys(values))
    for start in range(0, len(listed), _LISTED):
        yield f"{field} in [{', '.join(map(literal, listed[start : start + _LISTED]))}]"


def literal(value: int | str) -> str:
    """A value as it stands in an expression."""
    if isinstance(value, int):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'


def _size(row: Mapping[str, object]) -> int:
    """About how many bytes a row takes on its way."""
    values = row.values()
    return sum(
        3 * len(v) if isinstance(v, str) else 8 * len(v) if isinstance(v, dict | np.ndarray) else 8 for v in values
    )
