"""Lines of text to paragraphs, and what each of them is: body, heading, or a line of an article's title block.

Written for what people's exports and scans look like: one paragraph a line or wrapped lines, sentences cut in the
middle by a page break, headings with and without numbering, several articles in one file. Pure functions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from index.types import Span

MAX_HEADING_CHARS = 60
MAX_SHORT_LINE_CHARS = 45
MAX_WRAP_COLUMNS = 130
# No page cuts a sentence so often; a text that goes on longer has no punctuation at all.
MAX_JOINED_CHARS = 5000

_NUMERAL = "[一二三四五六七八九十百0-9０-９]{1,4}"
# Outermost first; a heading's level is its place here. Markdown levels come before all numbering styles.
_NUMBERING = [
    re.compile(pattern)
    for pattern in (
        f"第{_NUMERAL}[编篇部卷]",
        f"第{_NUMERAL}章|Chapter \\d|Part \\d",
        f"第{_NUMERAL}节|Section \\d",
        "[一二三四五六七八九十]{1,3}[、.．]|第[一二三四五六七八九十]{1,3}[、，,]",
        "[(（][一二三四五六七八九十]{1,3}[)）]",
        "[0-9]{1,2}[、.．)）](?![0-9])|[0-9]{1,2}(?:\\.[0-9]{1,2}){1,3}[、.．]?\\s",
    )
]
PLAIN_HEADING_LEVEL = 7 + len(_NUMBERING)
_MARKDOWN = re.compile("(#{1,6})\\s+")
_PIECE = re.compile(f"第{_NUMERAL}篇[:：\\s]?")
_TERMINATED = re.compile("[。！？!?…；;：:][”’\"'」』》)）】〕]*$|[.][”’\"')]*$")
_INNER_STOP = re.compile("[。！？!?；;]")
_CONTINUES = re.compile("[”’」』》)）】〕，,、。；;：:！？!?]")
# A line that opens like this starts something new, whatever the line before it looks like.
_OPENER = re.compile("——|--|[□■◎●○◇◆★▲•·]|[-*+]\\s|[>|]|[\\[【]|[一二三四五六七八九十]是")
_SALUTATION = re.compile("[^。！？!?，,]{1,18}[:：]$")
_SUBTITLE = re.compile("(?:——|--|—|－－)\\S")
_DATE_LINE = re.compile(
    "[(（\\[]?\\s*(?:[12][0-9]{3}|[一二〇○零九]{4})\\s*[年./-]\\s*[0-9一二三四五六七八九十]{1,3}"
    "(?:\\s*[月./-]\\s*[0-9一二三四五六七八九十]{1,3}\\s*日?)?.{0,12}[)）\\]]?$"
)
_HAN_NAME = "[\u4e00-\u9fff]{2,4}"
_OFFICE = (
    "书记|書記|主席|主任|市长|市長|省长|省長|县长|縣長|区长|區長|部长|部長|局长|局長|会长|會長|院长|院長|校长|校長"
    "|记者|記者|教授|委员|委員|代表|经理|經理|总裁|總裁|作者|编辑|編輯|通讯员|通訊員|研究员|研究員|董事长|董事長"
    "|秘书长|秘書長"
)
_BYLINE = re.compile(
    f"[□■◎●◇]\\s?\\S.*|(?:作者|记者|記者|文|撰稿|By|by)[/:： ].+|.{{0,40}}(?:{_OFFICE})[\\s　]+{_HAN_NAME}|{_HAN_NAME}"
)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph's span in the document. `level` is set for headings only (1 is outermost).

    `hidden` are the line breaks inside it where the page cut a sentence. `gap` is the number of blank lines above.
    """

    start: int
    end: int
    text: str
    gap: int = 0
    level: int | None = None
    hidden: tuple[Span, ...] = ()


def paragraphs(text: str) -> list[Paragraph]:
    """The paragraphs of `text` in order, headings marked."""
    return _mark_headings(list(_join(_split_tail_headings(_lines(text)), text)))


def opens_article(block: list[Paragraph]) -> bool:
    """Whether a run of short lines reads like the top of an article: a title, then a subtitle, byline or date."""
    if any(_PIECE.match(line.text) for line in block):
        return True
    return len(block) > 1 and any(is_front_matter(line) or _SUBTITLE.match(bare(line.text)) for line in block[1:])


def is_front_matter(line: Paragraph) -> bool:
    """A byline, a bare name, a date line or a salutation: belongs to a title block but is no title."""
    text = line.text
    if len(text) > MAX_SHORT_LINE_CHARS:
        return False
    return any(pattern.fullmatch(text) for pattern in (_BYLINE, _DATE_LINE, _SALUTATION))


def opens_piece(line: Paragraph) -> bool:
    """Whether the line is a 第N篇 line, which always starts an article."""
    return bool(_PIECE.match(line.text))


def is_short(line: Paragraph) -> bool:
    """Whether a line could stand in a title block."""
    if line.level is not None or is_front_matter(line):
        return True
    return len(line.text) <= MAX_SHORT_LINE_CHARS and not _TERMINATED.search(line.text)


