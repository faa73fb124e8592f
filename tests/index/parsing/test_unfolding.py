"""Small files that unfold to much end by a bound on it, with a reason that says so; work grows as a file does."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from index.parsing import Content, ReadText, Unread, archive, contents, draft, html, layout, sheets, word
from index.parsing.draft import Draft
from index.parsing.html import write_html
from index.parsing.layout import Line
from index.parsing.text import decode
from tests.growth import assert_linear, floods
from tests.index.parsing.samples import make_docx, make_pptx, make_xlsx, make_zip

pytestmark = pytest.mark.slow

BODY, SHEET, SLIDES = b"<w:body>", b"<sheetData>", b"<p:sldIdLst>"
PARTS = {"word/document.xml": BODY, "xl/worksheets/sheet1.xml": SHEET, "ppt/presentation.xml": SLIDES}


def grown(office: bytes, xml: bytes) -> bytes:
    """An Office file with some XML more at the start of its text."""
    with zipfile.ZipFile(io.BytesIO(office)) as package:
        parts = {info.filename: package.read(info) for info in package.infolist()}
    for name in parts.keys() & PARTS.keys():
        before, mark, after = parts[name].partition(PARTS[name])
        parts[name] = before + mark + xml + after
    return make_zip(parts)


def cell(column: str, row: int) -> bytes:
    return f'<row r="{row}"><c r="{column}{row}" t="str"><v>末行</v></c></row>'.encode()


def pages(count: int) -> bytes:
    """A PDF that names one page again and again."""
    kids = b"3 0 R " * count
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, count),
        b"<</Type/Page>>",
    )
    body = b"".join(b"%d 0 obj%s endobj\n" % (number, item) for number, item in enumerate(objects, 1))
    return b"%PDF-1.4\n" + body + b"trailer<</Root 1 0 R>>\n%%EOF"


def message(parts: int) -> bytes:
    part = b"--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nhello\n"
    return b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n" + part * parts + b"--b--"


def documents(count: int) -> bytes:
    return make_zip({f"{number}.txt": b"text %d" % number for number in range(count)})


# What unfolds, and words of the reason why it is not read. Each took over 40 seconds, or all the memory there was.
CASES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "3 million empty paragraphs": ("a.docx", lambda: grown(make_docx(), b"<w:p/>" * 3_000_000), "times its size"),
    "2.1 million empty paragraphs beside a picture": (
        "a.docx",
        lambda: grown(make_docx(), b"<w:p/>" * 2_100_000 + b"<!--%s-->" % bytes(range(46, 128)) * 3),
        "more than 2 million elements",
    ),
    "rows as wide as a sheet": (
        "a.xlsx",
        lambda: grown(make_xlsx(), b"".join(cell("XFD", row) for row in range(10, 800))),
        "more than 10 million paragraphs or cells",
    ),
    "one cell merged down a long table": (
        "a.docx",
        lambda: grown(
            make_docx(),
            b"<w:tbl><w:tr><w:tc><w:p><w:r><w:t>%s</w:t></w:r></w:p></w:tc></w:tr>" % (b"x " * 50_000)
            + b"<w:tr><w:tc><w:tcPr><w:vMerge/></w:tcPr><w:p/></w:tc></w:tr>" * 2000
            + b"</w:tbl>",
        ),
        "more than 5 million characters",
    ),
    "one slide again and again": (
        "a.pptx",
        lambda: grown(make_pptx(), b'<p:sldId id="256" r:id="rId7"/>' * 5001),
        "more than 5000 slides",
    ),
    "one page again and again": ("a.pdf", lambda: pages(20_001), "more than 20000 pages"),
    "tags of a page": ("a.html", lambda: b"<p>" * 2_000_001, "more than 2 million elements"),
    "commas": ("a.csv", lambda: b"a,b\n" + b"," * 10_000_000, "more than 10 million paragraphs or cells"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_that_unfolds_says_so(name: str) -> None:
    path, make, reason = CASES[name]
    (content,) = contents(Path(path), make())
    assert isinstance(content, Unread) and reason in content.reason


def test_a_cell_in_the_last_row_is_read() -> None:
    (content,) = contents(Path("a.xlsx"), grown(make_xlsx([]), cell("A", 1 << 20)))
    assert isinstance(content, ReadText) and content.text.endswith("\n\n末行。")
    (content,) = contents(Path("a.xlsx"), grown(make_xlsx([]), cell("A", 1 << 40)))
    assert content == Unread("the file holds no text")


def test_text_boxes_in_text_boxes_are_written_once() -> None:
    depth = 40
    word = b"<w:p><w:r><w:t>inside</w:t></w:r></w:p>"
    boxes = b"<w:p><w:txbxContent>" * depth + word + b"</w:txbxContent></w:p>" * depth
    (content,) = contents(Path("a.docx"), grown(make_docx(["outside"], ""), boxes))
    assert isinstance(content, ReadText) and content.text == "inside\n\noutside"


def test_a_chapter_of_a_book_is_read_once() -> None:
    item = b'<item id="a" href="a.html" media-type="text/html"/>'
    book = {
        "META-INF/container.xml": b'<c><rootfile full-path="a.opf"/></c>',
        "a.opf": b"<package><manifest>%s</manifest><spine>%s</spine></package>"
        % (item, b'<itemref idref="a"/>' * 1000),
        "a.html": b"<p>chapter</p>",
    }
    (content,) = contents(Path("a.epub"), make_zip(book))
    assert isinstance(content, ReadText) and content.text == "chapter"


def in_all(path: str, data: bytes) -> tuple[list[str], str]:
    """The members that were read, and why no more were."""
    items: list[Content] = list(contents(Path(path), data))
    assert isinstance(items[-1], Unread) and not items[-1].member
    return [item.member for item in items[:-1]], items[-1].reason


def test_archives_in_archives_have_one_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 1000)
    inner = documents(300)
    read, reason = in_all("a.zip", make_zip({f"{number}.zip": inner for number in range(6)}))
    assert len(read) == 1000 - 4  # the archives count too
    assert reason.startswith("holds more than 1000 files, with the archives in it")


def test_what_is_attached_counts_as_in_an_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    read, reason = in_all("a.eml", message(1001))
    assert (len(read), reason) == (1001, "has more than 1000 attachments; save those that count as files")
    monkeypatch.setattr(archive, "MAX_MEMBERS", 1000)
    read, reason = in_all("a.zip", make_zip({f"{number}.eml": message(300) for number in range(6)}))
    assert len(read) == 1000 and reason.startswith("holds more than 1000 files, with the archives in it")


def test_archives_hold_text_in_proportion_to_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_SMALL_CHARS", 1_000_000)
    monkeypatch.setattr(archive, "_MAX_TEXT_RATIO", 2)
    inner = make_docx(["x " * 200_000], "")
    read, reason = in_all("a.zip", make_zip({f"{number}.docx": inner for number in range(4)}))
    assert (read, reason.partition(",")[0]) == (["0.docx", "1.docx"], "holds more than 2 times its size in text")


def test_a_page_costs_what_its_size_is() -> None:
    def write(text: str) -> None:
        try:
            write_html(text, Draft())
        except ValueError:
            pass  # holds nothing

    tags = (
        "table><tr><td>a<td",
        "article>x<p",
        "div",
        "b",
        "li",
        "ul><li",
        "a href=x>y</a",
        "br",
        "th",
        "h1",
        "td colspan=50>x<tr",
    )
    assert_linear(write, [(f"<{tag}>", "") for tag in tags] + floods(), begin="<body>x")


def test_lines_of_print_cost_what_they_are() -> None:
    def write(text: str) -> None:
        lines = [Line(line, 72, 72 + len(line), -number, 10) for number, line in enumerate(text.split("\n")) if line]
        layout.write(layout.without_running_lines([lines, lines[:1]]), Draft())

    assert_linear(write, [("a-\n", ""), ("中文\n", ""), ("end.\n", ""), ("1", "x"), ("1 ", "x")], largest=64_000)
    matches = (layout._PAGE_NUMBER.fullmatch, layout._PAGE_OF.fullmatch, layout._FIRST_WORD.match)
    for match in (*matches, layout._SENTENCE_END.search):
        assert_linear(match, floods(["第1", "页", "共", "/", "of", "。”"], ["", "x"]))


def test_patterns_of_parsers_are_linear() -> None:
    matches = (draft._NUMBER.fullmatch, draft._YEAR.match, draft._END.search, html._SITE_NAME.split)
    styles = (word._HEADING_STYLE.fullmatch, word._CAPTION_TEXT.match, sheets._UNNAMED_SHEET.fullmatch)
    for match in (*matches, *styles, sheets._PERCENT.fullmatch, draft.tidy):
        assert_linear(match, floods(["约1", "2024", "heading", "标题", "Sheet", "0.", " - "], ["", "x"]))


def test_any_bytes_are_decoded_in_time_linear_in_them() -> None:
    def attempt(text: str) -> None:
        try:
            decode(text.encode("latin-1"))
        except ValueError:
            pass  # no text

    units = ("\xff", "\x81\x40", "\xa4\x40", "\xc3(", "\xe4\xb8\xad\xff", "\xb0\xa1", "a\x80", "\x00a", "é \xfe")
    assert_linear(attempt, [(unit, ending) for unit in units for ending in ("", "\xff")])


@pytest.mark.parametrize("charset", ["punycode", "idna", "utf-8"])
def test_a_message_costs_what_its_size_is(charset: str) -> None:
    def read(text: str) -> None:
        list(contents(Path("a.eml"), text.encode()))

    assert_linear(
        read, [("a-bc", ""), ("中", "")], begin=f"Subject: x\nContent-Type: text/plain; charset={charset}\n\n"
    )
    if charset == "utf-8":
        for name in ("Subject", "From", "Date", "Content-Type: text/plain; x"):
            assert_linear(read, [("a=b; ", "\n\nx"), ("a@b, ", "\n\nx"), ("(", "\n\nx")], begin=f"To: x\n{name}: ")
