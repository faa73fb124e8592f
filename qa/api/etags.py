"""Which version of a document a client has: strong entity tags (RFC 9110, 8.8)."""

from __future__ import annotations

import hashlib

from index.types import Document, DocumentInfo


def etag_of(document: Document | DocumentInfo) -> str:
    """The tag of a document's description, its text and its passages: it changes whenever one of them does."""
    parts = (
        document.id,
        document.path,
        document.title,
        document.sha256,
        document.size,
        document.mtime_ns,
        document.read_at,
        document.encoding,
        document.notices,
        document.generation,
    )
    return f'"{hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'


def is_same(if_match: str, etag: str) -> bool:
    """Whether `If-Match` names the tag, or any."""
    return not {"*", etag}.isdisjoint(_tags(if_match))


def is_known(if_none_match: str, etag: str) -> bool:
    """Whether `If-None-Match` names the tag, or any; a weak one will do."""
    return is_same(", ".join(tag.removeprefix("W/") for tag in _tags(if_none_match)), etag)


def _tags(header: str) -> list[str]:
    return [tag.strip() for tag in header.split(",")]