def bare(line: str) -> str:
    """A heading's words: without Markdown marks and 第N篇."""
    words = "".join(part.strip() for part in line.splitlines())
    return _PIECE.sub("", _MARKDOWN.sub("", words)).strip()


def _lines(text: str) -> Iterator[Paragraph]:
    gap = position = 0
    for line in text.splitlines(keepends=True):
        if stripped := line.strip():
            start = position + line.index(stripped[0])
            yield Paragraph(start, start + len(stripped), stripped, gap)
        gap = 0 if stripped else gap + 1
        position += len(line)


def _join(lines: Iterator[Paragraph], text: str) -> Iterator[Paragraph]:
    current: Paragraph | None = None
    for line in _unwrap(list(lines), text):
        if current is not None and _is_cut(current.text, line.text):
            current = _merge(current, line, text)
        else:
            if current is not None:
                yield current
            current = line
    if current is not None:
        yield current


def _is_cut(text: str, following: str) -> bool:
    """Whether a sentence goes on from one line to the next, so that the page and not the author broke it."""
    if len(text) > MAX_JOINED_CHARS:
        return False
    if heading_level(text) is not None and not _INNER_STOP.search(text) and not _CONTINUES.match(following):
        return False
    if _TERMINATED.search(text) or _OPENER.match(following) or heading_level(following) is not None:
        return False
    if _CONTINUES.match(following) or text[-1] in "，,、":
        return True
    return len(text) > MAX_SHORT_LINE_CHARS or bool(_INNER_STOP.search(text))


def _merge(first: Paragraph, second: Paragraph, text: str) -> Paragraph:
    hidden = ((first.end, second.start),) if _joins_words(first, second) else ()
    text = text[first.start : second.end]
    return replace(first, end=second.end, text=text, hidden=first.hidden + hidden + second.hidden)


def _joins_words(first: Paragraph, second: Paragraph) -> bool:
    """Whether the line break between two lines may stand inside a word; between Western words it is a space."""
    return not (first.text[-1].isascii() and second.text[0].isascii())


def _unwrap(lines: list[Paragraph], text: str) -> Iterator[Paragraph]:
    """Rejoin paragraphs that were wrapped at a fixed width: runs of lines as long as each other, the last shorter."""
    block: list[Paragraph] = []
    for line in [*lines, None]:
        if line is None or (block and line.gap):
            yield from _unwrap_block(block, text)
            block = []
        if line is not None:
            block.append(line)


def _unwrap_block(block: list[Paragraph], text: str) -> Iterator[Paragraph]:
    widths = [len(line.text) for line in block]
    widest = max(widths, default=0)
    is_wrapped = (
        len(block) > 1
        and MAX_SHORT_LINE_CHARS * 0.7 < widest <= MAX_WRAP_COLUMNS
        and min(widths[:-1]) >= 0.75 * widest
        and not any(_OPENER.match(line.text) or heading_level(line.text) is not None for line in block)
        and not all(_TERMINATED.search(line.text) for line in block)
    )
    if not is_wrapped:
        yield from block
        return
    breaks = ((above.end, line.start) for above, line in pairwise(block) if _joins_words(above, line))
    start, end = block[0].start, block[-1].end
    yield replace(block[0], end=end, text=text[start:end], hidden=tuple(breaks))


def heading_level(line: str) -> int | None:
    """Level of a heading that shows itself by a mark or a number, None for anything else."""
    if match := _MARKDOWN.match(line):
        return len(match[1])
    if len(line) > MAX_HEADING_CHARS or (_TERMINATED.search(line) and not _PIECE.match(line)):
        return None
    for depth, pattern in enumerate(_NUMBERING):
        if pattern.match(line):
            return 7 + depth
    return None


def _split_tail_headings(lines: Iterator[Paragraph]) -> Iterator[Paragraph]:
    """Cut off a numbered heading that stands at the end of the line before its own text."""
    for line in lines:
        stop = max((match.end() for match in _INNER_STOP.finditer(line.text)), default=0)
        tail = line.text[stop:].strip()
        if stop and tail and heading_level(tail) is not None and len(tail) <= MAX_SHORT_LINE_CHARS:
            body = line.text[: -len(tail)].rstrip()
            yield replace(line, end=line.start + len(body), text=body)
            yield Paragraph(line.end - len(tail), line.end, tail)
        else:
            yield line


def _mark_headings(lines: list[Paragraph]) -> list[Paragraph]:
    """Set the level of headings; a short line without punctuation is one when running text follows it closely."""
    if not lines:
        return []
    marked: list[Paragraph] = []
    usual_gap = Counter(line.gap for line in lines).most_common(1)[0][0]
    for line, following in zip(lines, [*lines[1:], None], strict=True):
        level = heading_level(line.text)
        if level is None and following is not None and not is_front_matter(line) and is_short(line):
            is_text = len(following.text) > max(1.5 * len(line.text), MAX_SHORT_LINE_CHARS)
            # A caption stands apart from what follows it; a heading does not.
            if is_text and following.gap <= usual_gap and len(line.text) > 1:
                level = PLAIN_HEADING_LEVEL
        marked.append(replace(line, level=level))
    return marked
