"""Spreadsheets: .xlsx workbooks and .csv files, a line for each row with the names of its columns."""

from __future__ import annotations

import csv
import datetime
import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from index.parsing.draft import Draft
from index.parsing.text import decode
from index.types import ReadText

if TYPE_CHECKING:
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

_SNIFFED_CHARS = 20_000
_DELIMITERS = ",\t;|"
# A sheet's rows have no end: one cell in them is a caption, two are no form with the name of each field at its left.
_MIN_COLUMNS = 3
# Beyond these a sheet is a database; every cell costs memory, empty ones too.
_MAX_COLUMNS = 500
_MAX_ROWS = 200_000
# A sheet has no more, whatever a file says.
_LAST_ROW = 1 << 20
_UNNAMED_SHEET = re.compile("(?:Sheet|工作表|Tabelle|Feuil)\\s?[0-9]*")
_PERCENT = re.compile("0(?:\\.(0+))?%")


def read_xlsx(data: bytes) -> ReadText:
    """The cells of every sheet as they were last calculated."""
    from openpyxl import load_workbook

    draft = Draft()
    workbook = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    for sheet in workbook.worksheets:
        # What a file says of its own size is often wrong.
        sheet.reset_dimensions()
        cells = _filled_rows(sheet, draft)
        rows = list(islice(cells, _MAX_ROWS))
        if next(cells, None) is not None:
            draft.notice("truncated", f"sheet {sheet.title}: only the first {_MAX_ROWS} rows were read")
        if not rows:
            continue
        if not _UNNAMED_SHEET.fullmatch(sheet.title):
            draft.heading(2, sheet.title)
        draft.table(rows)
    return draft.finish()


def _filled_rows(sheet: ReadOnlyWorksheet, draft: Draft) -> Iterator[list[str]]:
    """The rows that are not empty, each as far as its last cell."""
    for row in islice(sheet.iter_rows(), _LAST_ROW):
        draft.unfold(1 + len(row))
        cells = row[:_MAX_COLUMNS]
        if any(cell.value is not None for cell in cells):
            shown = [_shown(cell.value, cell.number_format) if cell.value is not None else "" for cell in cells]
            if any(shown):
                yield shown + [""] * (_MIN_COLUMNS - len(shown))


def _shown(value: object, number_format: str | None) -> str:
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ")
    if isinstance(value, float):
        if percent := _PERCENT.fullmatch(number_format or ""):
            return f"{value:.{len(percent[1] or '')}%}"
        # 15 digits are what a spreadsheet itself shows of a number.
        return f"{value:.15g}"
    return str(value)


def read_csv(data: bytes) -> ReadText:
    """The rows of a file of separated values, in whatever encoding and with whatever separator it has."""
    text, encoding = decode(data)
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:_SNIFFED_CHARS], _DELIMITERS)
    except csv.Error:
        dialect = csv.excel_tab if "\t" in text[:_SNIFFED_CHARS] else csv.excel
    draft = Draft()
    draft.table(_rows(text, dialect))
    return draft.finish(encoding)


def _rows(text: str, dialect: type[csv.Dialect]) -> Iterator[list[str]]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    try:
        for row in csv.reader(io.StringIO(text, newline=""), dialect):
            yield [cell.strip() for cell in row]
    except csv.Error as exc:
        raise ValueError(f"is not a table of separated values ({exc}); save it again as CSV") from exc
