"""HTML: the main text with its headings and tables; no scripts, menus or other furniture."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from index.parsing.archive import MAX_TAGS
from index.parsing.draft import Draft, tidy
from index.parsing.text import can_be_declared, decode
from index.types import ReadText

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_CHARSET = re.compile(
    rb"""<(?:meta|\?xml)[^>]{0,300}?(?:charset|encoding)\s*=\s*["']?\s*([-\w.:]{2,40})""", re.IGNORECASE
)
_CHARSET_WITHIN = 4096
# Browsers read these names so, and the larger set holds the smaller.
_ALIASES = {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "iso-8859-1": "cp1252", "ascii": "utf-8"}
_SKIPPED = {
    "script",
    "style",
    "noscript",
    "template",
    "nav",
    "aside",
    "iframe",
    "svg",
    "math",
    "select",
    "button",
    "object",
    "canvas",
    "audio",
    "video",
    "head",
    "textarea",
    "datalist",
    "dialog",
}
_FURNITURE = {"header", "footer"}
_FURNITURE_ROLES = {"navigation", "banner", "contentinfo", "complementary", "search", "menu"}
_LINES = {"br", "li", "dd", "dt", "option"}
_BLOCKS = {
    "p",
    "div",
    "section",
    "article",
    "main",
    "ul",
    "ol",
    "dl",
    "table",
    "tr",
    "td",
    "th",
    "blockquote",
    "pre",
    "hr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "figure",
    "figcaption",
    "caption",
    "center",
    "form",
    "fieldset",
    "address",
    "body",
    "header",
    "footer",
    "details",
    "summary",
    "tbody",
    "thead",
}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LINK_LISTS = {"ul", "ol", "dl", "table", "div", "p", "section", "td"}
_MIN_LINKS = 3
_LINK_SHARE = 0.8
_MAIN_SHARE = 0.4
_MAX_CELL_CHARS = 200
_SITE_NAME = re.compile("\\s[-|–—·]\\s|_|\\|")


def read_html(data: bytes) -> ReadText:
    """The main text of a page.

    Raises:
        ValueError: the bytes are not text, or hold no element.
    """
    text, encoding = decode_html(data)
    draft = Draft()
    if "\ufffd" in text and "\ufffd".encode() not in data:
        draft.notice("encoding", f"some bytes are not {encoding}, which the page says it is in")
    write_html(text, draft)
    return draft.finish(encoding)


def decode_html(data: bytes) -> tuple[str, str]:
    """Text and encoding: by byte order mark, by what the page declares, then by what the bytes look like."""
    declared = _CHARSET.search(data[:_CHARSET_WITHIN])
    if declared and not data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = declared[1].decode("ascii").lower()
        name = _ALIASES.get(name, name)
        try:
            if can_be_declared(name):
                encoding = codecs.lookup(name).name
                return data.decode(encoding), encoding
        except (LookupError, UnicodeDecodeError):
            pass
    try:
        return decode(data)
    except ValueError:
        if not declared or b"\0" in data:
            raise
        return data.decode("utf-8" if b"utf" in declared[1].lower() else "gb18030", "replace"), declared[1].decode()


def write_html(text: str, draft: Draft) -> None:
    """Write the main text of a page into a draft."""
    from lxml import html
    from lxml.etree import ParserError

    if text.count("<") > MAX_TAGS:
        raise ValueError(f"unfolds to more than {MAX_TAGS // 1_000_000} million elements; split it")
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        page = html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except ParserError as exc:
        raise ValueError("the page is empty") from exc
    root = _main(page)
    title = _title(page, root)
    if title:
        draft.heading(1, title)
    before = draft.size
    furniture = _link_lists(root)
    _write(root, draft, furniture)
    if draft.size == before and furniture:
        # A page that holds nothing but links is a page about links.
        _write(root, draft, set())


def _title(page: HtmlElement, root: HtmlElement) -> str:
    """The page's title without the site's name, where the text below does not open with one of its own."""
    if next(root.iter("h1"), None) is not None:
        return ""
    heading = next(page.iter("h1"), None)
    if heading is not None and tidy(heading.text_content()):
        return tidy(heading.text_content())
    title = next(page.iter("title"), None)
    return max(_SITE_NAME.split(tidy(title.text_content())), key=len).strip() if title is not None else ""


