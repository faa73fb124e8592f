"""Word documents (.docx): paragraphs, headings by style or outline level, tables, text boxes and notes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from index.parsing.draft import Draft, tidy
from index.text.scripts import ONE_TO_TEN
from index.types import ReadText

if TYPE_CHECKING:
    from docx.document import Document
    from lxml.etree import _Element

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
# The names of built-in styles are English in every language's Word; WPS writes them in Chinese here and there.
_HEADING_STYLE = re.compile("(?:heading|标题|標題)\\s*([1-9])", re.IGNORECASE)
_TITLE_STYLES = {"title", "标题", "標題"}
_CAPTION_STYLES = {"caption", "题注", "題注"}
_CAPTION_TEXT = re.compile(f"(?:表|Table)\\s*[0-9{ONE_TO_TEN}]", re.IGNORECASE)
_MAX_CAPTION_CHARS = 60


def read_docx(data: bytes) -> ReadText:
    """The text of a Word document. Headers and footers are left out: they are not the author's text."""
    from docx import Document

    document = Document(io.BytesIO(data))
    draft = Draft()
    _write(document.element.body, _styles(document), draft)
    for part in document.part.package.iter_parts():
        if part.partname.endswith(("/footnotes.xml", "/endnotes.xml")):
            _write_notes(part.blob, draft)
    return draft.finish()


def _styles(document: Document) -> dict[str, str]:
    """Style ids and what the style makes of a paragraph: a heading's level, `caption`, or nothing."""
    roles: dict[str, str] = {}
    for style in document.styles:
        name = (style.name or "").strip().lower()
        if match := _HEADING_STYLE.fullmatch(name):
            roles[style.style_id] = match[1]
        elif name in _TITLE_STYLES:
            roles[style.style_id] = "0"
        elif name in _CAPTION_STYLES:
            roles[style.style_id] = "caption"
        elif outline := _value(style.element.find(f"{_W}pPr/{_W}outlineLvl")):
            roles[style.style_id] = str(int(outline) + 1)
    # A document with a title has its headings below it; that the style exists says nothing.
    used = {style.get(f"{_W}val") for style in document.element.body.iter(f"{_W}pStyle")}
    shift = int(any(role == "0" and key in used for key, role in roles.items()))
    return {key: str(int(role) + shift) if role.isdigit() else role for key, role in roles.items()}


def _value(element: _Element | None) -> str:
    value = element.get(f"{_W}val", "") if element is not None else ""
    return value if value.isascii() and value.isdigit() else ""


def _write(body: _Element, styles: dict[str, str], draft: Draft) -> None:
    caption = ""
    for element in _blocks(body):
        if element.tag == f"{_W}tbl":
            _write_table(element, caption, draft)
            caption = ""
            continue
        text = tidy(_text(element))
        role = _role(element, styles)
        if role.isdigit():
            draft.heading(int(role) or 1, text)
        else:
            draft.paragraph(text)
        is_caption = role == "caption" or (len(text) <= _MAX_CAPTION_CHARS and bool(_CAPTION_TEXT.match(text)))
        caption = text if is_caption else "" if text else caption
        for box in _boxes(element):
            _write(box, styles, draft)


def _blocks(body: _Element) -> Iterator[_Element]:
    """Paragraphs and tables in order, also those inside content controls and tracked insertions."""
    for element in body.iterchildren():
        if element.tag in (f"{_W}p", f"{_W}tbl"):
            yield element
        elif element.tag in (f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins", f"{_W}customXml", f"{_W}smartTag"):
            yield from _blocks(element)


def _role(paragraph: _Element, styles: dict[str, str]) -> str:
    properties = paragraph.find(f"{_W}pPr")
    if properties is None:
        return ""
    outline = _value(properties.find(f"{_W}outlineLvl"))
    if outline and int(outline) < 9:  # 9 is body text
        return str(int(outline) + 1)
    style = properties.find(f"{_W}pStyle")
    return styles.get(style.get(f"{_W}val", ""), "") if style is not None else ""


def _text(element: _Element) -> str:
    """The words of a paragraph or cell as they read now: without deletions, text boxes and the old form of boxes."""
    parts: list[str] = []
    stack = [element]
    while stack:
        node = stack.pop()
        tag = node.tag
        if tag in (_FALLBACK, f"{_W}txbxContent", f"{_W}del", f"{_W}moveFrom", f"{_W}instrText"):
            continue
        if tag == f"{_W}t":
            parts.append(node.text or "")
        elif tag in (f"{_W}tab", f"{_W}br", f"{_W}cr"):
            parts.append(" ")
        elif tag == f"{_W}p" and parts:
            parts.append(" ")
        stack.extend(reversed(node))
    return "".join(parts)


def _boxes(paragraph: _Element) -> Iterator[_Element]:
    """The text boxes of a paragraph; those inside them are boxes of their paragraphs."""
    stack = list(reversed(paragraph))
    while stack:
        node = stack.pop()
        if node.tag == f"{_W}txbxContent":
            yield node
        elif node.tag != _FALLBACK:
            stack.extend(reversed(node))


def _write_table(table: _Element, caption: str, draft: Draft) -> None:
    rows: list[list[str]] = []
    header_rows = 0
    for row in table.iterchildren(f"{_W}tr"):
        cells: list[str] = []
        for cell in row.iter(f"{_W}tc"):
            if next(cell.iterancestors(f"{_W}tbl"), None) is not table:
                continue  # a table inside a cell is part of the cell's text
            span = _value(cell.find(f"{_W}tcPr/{_W}gridSpan"))
            text = _text(cell)
            if _continues(cell) and rows and len(cells) < len(rows[-1]):
                text = rows[-1][len(cells)]
            cells.extend([text] * min(int(span or 1), 50))
        header_rows += row.find(f"{_W}trPr/{_W}tblHeader") is not None
        rows.append(cells)
    draft.table(rows, caption, header_rows or None)


def _continues(cell: _Element) -> bool:
    """Whether a cell is the rest of the one above, merged with it."""
    merge = cell.find(f"{_W}tcPr/{_W}vMerge")
    return merge is not None and merge.get(f"{_W}val", "continue") == "continue"


def _write_notes(xml: bytes, draft: Draft) -> None:
    from docx.oxml import parse_xml

    for note in parse_xml(xml):
        if note.get(f"{_W}type") is None:
            draft.paragraph(_text(note))
