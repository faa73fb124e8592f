"""Small documents in every format that is read, made by the libraries that people's programs use."""

from __future__ import annotations

import csv
import html
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage

import docx
import openpyxl
import pptx
from reportlab.lib import pdfencrypt
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate

# PDF readers have these fonts; nothing is embedded.
SIMPLIFIED = "STSong-Light"
TRADITIONAL = "MSung-Light"
TITLE = "兰州市总工会工作报告"
TEXTS = ("去年，帮扶中心帮助1097名困难家庭子女圆了大学梦。", "全市新建基层工会213家，发展会员2.04万人。")
ROWS = (("县区", "建会数", "会员数"), ("城关区", "213", "20400"), ("七里河区", "98", "7600"))


def make_docx(texts: Sequence[str] = TEXTS, title: str = TITLE, rows: Sequence[Sequence[str]] = ()) -> bytes:
    """Lines that begin with `#` become headings."""
    document = docx.Document()
    if title:
        document.add_heading(title, 0)
    for text in texts:
        level = len(text) - len(text.lstrip("#"))
        if level:
            document.add_heading(text.lstrip("# "), level)
        else:
            document.add_paragraph(text)
    if rows:
        table = document.add_table(0, len(rows[0]))
        for row in rows:
            for cell, value in zip(table.add_row().cells, row, strict=True):
                cell.text = value
    return _saved(document.save)


def make_pptx(texts: Sequence[str] = TEXTS, title: str = TITLE) -> bytes:
    """One slide for each text."""
    presentation = pptx.Presentation()
    for text in texts:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
    return _saved(presentation.save)


def make_xlsx(rows: Sequence[Sequence[object]] = ROWS, title: str = "建会情况") -> bytes:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.title = title
    for row in rows:
        sheet.append(list(row))
    return _saved(workbook.save)


def make_csv(rows: Sequence[Sequence[str]] = ROWS, encoding: str = "utf-8") -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode(encoding)


def make_html(texts: Sequence[str] = TEXTS, title: str = TITLE, encoding: str = "utf-8") -> bytes:
    body = "".join(
        f"<h{level}>{html.escape(text.lstrip('# '))}</h{level}>"
        if (level := len(text) - len(text.lstrip("#")))
        else f"<p>{html.escape(text)}</p>\n"
        for text in texts
    )
    head = f"<head><meta charset='{encoding}'><title>{html.escape(title)}</title></head>"
    return f"<!DOCTYPE html><html>{head}<body>{body}</body></html>".encode(encoding, "xmlcharrefreplace")


def make_pdf(
    texts: Sequence[str] = TEXTS, font: str = SIMPLIFIED, password: str = "", page_each: bool = False
) -> bytes:
    """Paragraphs set in Chinese type, wrapped and broken into pages as in print."""
    pdfmetrics.registerFont(UnicodeCIDFont(font))
    style = ParagraphStyle("body", fontName=font, fontSize=12, leading=18, wordWrap="CJK", firstLineIndent=24)
    story: list[object] = []
    for text in texts:
        story.append(Paragraph(html.escape(text), style))
        if page_each:
            story.append(PageBreak())
    encryption = pdfencrypt.StandardEncryption(password, canPrint=0) if password else None
    out = io.BytesIO()
    SimpleDocTemplate(out, encrypt=encryption).build(story)
    return out.getvalue()


def make_epub(texts: Sequence[str] = TEXTS, title: str = TITLE) -> bytes:
    """One chapter for each text."""
    items = "".join(
        f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(texts))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(texts)))
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<dc:title>{html.escape(title)}</dc:title></metadata><manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    )
    chapters = {f"OEBPS/c{n}.xhtml": make_html([text], "") for n, text in enumerate(texts)}
    return make_zip({"META-INF/container.xml": container.encode(), "OEBPS/book.opf": package.encode(), **chapters})


def make_eml(texts: Sequence[str] = TEXTS, title: str = TITLE, files: Mapping[str, bytes] | None = None) -> bytes:
    message = EmailMessage()
    message["Subject"] = " ".join(title.split())
    message["From"] = "王小虎 <wang@example.com>"
    message["Date"] = "Thu, 12 Jan 2006 09:00:00 +0800"
    message.set_content("\n\n".join(texts))
    for name, data in (files or {}).items():
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def make_zip(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def _saved(save: Callable[[io.BytesIO], object]) -> bytes:
    out = io.BytesIO()
    save(out)
    return out.getvalue()


def samples() -> dict[str, bytes]:
    """One sound document of each format, by suffix."""
    text = f"# {TITLE}\n\n" + "\n\n".join(TEXTS)
    return {
        ".txt": text.encode(),
        ".md": text.encode("gb18030"),
        ".html": make_html(),
        ".docx": make_docx(rows=ROWS),
        ".pptx": make_pptx(),
        ".xlsx": make_xlsx(),
        ".csv": make_csv(),
        ".pdf": make_pdf(),
        ".epub": make_epub(),
        ".eml": make_eml(),
        ".zip": make_zip({"报告.txt": text.encode(), "deep/a.docx": make_docx()}),
    }
