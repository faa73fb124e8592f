from __future__ import annotations

import io
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from pptx.util import Inches

from index.chunking.passages import place, split
from index.errors import ReadError
from index.parsing import contents, read
from index.parsing.draft import as_lines
from tests.index.parsing.samples import ROWS, TEXTS, TITLE, make_csv, make_docx, make_pptx, make_xlsx

ROW_LINES = ["县区：城关区，建会数：213，会员数：20400。", "县区：七里河区，建会数：98，会员数：7600。"]


def saved(document) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def test_word_styles_become_headings():
    found = read(Path("a.docx"), make_docx(["# 一、基层组织", TEXTS[0]]))
    assert found.text == f"# {TITLE}\n\n## 一、基层组织\n\n{TEXTS[0]}"


def test_word_tables_keep_header_and_caption():
    document = docx.Document()
    document.add_paragraph("表1 建会情况")
    table = document.add_table(0, 3)
    for row in ROWS:
        for cell, value in zip(table.add_row().cells, row, strict=True):
            cell.text = value
    document.add_paragraph("表后的正文。")
    found = read(Path("a.docx"), saved(document))
    assert found.text.split("\n") == ["表1 建会情况", "", *ROW_LINES, "", "表后的正文。"]
    sections = place(split(found.text), found, [])
    rows = [section for section in sections if "七里河区" in found.text[section.start : section.end]]
    assert [section.heading_path or section.title for section in rows] == ["表1 建会情况"] or rows[0].heading_path


def test_word_merged_cells_and_nested_tables():
    document = docx.Document()
    table = document.add_table(3, 3)
    for row, values in zip(
        table.rows, (("地区", "年份", "会员数"), ("兰州", "2012", "5"), ("", "2013", "6")), strict=True
    ):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    table.cell(1, 0).merge(table.cell(2, 0))
    table.cell(2, 2).add_table(1, 1).cell(0, 0).text = "内"
    lines = read(Path("a.docx"), saved(document)).text.split("\n")
    assert lines == ["地区：兰州，年份：2012，会员数：5。", "地区：兰州，年份：2013，会员数：6 内。"]


def test_word_insertions_are_read_and_deletions_are_not():
    from docx.oxml import parse_xml

    w = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    document = docx.Document()
    paragraph = document.add_paragraph("工会")
    paragraph._p.append(parse_xml(f"<w:ins {w}><w:r><w:t>会员</w:t></w:r></w:ins>"))
    paragraph._p.append(parse_xml(f"<w:del {w}><w:r><w:delText>旧</w:delText></w:r></w:del>"))
    assert read(Path("a.docx"), saved(document)).text == "工会会员"


def test_slides_are_pages():
    found = read(Path("a.pptx"), make_pptx())
    assert found.text == f"## {TITLE}\n\n{TEXTS[0]}\n\n## {TITLE}\n\n{TEXTS[1]}"
    assert [found.text[start : start + 3] for start in found.pages] == ["## ", "## "]


def test_tables_groups_and_notes_on_slides():
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    table = slide.shapes.add_table(2, 3, 0, 0, Inches(5), Inches(2)).table
    for row, values in zip(table.rows, ROWS, strict=False):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "组内文字"
    slide.notes_slide.notes_text_frame.text = "备注"
    assert read(Path("a.pptx"), saved(presentation)).text == f"{ROW_LINES[0]}\n\n组内文字\n\n备注"


def test_workbooks_name_sheet_and_columns():
    assert read(Path("a.xlsx"), make_xlsx()).text == "## 建会情况\n\n" + "\n".join(ROW_LINES)


def test_numbers_and_dates_are_shown_as_people_write_them():
    import datetime

    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.append(["2013年帮扶情况", None, None])
    sheet.append(["日期", "比例", "金额"])
    sheet.append([datetime.datetime(2013, 10, 9), 0.125, 260.10])
    sheet["B3"].number_format = "0.0%"
    found = read(Path("a.xlsx"), saved(workbook))
    assert found.text == "2013年帮扶情况\n日期：2013-10-09，比例：12.5%，金额：260.1。"
    assert found.captions[0].text == "2013年帮扶情况"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_csv(encoding, separator):
    data = make_csv(encoding=encoding).decode(encoding).replace(",", separator).encode(encoding)
    assert read(Path("a.csv"), data).text.split("\n") == ROW_LINES


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ([["姓名", "王小虎"], ["性别", "男"]], ["姓名：王小虎。", "性别：男。"]),
        ([["name", "count"], ["Ann", "3"]], ["name: Ann, count: 3."]),
        ([["a", "b", "c"], ["", "", ""], ["1", "", "3"]], ["a: 1, c: 3."]),
        ([["只有一行", "两格"]], ["只有一行：两格。"]),
        ([], []),
    ],
)
def test_rows_as_lines(rows, lines):
    assert list(as_lines(rows).lines) == lines


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "save it as .docx"),
        ("a.wps", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "save it as .docx"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "save it as .xlsx"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "password"),
        ("a.rtf", b"{\\rtf1 x}", "save it as .docx"),
        ("a.docx", make_docx()[:3000], "cut off"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(name, data, words):
    with pytest.raises(ReadError, match=words):
        read(Path(name), data)


def test_what_a_file_is_counts_more_than_its_name():
    found = read(Path("a.doc"), make_docx())
    assert TEXTS[0] in found.text
    assert TEXTS[0] in read(Path("a.xls"), f"<html><body><p>{TEXTS[0]}".encode()).text
    (wrong,) = (notice for found in contents(Path("a.txt"), make_docx()) for notice in found.notices)
    assert wrong.kind == "wrong-suffix"


def test_years_name_columns_unless_years_stand_below_them() -> None:
    named = as_lines([["部门", "2023年收入", "2024年收入"], ["销售部", "120万元", "150万元"]])
    assert list(named.lines) == ["部门：销售部，2023年收入：120万元，2024年收入：150万元。"]
    unnamed = as_lines([["2023年", "大雨", "3次"], ["2024年", "小雨", "5次"]])
    assert list(unnamed.lines) == ["2023年，大雨，3次。", "2024年，小雨，5次。"]
