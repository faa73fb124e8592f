"""Rows of the collections as the objects that they stand for, and the other way round.

Lexical search is an inner product over the server's inverted index for sparse vectors. A passage's vector holds for
each token the part of BM25 that is the passage's own, a question's the rest, so that their product is BM25 (Robertson
and Zaragoza 2009, as tantivy computes it). The server's own BM25 takes no weights for words, counts words within a
shard or segment and has another length limit; this ranks alike on every server.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple
from typing import Any

from index.chunking.passages import clean
from index.store.milvus.connection import Row, Table, literal
from index.text.fold import fold_text
from index.types import Document, DocumentInfo, KnownFile, Notice, Passage, Section, Skipped, Span, Units

# What a listing needs; a text is read with its document.
INFO = [
    "row",
    "id",
    "file",
    "collection",
    "path",
    "sha256",
    "size",
    "mtime_ns",
    "read_at",
    "passages",
    "generation",
    "data",
]
# Of the path in a listing, in bytes.
_MAX_PATH = 8000


def document_row(document: Document, row: int, generation: int) -> tuple[Row, list[Row]]:
    """The record of a document, its totals still 0, and the pieces of what is too long for it."""
    pieces = Chunks(row, row)
    names = "\n".join([fold_text(document.title), fold_text(document.path)])
    record: Row = {
        "row": row,
        "id": document.id,
        "file": document.file,
        "collection": document.collection,
        "path": _cut(document.path, _MAX_PATH),
        "names": _cut(names, MAX_BYTES),
        "sha256": document.sha256,
        "size": document.size,
        "mtime_ns": document.mtime_ns,
        "read_at": document.read_at,
        "generation": generation,
        "gone": 0,
        "passages": 0,
        "articles": 0,
        "units": 0,
        "passage_tokens": 0,
        "article_tokens": 0,
        "needs_ocr": int(any(notice.kind == "needs-ocr" for notice in document.notices)),
    }
    about = {
        "title": document.title,
        "encoding": document.encoding,
        "notices": [asdict(notice) for notice in document.notices],
    }
    record["data"] = pieces.put(json.dumps(about, ensure_ascii=False))
    record["text"] = pieces.put(document.text, apart=True)
    return record, pieces.rows


def _cut(text: str, limit: int) -> str:
    """The beginning of a text that has at most so many bytes."""
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def info_of(row: Row) -> DocumentInfo:
    """A document without its text."""
    about = json.loads(row["data"])
    return DocumentInfo(
        **_file_of(row),
        title=about["title"],
        encoding=about["encoding"],
        passages=row["passages"],
        notices=_notices(about),
        generation=row["generation"],
    )


def document_of(row: Row) -> Document:
    """A document, from a record whose `data` and `text` are whole."""
    about = json.loads(row["data"])
    return Document(
        **_file_of(row),
        title=about["title"],
        encoding=about["encoding"],
        text=row["text"],
        notices=_notices(about),
        generation=row["generation"],
    )


def known_file_of(row: Row) -> KnownFile:
    """The file of a document, from its record."""
    file = _file_of(row)
    del file["collection"]
    return KnownFile(**file, needs_ocr=bool(row["needs_ocr"]))


def _file_of(row: Row) -> dict[str, Any]:
    keys = ("id", "file", "collection", "path", "sha256", "size", "mtime_ns", "read_at")
    return {key: row[key] for key in keys}


def _notices(about: dict[str, Any]) -> tuple[Notice, ...]:
    return tuple(Notice(**notice) for notice in about["notices"])


def passage_data(document: Document, section: Section, units: Units) -> str:
    """What a passage's row says beside what is searched for."""
    return json.dumps(
        {
            "id": document.id,
            "path": document.path,
            "title": section.title,
            "headings": section.heading_path,
            "page": section.page,
            "paragraph": section.paragraph,
            "start": section.start,
            "end": section.end,
            "text": document.text[section.start : section.end],
            "hidden": section.hidden,
            "units": units.spans,
            "breaks": section.page_breaks,
            "damaged": section.damaged,
            "context": section.context,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def passage_of(row: Row) -> Passage:
    """A passage from its row, whose `data` is whole."""
    data = json.loads(row["data"])
    return Passage(
        id=f"{data['id']}-{row['number']}",
        row=row["row"],
        document_id=data["id"],
        collection=row["collection"],
        path=data["path"],
        title=data["title"],
        heading_path=tuple(data["headings"]),
        article=row["article"],
        page=data["page"],
        paragraph=data["paragraph"],
        start=data["start"],
        end=data["end"],
        text=data["text"],
        hidden=_spans(data["hidden"]),
        units=_spans(data["units"]),
        page_breaks=tuple(data["breaks"]),
        damaged=_spans(data["damaged"]),
        context=tuple(data["context"]),
    )


def moved(data: str, document_id: str, path: str) -> str:
    """A passage's data, in a document that has come to another place."""
    return json.dumps(json.loads(data) | {"id": document_id, "path": path}, ensure_ascii=False, separators=(",", ":"))


def visible_of(row: Row) -> str:
    """The text of a passage as matching sees it, from its row, whose `data` is whole."""
    passage = passage_of(row)
    return clean(passage.text, passage.start, passage.hidden)


def section_of(passage: Passage) -> Section:
    """A passage without its text, as listings of a document have it."""
    return Section(
        passage.article,
        passage.title,
        passage.heading_path,
        passage.page,
        passage.paragraph,
        passage.start,
        passage.end,
        page_breaks=passage.page_breaks,
    )


def _spans(pairs: list[list[int]]) -> tuple[Span, ...]:
    return tuple((start, end) for start, end in pairs)


# tantivy's.
_K1, _B = 1.2, 0.75
# The highest is the server's own. The one below stands for "no token": a vector must not be empty.
_DIMENSIONS = (1 << 32) - 2
NOTHING = {_DIMENSIONS: 1.0}
# A VARCHAR holds 65,535 bytes at most.
MAX_BYTES = 60_000
# So many pieces, and so many long values, a row.
_PIECES_PER_ROW = 1 << 20
_PIECES_PER_VALUE = 1 << 16

# Halves of surrogate pairs, which can't be sent.
_HALVES = re.compile("[\ud800-\udfff]")

Sparse = dict[int, float]


def dimension(token: str) -> int:
    """The place of a token in sparse vectors. Some in a million tokens share theirs with another one."""
    return zlib.crc32(token.encode("utf-8", "surrogatepass")) % _DIMENSIONS


def weigh(tokens: Sequence[str], average: float) -> Sparse:
    """The passage's part of BM25 for each token, beside passages of `average` tokens."""
    norm = _K1 * (1 - _B + _B * _rounded(len(tokens)) / max(average, 1.0))
    counts = Counter(map(dimension, tokens))
    return {place: count * (_K1 + 1) / (count + norm) for place, count in counts.items()} or dict(NOTHING)


def _rounded(length: int) -> int:
    """A length as tantivy keeps it in one byte: beyond 40, its 4 leading binary digits above 24."""
    beyond = max(0, length - 24)
    shift = max(0, beyond.bit_length() - 4)
    return min(length, 24) + (beyond >> shift << shift)


def places_of(words: Iterable[int]) -> list[int]:
    """The places of the tokens in a sparse vector."""
    return [place for place in words if place != _DIMENSIONS]


def sketch_vector(keys: Iterable[int]) -> Sparse:
    """The keys of a passage's sketch, so that the product of two is how many they share."""
    return {(key & 0xFFFFFFFF) % _DIMENSIONS: 1.0 for key in keys}


class Chunks:
    """Long values of a row on their way into the collection of pieces; short ones stay where they are."""

    def __init__(self, row: int, document: int) -> None:
        self._row = row
        self._document = document
        self._values = 0
        self.rows: list[dict[str, object]] = []

    def put(self, value: str, *, apart: bool = False) -> str:
        """What is to be stored in the row itself; with `apart` never the value."""
        data = value.encode("utf-8", "surrogatepass")
        if not apart and len(data) <= MAX_BYTES and value[:1] != "#" and not _HALVES.search(value):
            return value
        packed = base64.b64encode(zlib.compress(data)).decode()
        first = self._row * _PIECES_PER_ROW + self._values * _PIECES_PER_VALUE
        self._values += 1
        cuts = range(0, len(packed), MAX_BYTES)
        self.rows += [
            {"piece": first + number, "document": self._document, "value": packed[start : start + MAX_BYTES]}
            for number, start in enumerate(cuts)
        ]
        return f"#{first} {len(cuts)}"


def pieces_of(stored: str) -> range:
    """The pieces that hold a value; none when it is stored as it is."""
    if not stored.startswith("#"):
        return range(0)
    first, count = map(int, stored[1:].split())
    return range(first, first + count)


def whole(stored: str, pieces: Mapping[int, str]) -> str:
    """A value from its pieces, or as it was stored."""
    places = pieces_of(stored)
    if not places:
        return stored
    return zlib.decompress(base64.b64decode("".join(pieces[place] for place in places))).decode(
        "utf-8", "surrogatepass"
    )


def codes_text(codes: bytes) -> str:
    """The codes of vectors, see `index.store.codes`, as text: base 64."""
    return base64.b64encode(codes).decode()


def codes_of(text: str) -> bytes:
    """The codes of vectors from their text."""
    return base64.b64decode(text)


_KEY = "skipped/"


def skipped_in(notes: Table, file: str | None = None) -> list[Skipped]:
    """What could not be read of a file, or of all, by path."""
    expression = f"key like {literal(_KEY + (file or '') + '%')}"
    parts = sorted(notes.read_all(expression), key=lambda row: str(row["key"]))
    texts: dict[str, str] = {}
    for row in parts:
        of_file = row["key"].removeprefix(_KEY).rpartition("/")[0]
        texts[of_file] = texts.get(of_file, "") + row["value"]
    everything = [skipped for of_file, text in texts.items() if file in (None, of_file) for skipped in _unpacked(text)]
    return sorted(everything, key=lambda skipped: (skipped.path, skipped.reason))


def note_skipped(notes: Table, file: str, skipped: Sequence[Skipped]) -> None:
    """Put what could not be read of a file in the place of what was noted before."""
    fresh = list(_rows(file, skipped))
    before = notes.read(f"key like {literal(f'{_KEY}{file}/%')}", ["key"])
    notes.delete("key", {str(row["key"]) for row in before} - {str(row["key"]) for row in fresh})
    notes.write(fresh, replace=True)


def _rows(file: str, skipped: Sequence[Skipped]) -> Iterator[Row]:
    if not skipped:
        return
    text = base64.b64encode(zlib.compress(json.dumps([astuple(item) for item in skipped]).encode())).decode()
    for number, start in enumerate(range(0, len(text), MAX_BYTES)):
        yield {"key": f"{_KEY}{file}/{number:06}", "value": text[start : start + MAX_BYTES]}


def _unpacked(text: str) -> list[Skipped]:
    return [Skipped(*values) for values in json.loads(zlib.decompress(base64.b64decode(text)))]
