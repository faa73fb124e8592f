"""PDF: pages of lines put together again to paragraphs; pages without a text layer go to OCR or into the report."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from index.parsing import layout, ocr
from index.parsing.draft import MAX_TEXT_CHARS, TOO_LONG, Draft
from index.parsing.layout import Line
from index.types import ReadText

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage, PdfTextPage

_OCR_DPI = 200
_POINTS_PER_INCH = 72
_MAX_PAGES = 20_000
# On all pages. A printed page has some hundreds; a million take PDFium five seconds and half a gigabyte.
_MAX_OBJECTS = 1_000_000
_NO_WIDTH = 0.01
# The usual distance of two lines, as a multiple of the size of type.
_LEADING = 1.5


def read_pdf(data: bytes) -> ReadText:
    """The text of a PDF with the offsets of its pages.

    Raises:
        ValueError: it is protected by a password, damaged, or nothing but images that OCR can't read here.
    """
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
        if len(document) > _MAX_PAGES:
            raise ValueError(f"has more than {_MAX_PAGES} pages; split it")
        pages, lossy = _pages(document)
    except pypdfium2.PdfiumError as exc:
        if "password" in str(exc).lower():
            raise ValueError("is protected by a password; save a copy without it") from exc
        raise ValueError(f"is damaged or cut off ({exc}); get it again") from exc
    for number, lines in zip(lossy, _second_reading(data, lossy), strict=True):
        pages[number] = _completed(pages[number], lines)
    draft = Draft()
    blank = [number for number, lines in enumerate(pages, start=1) if not lines]
    pictured = [number for number in blank if _has_image(document[number - 1])]
    if pictured and not ocr.is_available():
        if len(pictured) == len(pages):
            raise ValueError(f"its pages are images; {ocr.ADVICE}")
        for number in pictured:
            draft.notice("needs-ocr", f"page {number} is an image; {ocr.ADVICE}", page=number)
    for number in pictured if ocr.is_available() else ():
        pages[number - 1] = ocr.recognise(document[number - 1].render(scale=_OCR_DPI / _POINTS_PER_INCH).to_numpy())
        draft.notice("ocr", f"page {number} {ocr.CAUTION}", page=number)
    for number in sorted({*blank} - {*pictured}):
        draft.notice("empty-page", f"page {number} holds no text", page=number)
    layout.write(layout.without_running_lines(pages), draft)
    return draft.finish()


def _pages(document: PdfDocument) -> tuple[list[list[Line]], list[int]]:
    """The lines of each page, and the numbers of those, from 0, of which PDFium passes over some text."""
    from pypdfium2 import raw

    pages: list[list[Line]] = []
    lossy: list[int] = []
    objects = chars = 0
    for number, page in enumerate(document):
        objects += raw.FPDFPage_CountObjects(page.raw)
        if objects > _MAX_OBJECTS:
            raise ValueError(f"unfolds to more than {_MAX_OBJECTS // 1_000_000} million pieces of text; split it")
        text = page.get_textpage()
        chars += text.count_chars()
        if chars > MAX_TEXT_CHARS:
            raise ValueError(TOO_LONG)
        pages.append(_lines(text))
        if _loses_text(page):
            lossy.append(number)
    return pages, lossy


def _lines(page: PdfTextPage) -> list[Line]:
    text = page.get_text_range()
    # Beyond the basic plane one character is two to PDFium, and places would be off.
    is_exact = len(text) == page.count_chars()
    lines: list[Line] = []
    position = 0
    for raw in re.split("(\r\n|\r|\n)", text):
        start, position = position, position + len(raw)
        words = raw.strip()
        if not words:
            continue
        if not is_exact:
            lines.append(Line(words, 0, 0, 0, 0))
            continue
        first = start + len(raw) - len(raw.lstrip())
        left, bottom, _, _ = page.get_charbox(first, loose=True)
        _, _, right, _ = page.get_charbox(first + len(words) - 1, loose=True)
        lines.append(Line(words, left, max(left, right), bottom, _font_size(page, first)))
    return lines


def _loses_text(page: PdfPage) -> bool:
    """Whether PDFium passes over some of a page: text of no width, as single characters in a font that is not here."""
    from pypdfium2 import raw

    for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT], max_depth=3):
        left, _, right, _ = item.get_bounds()
        if right - left < _NO_WIDTH:
            return True
    return False


def _second_reading(data: bytes, numbers: Sequence[int]) -> list[list[str]]:
    """The lines of some pages as pypdf reads them: slower, and without places, but it needs no fonts."""
    if not numbers:
        return []
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        pages = PdfReader(io.BytesIO(data)).pages
        texts = [pages[number].extract_text() for number in numbers]
    except (PyPdfError, ValueError, KeyError, IndexError):  # what PDFium found is better than nothing
        texts = [""] * len(numbers)
    return [[line.strip() for line in text.splitlines() if line.strip()] for text in texts]


def _completed(lines: Sequence[Line], others: Sequence[str]) -> list[Line]:
    """Lines with what only the second reading has of them; both readings are in the order of the file."""
    if sum(map(len, others)) <= sum(len(line.text) for line in lines):
        return list(lines)
    known = {"".join(line.text.split()): line for line in lines}
    completed: list[Line] = []
    for text in others:
        line = known.get("".join(text.split()))
        if line is None and completed:
            above = completed[-1]
            width = above.char_width * len(text)
            line = replace(above, text=text, right=above.left + width, bottom=above.bottom - _LEADING * above.size)
        completed.append(line or Line(text, 0, 0, 0, 0))
    return completed


def _font_size(page: PdfTextPage, char: int) -> float:
    from pypdfium2 import raw

    return float(raw.FPDFText_GetFontSize(page, char))


def _has_image(page: PdfPage) -> bool:
    from pypdfium2 import raw

    return next(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3), None) is not None
