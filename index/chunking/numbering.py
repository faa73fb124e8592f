"""How a line shows that it is a heading or an item of a run, as in 第一章, 一、, (一), 1.2, 一是 and 第三、. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from index.text.scripts import ONE_TO_NINE, ONE_TO_TEN

MAX_HEADING_CHARS = 60
_NUMERAL = f"[{ONE_TO_TEN}百0-9０-９]{{1,4}}"
_SHORT_NUMERAL = f"[{ONE_TO_TEN}]{{1,3}}"
# Outermost first; a heading's level is its place here. Markdown levels come before all numbering styles.
_NUMBERING = [
    re.compile(pattern)
    for pattern in (
        f"第{_NUMERAL}[编編篇部卷]",
        f"第{_NUMERAL}章|Chapter \\d|Part \\d|Appendix [A-Z0-9]\\b"
        f"|附[件錄录表]\\s?[0-9{ONE_TO_TEN}]{{0,3}}(?:[:：\\s]|$)",
        f"第{_NUMERAL}[节節]|Section \\d",
        f"{_SHORT_NUMERAL}[、.．]|第{_SHORT_NUMERAL}[、，,]",
        f"[(（]{_SHORT_NUMERAL}[)）]",
        "[0-9]{1,2}[、.．)）](?![0-9])",
        "[(（][0-9]{1,2}[)）]|[0-9]{1,2}\\.[0-9]{1,2}[、.．]?\\s",
        "[0-9]{1,2}(?:\\.[0-9]{1,2}){2,3}[、.．]?\\s",
    )
]
_MARKDOWN_LEVELS = 6
PLAIN_HEADING_LEVEL = _MARKDOWN_LEVELS + len(_NUMBERING) + 1
# 一是…二是… run inside whatever stands above them.
ITEM_HEADING_LEVEL = PLAIN_HEADING_LEVEL + 1
_MARKDOWN = re.compile("(#{1,6})\\s+")
_PIECE = re.compile(f"第{_NUMERAL}篇[:：\\s]?")
TERMINATED = re.compile("[。！？!?…；;：:][”’\"'」』》)）】〕]*$|[.][”’\"')]*$|(?:——|--)$")
INNER_STOPS = "。！？!?；;"
INNER_STOP = re.compile(f"[{INNER_STOPS}]")
_ITEMS = {
    "{}是": re.compile(f"({_SHORT_NUMERAL})[是要]"),
    "第{}": re.compile(f"第({_SHORT_NUMERAL})[、，,]"),
    "{}、": re.compile(f"({_SHORT_NUMERAL})、"),
    "({})": re.compile(f"[(（]({_SHORT_NUMERAL})[)）]"),
    "1.": re.compile("([0-9]{1,2})[、.．](?![0-9])"),
    "(1)": re.compile("[(（]([0-9]{1,2})[)）]"),
}


@dataclass(frozen=True, slots=True)
class Item:
    """The mark that opens an item of a run: its style, and its number, from 1."""

    style: str
    number: int


def heading_level(line: str) -> int | None:
    """Level of a heading that shows itself by a mark or a number, None for anything else."""
    if match := _MARKDOWN.match(line):
        return len(match[1])
    if len(line) > MAX_HEADING_CHARS or (TERMINATED.search(line) and not _PIECE.match(line)):
        return None
    for depth, pattern in enumerate(_NUMBERING):
        if pattern.match(line):
            return _MARKDOWN_LEVELS + 1 + depth
    return None


def is_piece(line: str) -> bool:
    """Whether the line is a 第N篇 line, which always starts an article."""
    return bool(_PIECE.match(line))


def bare(line: str) -> str:
    """A heading's words: without Markdown marks and 第N篇."""
    words = "".join(part.strip() for part in line.splitlines())
    return _PIECE.sub("", _MARKDOWN.sub("", words)).strip()


def item(text: str, start: int = 0) -> Item | None:
    """The mark that `text[start:]` opens with, as in 二是, 第二、, (二) and 2., if it does."""
    for style, pattern in _ITEMS.items():
        if match := pattern.match(text, start):
            return Item(style, _number(match[1]))
    return None


def _number(numeral: str) -> int:
    if numeral.isdecimal():
        return int(numeral)
    tens, ten, ones = numeral.rpartition("十")
    return (10 * (ONE_TO_NINE.find(tens) + 1 or 1) if ten else 0) + ONE_TO_NINE.find(ones) + 1
