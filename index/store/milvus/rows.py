"""Rows of the collections as the objects that they stand for, and the other way round."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from index.chunking.passages import clean
from index.store.milvus.codes import MAX_BYTES, Pieces
from index.store.milvus.connection import Row
from index.store.rows import Units
from index.text.fold import fold_text
from index.types import Document, DocumentInfo, KnownFile, Notice, Passage, Section, Span

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
    pieces = Pieces(row, row)
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
    found = _file_of(row)
    del found["collection"]
    return KnownFile(**found, needs_ocr=bool(row["needs_ocr"]))


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
    found = json.loads(row["data"])
    return Passage(
        id=f"{found['id']}-{row['number']}",
        row=row["row"],
        document_id=found["id"],
        collection=row["collection"],
        path=found["path"],
        title=found["title"],
        heading_path=tuple(found["headings"]),
        article=row["article"],
        page=found["page"],
        paragraph=found["paragraph"],
        start=found["start"],
        end=found["end"],
        text=found["text"],
        hidden=_spans(found["hidden"]),
        units=_spans(found["units"]),
        page_breaks=tuple(found["breaks"]),
        damaged=_spans(found["damaged"]),
        context=tuple(found["context"]),
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


def _spans(found: list[list[int]]) -> tuple[Span, ...]:
    return tuple((start, end) for start, end in found)
