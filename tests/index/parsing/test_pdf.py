from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen import canvas

from index.errors import ReadError
from index.parsing import ocr, read
from index.parsing.layout import Line, without_running_lines
from tests.conftest import seed
from tests.index.parsing.samples import SIMPLIFIED, TEXTS, TRADITIONAL, make_pdf

pytestmark = pytest.mark.slow

FILE = Path("a.pdf")


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("number", range(5))
def test_the_seeds_come_back_whole(number):
    lines = [line.strip() for line in seed(number).splitlines() if line.strip()]
    found = read(FILE, make_pdf(lines, TRADITIONAL if number == 4 else "STSong-Light"))
    assert squeezed(found.text) == squeezed(seed(number))
    whole = {squeezed(paragraph) for paragraph in found.text.split("\n\n")}
    kept = sum(squeezed(line) in whole for line in lines)
    # Only what a page break cuts is not a paragraph of its own.
    assert kept >= len(lines) - 2 * len(found.pages)


def test_pages():
    found = read(FILE, make_pdf(TEXTS, page_each=True))
    assert [found.text[start:].split("\n")[0] for start in found.pages] == list(TEXTS)


def test_running_heads_and_page_numbers_are_said_once():
    def page(number: int, *body: str) -> list[Line]:
        texts = ["工人日报 2013年10月", *body, f"- {number} -"]
        return [Line(text, 0, 10.0 * len(text), -20.0 * place, 12) for place, text in enumerate(texts)]

    pages = [page(number, f"第{number}页的正文。", f"又一句{number}0。", f"还有{number}句。") for number in range(1, 5)]
    kept = without_running_lines(pages)
    assert [[line.text for line in lines] for lines in kept][:2] == [
        ["工人日报 2013年10月", "第1页的正文。", "又一句10。", "还有1句。"],
        ["第2页的正文。", "又一句20。", "还有2句。"],
    ]


def test_single_characters_in_a_font_that_is_not_here():
    out = io.BytesIO()
    page = canvas.Canvas(out)
    pdfmetrics.registerFont(UnicodeCIDFont(SIMPLIFIED))
    page.setFont(SIMPLIFIED, 12)
    for place, char in enumerate(TEXTS[0]):
        page.drawString(60 + 12 * place, 700, char)
    page.save()
    assert squeezed(read(FILE, out.getvalue()).text) == TEXTS[0]


def test_large_type_is_a_heading():
    out = io.BytesIO()
    page = canvas.Canvas(out)
    for size, height, text in (
        (24, 800, "Annual report"),
        (11, 760, "The union helped 1097 families last year."),
        (11, 745, "It will help more."),
    ):
        page.setFont("Helvetica", size)
        page.drawString(60, height, text)
    page.save()
    assert read(FILE, out.getvalue()).text.startswith("# Annual report\n\nThe union helped")


def test_a_password_is_said():
    with pytest.raises(ReadError, match="password"):
        read(FILE, make_pdf(password="secret"))


def scanned(text: str = "1097") -> Image.Image:
    image = Image.new("RGB", (800, 400), "white")
    ImageDraw.Draw(image).text((100, 100), text, fill="black", font_size=60)
    return image


def encoded(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


@pytest.mark.skipif(ocr.is_available(), reason="OCR is installed")
@pytest.mark.parametrize(("name", "kind"), [("a.pdf", "PDF"), ("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.txt", "PNG")])
def test_a_scan_needs_ocr(name, kind):
    with pytest.raises(ReadError, match=r"needs OCR; install it with: pip install 'cited-qa\[ocr\]'"):
        read(Path(name), encoded(scanned(), kind))


@pytest.mark.skipif(not ocr.is_available(), reason="the extra `ocr` is not installed")
@pytest.mark.parametrize(("name", "kind"), [("a.pdf", "PDF"), ("a.png", "PNG")])
def test_a_scan_is_read_by_ocr(name, kind):
    found = read(Path(name), encoded(scanned("The union helped 1097 families"), kind))
    assert "1097" in found.text
    assert "ocr" in [notice.kind for notice in found.notices]


def test_a_scanned_page_among_others_is_told():
    out = io.BytesIO()
    page = canvas.Canvas(out)
    page.drawString(60, 800, "The union helped 1097 families last year.")
    page.showPage()
    page.drawInlineImage(scanned(), 0, 0, 400, 200)
    page.showPage()
    page.showPage()
    page.save()
    found = read(FILE, out.getvalue())
    kinds = {notice.page: notice.kind for notice in found.notices}
    assert kinds == {2: "ocr" if ocr.is_available() else "needs-ocr", 3: "empty-page"}
    assert len(found.pages) == 3