def _main(page: HtmlElement) -> HtmlElement:
    """The element that holds the article, where the page marks one that holds much of its text."""
    body = next(page.iter("body"), page)
    whole = len(body.text_content())
    marked = body.iter("main", "article")
    return next((element for element in marked if len(element.text_content()) >= _MAIN_SHARE * whole), body)


def _link_lists(root: HtmlElement) -> set[HtmlElement]:
    """Blocks that are nearly all links: menus, related articles, rows of tags."""
    from lxml.etree import iterwalk

    lists: set[HtmlElement] = set()
    # For each open element: characters, characters in links, links.
    open_counts = [[0, 0, 0]]
    links = 0
    for event, element in iterwalk(root, events=("start", "end")):
        if event == "start":
            links += element.tag == "a"
            length = len((element.text or "").strip())
            open_counts.append([length, length if links else 0, int(element.tag == "a")])
            continue
        chars, linked, count = open_counts.pop()
        links -= element.tag == "a"
        if element.tag in _LINK_LISTS and count >= _MIN_LINKS and linked >= _LINK_SHARE * chars and element is not root:
            lists.add(element)
        tail = len((element.tail or "").strip())
        for place, number in enumerate((chars + tail, linked + (tail if links else 0), count)):
            open_counts[-1][place] += number
    return lists


def _is_furniture(element: HtmlElement, root: HtmlElement) -> bool:
    tag = element.tag
    if tag in _SKIPPED or element.get("hidden") is not None or element.get("aria-hidden") == "true":
        return True
    if tag in _FURNITURE:
        return root.tag == "body" and not any(parent.tag in ("article", "main") for parent in element.iterancestors())
    hidden = "display:none" in (element.get("style") or "").replace(" ", "").lower()
    return hidden or element.get("role") in _FURNITURE_ROLES


class _Writer:
    """Inline text gathered until its block ends."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.words: list[str] = []
        self.opens_line = False

    def flush(self, level: int = 0) -> None:
        text = "".join(self.words)
        self.words.clear()
        if not text.strip():
            return
        if level:
            self.draft.heading(level, text)
        elif self.opens_line:
            self.draft.line(text)
        else:
            self.draft.paragraph(text)
        self.opens_line = False


def _write(root: HtmlElement, draft: Draft, furniture: set[HtmlElement]) -> None:
    from lxml.etree import iterwalk

    writer = _Writer(draft)
    walker = iterwalk(root, events=("start", "end"))
    skipped: HtmlElement | None = None
    for event, element in walker:
        if event == "start":
            if element.tag in _BLOCKS or element.tag in _LINES:
                # Two line breaks in a row are how many pages part their paragraphs.
                opens_line = (
                    bool("".join(writer.words).strip()) if element.tag == "br" else element.getprevious() is not None
                )
                writer.flush()
                writer.opens_line = element.tag in _LINES and opens_line
            if element is not root and (element in furniture or _is_furniture(element, root)):
                skipped = element
            elif element.tag == "table" and _is_data(element):
                _write_table(element, draft)
                skipped = element
            else:
                writer.words.append(element.text or "")
            if skipped is element:
                walker.skip_subtree()
            continue
        if skipped is element:
            skipped = None
        elif element.tag in _BLOCKS or element.tag in _LINES - {"br"}:
            writer.flush(_HEADINGS.get(element.tag, 0))
        if element is not root:
            writer.words.append(element.tail or "")
    writer.flush()


def _is_data(table: HtmlElement) -> bool:
    """Whether a table holds data; many pages use tables to lay text out."""
    if next(table.iterdescendants("table"), None) is not None:
        return False
    rows = list(_rows(table))
    if len(rows) < 2 or max(len(row) for row in rows) < 2:
        return False
    return all(len(cell) <= _MAX_CELL_CHARS for row in rows for cell in row)


def _rows(table: HtmlElement) -> Iterator[list[str]]:
    for row in table.iter("tr"):
        cells: list[str] = []
        for cell in row.iterchildren("td", "th"):
            span = cell.get("colspan", "1")
            times = min(int(span), 50) if span.isascii() and span.isdigit() else 1
            cells.extend([tidy(" ".join(cell.itertext()))] * max(1, times))
        if cells:
            yield cells


def _write_table(table: HtmlElement, draft: Draft) -> None:
    caption = next(table.iterchildren("caption"), None)
    name = tidy(caption.text_content()) if caption is not None else ""
    if name:
        draft.paragraph(name)
    heads = sum(1 for row in table.iter("tr") if len(row) and all(cell.tag == "th" for cell in row))
    draft.table(list(_rows(table)), name, heads or None)
