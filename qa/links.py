"""Where a citation leads: the page that shows the document, scrolled to the quote."""

from __future__ import annotations


def passage_link(document_id: str, start: int, end: int, base_url: str = "") -> str:
    """The address that opens a document at `text[start:end]`; without `base_url` it counts from the server's root."""
    return f"{base_url.rstrip('/')}/documents/{document_id}?start={start}&end={end}"


def absolute(link: str, base_url: str) -> str:
    """A link of ours as one that works outside the server's own pages; one that is absolute already stays."""
    return f"{base_url.rstrip('/')}{link}" if link.startswith("/") else link
