"""Rows of cells to lines of text that can stand alone: every value with the name of its column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

_HAN = re.compile("[\u3400-\u9fff]")
_NUMBER = re.compile("[-+±~约]?[0-9０-９][0-9０-９.,，:/%％年月日-]*\\S{0,2}")
_YEAR = re.compile("(?:19|20)[0-9]{2}(?![0-9.,])")
_MAX_HEADER_CHARS = 30
_END = re.compile("[。！？!?.；;]$")


@dataclass(frozen=True, slots=True)
class TableLines:
    """`captions` are what stands above the columns, `lines` one for each row below the header."""

    captions: list[str]
    lines: list[str]


def as_lines(rows: Sequence[Sequence[str]], header_rows: int | None = None) -> TableLines:
    """Rows as lines. `header_rows` is how many rows the format marks as header; None where it does not say."""
    filled = [list(row) for row in rows if any(row)]
    captions = [] if header_rows else [_sole(row) for row in takewhile(_sole, filled[:-1])]
    body = filled[len(captions) :]
    marked = min(header_rows or 0, len(body) - 1)
    if marked <= 0 and _opens_with_header(body):
        marked = 1
    header = _merged(body[:marked])
    return TableLines(captions, [_line(header, row) for row in body[marked:]])


def _sole(row: Sequence[str]) -> str:
    """The one text of a row, as in a title merged over all columns; empty where there are several."""
    texts = {cell for cell in row if cell}
    return texts.pop() if len(texts) == 1 and len(row) > 1 else ""


def _opens_with_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: short distinct words above rows that are not all words."""
    if len(rows) < 2:
        return False
    names = [cell for cell in rows[0] if cell]
    if len(names) < 2 or len(set(names)) < len(names):
        return False
    if any(len(name) > _MAX_HEADER_CHARS for name in names) or any(
        _NUMBER.fullmatch(name) and not _is_year_above(name, [row[column] for row in rows[1:] if column < len(row)])
        for column, name in enumerate(rows[0])
    ):
        return False
    # Two columns of words are as likely a form, with the name of each field at its left.
    return len(names) > 2 or any(_NUMBER.fullmatch(cell) for row in rows[1:] for cell in row[1:])


def _is_year_above(name: str, below: Sequence[str]) -> bool:
    """Whether a cell is a year as a column's name, 2023年收入, above cells that are no years."""
    return bool(_YEAR.match(name)) and not any(_YEAR.match(cell) for cell in below)


def _merged(header: Sequence[Sequence[str]]) -> list[str]:
    """One name a column from headers of one or more rows."""
    width = max((len(row) for row in header), default=0)
    columns = [[row[column] for row in header if column < len(row)] for column in range(width)]
    return [" ".join(dict.fromkeys(name for name in names if name)) for names in columns]


def _line(header: Sequence[str], row: Sequence[str]) -> str:
    is_han = bool(_HAN.search("".join([*header, *row])))
    colon, comma, stop = ("：", "，", "。") if is_han else (": ", ", ", ".")
    if not header and len(row) == 2 and all(row):
        line = f"{row[0].rstrip(':：')}{colon}{row[1]}"
    else:
        names = [*header, *[""] * len(row)]
        line = comma.join(
            f"{name}{colon}{cell}" if name else cell for name, cell in zip(names, row, strict=False) if cell
        )
    # Without a full stop the next row would be taken for the rest of this one.
    return line if _END.search(line) else line + stop
