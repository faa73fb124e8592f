"""The collections of an index and their fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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


_NOTES = Kind("key", texts={"key": 512, "value": LONG})
SCHEMA: dict[str, Kind] = {
    STATE: _NOTES,
    "notes": _NOTES,
    "documents": Kind(
        "row",
        numbers=(
            "generation",
            "gone",
            "size",
            "mtime_ns",
            "passages",
            "articles",
            "units",
            "passage_tokens",
            "article_tokens",
            "needs_ocr",
        ),
        texts={
            "id": _ID,
            "file": _ID,
            "collection": _PATH,
            "path": _PATH,
            "names": LONG,
            "sha256": _ID,
            "read_at": _ID,
            "data": LONG,
            "text": LONG,
        },
        searched=("id", "file", "collection", "generation", "gone"),
    ),
    "pieces": Kind("piece", numbers=("document",), texts={"value": LONG}, searched=("document",)),
    "articles": Kind(
        "row",
        numbers=("document", "generation"),
        texts={"collection": _PATH},
        sparse=("words",),
        searched=("document", "generation", "collection"),
    ),
    "passages": Kind(
        "row",
        numbers=("document", "article", "number", "generation", "leader", "grams"),
        texts={"collection": _PATH, "data": LONG, "vectors": LONG},
        sparse=("words", "sketch"),
        searched=("document", "article", "generation", "collection", "leader"),
    ),
    "units": Kind(
        "row",
        numbers=("document", "passage", "generation"),
        texts={"collection": _PATH},
        vector="vector",
        searched=("document", "generation", "collection"),
    ),
    "terms": Kind("place", numbers=("generation", "passages", "passages_before", "articles", "articles_before")),
}

# What the types of vector indexes need to be built, beside what they take by themselves.
BUILT = {
    "HNSW": {"M": 16, "efConstruction": 200},
    "IVF_FLAT": {"nlist": 1024},
    "IVF_SQ8": {"nlist": 1024},
}


def search_parameters(vector_index: str, limit: int) -> dict[str, int]:
    """How widely an index is looked through for the `limit` best; servers refuse less than as many."""
    if vector_index == "HNSW":
        return {"ef": max(64, 2 * limit)}
    if vector_index == "DISKANN":
        return {"search_list": max(100, 2 * limit)}
    return {"nprobe": 64} if vector_index.startswith("IVF") else {}
