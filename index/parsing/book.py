"""EPUB: the chapters in reading order, each an HTML page inside a zip archive."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote
from zipfile import ZipFile

from index.parsing.archive import open_zip
from index.parsing.draft import Draft
from index.parsing.html import decode_html, write_html
from index.types import ReadText

if TYPE_CHECKING:
    from lxml.etree import _Element

_CONTAINER = "META-INF/container.xml"
_PAGES = {"application/xhtml+xml", "text/html"}


def read_epub(data: bytes) -> ReadText:
    """The text of a book.

    Raises:
        ValueError: it is no EPUB, or is protected.
    """
    with open_zip(data) as book:
        if "META-INF/rights.xml" in book.namelist():
            raise ValueError("is protected by DRM; get a copy without it")
        draft = Draft()
        package_path = _package_path(book)
        package = _xml(book.read(package_path))
        title = next((element.text for element in package.iter("{*}title") if element.text), None)
        if title:
            draft.heading(1, title)
        for path in dict.fromkeys(_spine(package, posixpath.dirname(package_path))):
            if path in book.NameToInfo:
                write_html(decode_html(book.read(path))[0], draft)
    return draft.finish()


def _xml(data: bytes) -> _Element:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
    root = etree.fromstring(data, parser)
    if root is None:
        raise ValueError("its table of contents is not XML")
    return root


def _package_path(book: ZipFile) -> str:
    if _CONTAINER not in book.NameToInfo:
        raise ValueError(f"is no EPUB: {_CONTAINER} is missing")
    root_file = next(_xml(book.read(_CONTAINER)).iter("{*}rootfile"), None)
    path = root_file.get("full-path") if root_file is not None else None
    if not path or path not in book.NameToInfo:
        raise ValueError("is a broken EPUB: its package file is missing")
    return str(path)


def _spine(package: _Element, folder: str) -> Iterator[str]:
    """Paths of the chapters, in reading order."""
    items = {item.get("id"): item for item in package.iter("{*}item")}
    for reference in package.iter("{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is not None and item.get("media-type") in _PAGES:
            yield posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))
