"""Blocks to text: what every reader of a rich format writes into.

Headings become Markdown lines, which `index.chunking.structure` reads; a table row becomes a line that names its
columns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from index.parsing.found import MAX_TEXT_CHARS, Caption, ReadText
from index.parsing.tables import as_lines
from index.types import Notice, Span

_UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\ufeff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = re.compile("[^\\S\u3000]+")
_MAX_MARKDOWN_LEVEL = 6


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
        self._chars = 0

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

    def table(self, rows: Sequence[Sequence[str]], caption: str = "", header_rows: int | None = None) -> None:
        """A table's rows, each with its column names. `caption` is text that was already written or never will be."""
        table = as_lines([[tidy(cell) for cell in row] for row in rows], header_rows)
        for text in table.captions:
            self._add(_Block(text))
        context = " ".join(part for part in (tidy(caption), *table.captions) if part)
        for number, text in enumerate(table.lines):
            self._add(_Block(text, gap=0 if number or table.captions else 1, caption=context))

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
        block.text = tidy(block.text)
        if not block.text:
            return
        self._chars += len(block.text)
        if self._chars > MAX_TEXT_CHARS:
            raise ValueError(f"holds more than {MAX_TEXT_CHARS // 1_000_000} million characters; split it")
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
    found: list[Caption] = []
    for block, (start, end) in zip(blocks, spans, strict=True):
        if not block.caption:
            continue
        if found and found[-1].text == block.caption and block.gap == 0:
            start = found.pop().start
        found.append(Caption(start, end, block.caption))
    return found


def tidy(text: str) -> str:
    """One line of text: white space collapsed, nothing in it that can't be shown or stored."""
    text = _SURROGATE.sub("\ufffd", _UNPRINTABLE.sub("", text))
    return _SPACE.sub(" ", text).strip()
