"""Blocks to text: what every parser of a rich format writes into.

Headings become Markdown lines, which `index.chunking.structure` reads; a table's row becomes a line that can stand
alone, every value with the name of its column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from index.text.dates import MODERN_YEAR
from index.text.scripts import UNFOLDED_HAN
from index.types import Caption, Notice, ReadText, Span

# Paragraphs, cells and shapes, also empty ones, which take time and memory and leave nothing in the text: those of a
# sheet of 200,000 rows and 50 columns.
MAX_PARTS = 10_000_000
# A text longer than this is no document but a dump; its passages alone would take gigabytes. The longest Chinese
# classics have three million characters.
MAX_TEXT_CHARS = 5_000_000
TOO_LONG = f"holds more than {MAX_TEXT_CHARS // 1_000_000} million characters; split it"
_UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\ufeff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = re.compile("[^\\S\u3000]+")
_MAX_MARKDOWN_LEVEL = 6
_HAN = re.compile(f"[{UNFOLDED_HAN}]")
_NUMBER = re.compile("[-+±~约]?[0-9０-９][0-9０-９.,，:/%％年月日-]*\\S{0,2}")
_YEAR = re.compile(f"{MODERN_YEAR}(?![0-9.,])")
_MAX_HEADER_CHARS = 30
_END = re.compile("[。！？!?.；;]$")


@dataclass(slots=True)
class _Block:
    text: str
    level: int = 0
    gap: int = 1
    caption: str = ""
    glue: str | None = None


class Draft:
    """A document while it is being read, block by block."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._page_starts: list[int] = []
        self._notices: list[Notice] = []
        self._chars = self._parts = 0

    def heading(self, level: int, text: str) -> None:
        """A heading; level 1 is outermost."""
        self._add(_Block(text, level=level))

    def paragraph(self, text: str) -> None:
        self._add(_Block(text))

    def continued(self, text: str, glue: str) -> None:
        """The rest of a paragraph that began on the page before; `glue` stands between: a space, or nothing."""
        self._add(_Block(text, glue=glue))

    def line(self, text: str) -> None:
        """A line that belongs to the one above it: an item of a list, a line of verse or address."""
        self._add(_Block(text, gap=0))

    def table(self, rows: Iterable[Sequence[str]], caption: str = "", header_rows: int | None = None) -> None:
        """A table's rows, each with its column names. `caption` is text that was already written or never will be."""
        table = as_lines(self._cells(rows), header_rows)
        for text in table.captions:
            self._add(_Block(text))
        context = " ".join(part for part in (tidy(caption), *table.captions) if part)
        for number, text in enumerate(table.lines):
            self._add(_Block(text, gap=0 if number or table.captions else 1, caption=context))

    def _cells(self, rows: Iterable[Sequence[str]]) -> Iterator[list[str]]:
        chars = 0
        for row in rows:
            self.unfold(len(row))
            cells = [tidy(cell) if cell else "" for cell in row]
            chars += sum(map(len, cells))
            if chars > MAX_TEXT_CHARS:
                raise ValueError(TOO_LONG)
            if any(cells):
                yield cells

    def unfold(self, parts: int = 1) -> None:
        """Note that a document unfolds to so many more paragraphs, cells or shapes.

        Raises:
            ValueError: those are more than any document has.
        """
        self._parts += parts
        if self._parts > MAX_PARTS:
            raise ValueError(f"unfolds to more than {MAX_PARTS // 1_000_000} million paragraphs or cells; split it")

    def page(self) -> None:
        """What follows is on a new page."""
        self._page_starts.append(len(self._blocks))

    def notice(self, kind: str, text: str, page: int | None = None) -> None:
        """Something that the reader of the report should know."""
        self._notices.append(Notice(kind, text, page=page))

    @property
    def size(self) -> int:
        """How many blocks were written."""
        return len(self._blocks)

    def _add(self, block: _Block) -> None:
        self.unfold()
        block.text = tidy(block.text)
        if not block.text:
            return
        self._chars += len(block.text)
        if self._chars > MAX_TEXT_CHARS:
            raise ValueError(TOO_LONG)
        self._blocks.append(block)

    def finish(self, encoding: str | None = None) -> ReadText:
        """The text of everything that was written."""
        # With several headings of the first level none of them is the title, and each would open an article.
        deeper = sum(block.level == 1 for block in self._blocks) > 1
        parts: list[str] = []
        spans: list[Span] = []
        position = 0
        for block in self._blocks:
            level = min(block.level + deeper, _MAX_MARKDOWN_LEVEL)
            breaks = ("\n" * (block.gap + 1) if block.glue is None else block.glue) if parts else ""
            text = f"{'#' * level} {block.text}" if block.level else block.text
            parts.append(breaks + text)
            spans.append((position + len(breaks), position + len(breaks) + len(text)))
            position = spans[-1][1]
        starts = [start for start, _ in spans] + [position]
        return ReadText(
            "".join(parts),
            encoding,
            pages=tuple(starts[number] for number in self._page_starts),
            captions=tuple(_captions(self._blocks, spans)),
            notices=tuple(self._notices),
        )


def _captions(blocks: Sequence[_Block], spans: Sequence[Span]) -> list[Caption]:
    captions: list[Caption] = []
    for block, (start, end) in zip(blocks, spans, strict=True):
        if not block.caption:
            continue
        if captions and captions[-1].text == block.caption and block.gap == 0:
            start = captions.pop().start
        captions.append(Caption(start, end, block.caption))
    return captions


def tidy(text: str) -> str:
    """One line of text: white space collapsed, nothing in it that can't be shown or stored."""
    text = _SURROGATE.sub("\ufffd", _UNPRINTABLE.sub("", text))
    return _SPACE.sub(" ", text).strip()


@dataclass(frozen=True, slots=True)
class TableLines:
    """`captions` are what stands above the columns, `lines` one for each row below the header."""

    captions: list[str]
    lines: Iterator[str]


def as_lines(rows: Iterable[Sequence[str]], header_rows: int | None = None) -> TableLines:
    """Rows as lines. `header_rows` is how many rows the format marks as header; None where it does not say."""
    filled = [list(row) for row in rows if any(row)]
    captions = [] if header_rows else [_sole(row) for row in takewhile(_sole, filled[:-1])]
    body = filled[len(captions) :]
    marked = min(header_rows or 0, len(body) - 1)
    if marked <= 0 and _opens_with_header(body):
        marked = 1
    header = _merged(body[:marked])
    # One by one: a long header stands in each of them.
    return TableLines(captions, (_line(header, row) for row in body[marked:]))


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
