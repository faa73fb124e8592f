"""Lines of text to paragraphs: wrapped lines and sentences cut by a page or column are put together again. Pure.

Where text is missing between two lines, joining them would make a sentence that nobody wrote. So two lines of Han text
that meet without punctuation are joined only when something shows that they belong together. On random breaks in the
seeds such a sign is there for 76 % of those that belong together and for 4 to 7 % of those that don't; a word that the
break would split decides most of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from index.chunking.furniture import furniture, is_furniture
from index.chunking.numbering import INNER_STOP, TERMINATED, heading_level, item
from index.text.fold import fold_aligned, fold_text
from index.text.scripts import HAN, KANA
from index.text.segmenter import PLAIN
from index.types import Span

MAX_SHORT_LINE_CHARS = 45
# No page cuts a sentence so often; a text that goes on longer has no punctuation at all.
MAX_JOINED_CHARS = 5000
# A line's end is looked at no further back than this.
_END_CHARS = 20
_LONGEST_WORD = 60
_CONTINUES = re.compile("[”’」』》)）】〕，,、。；;：:！？!?]")
# A line that opens like this starts something new, whatever the line before it looks like.
_OPENER = re.compile("——|--|[□■◎●○◇◆★▲•·]|[-*+]\\s|[>|]|[\\[【]")
_TAIL = re.compile(f"[{HAN}]{{1,8}}$")
_HEAD = re.compile(f"[{HAN}]{{1,8}}")
_KANA = re.compile(f"[{KANA}]")
_PAIRS = ("“”", "‘’", "《》", "「」", "『』", "（）", "()")
_HYPHENATED = re.compile("(?<![^\\W\\d_])([^\\W\\d_]++)-$")
_LOWER_WORD = re.compile("[^\\W\\d_]+")
MAX_WRAP_COLUMNS = 130
# Newspaper columns of Han text are as narrow as this; shorter lines of equal length are verse or lists.
MIN_HAN_COLUMNS = 11
# Lines of one width are this share of the widest at least, the last of a paragraph apart.
_FULL_LINE = 0.75
_HAN_FULL_LINE = 0.85
_INDENT_CHARS = 2
# So far round a break the same words are looked for elsewhere.
_NEARBY_CHARS = 20_000
_HAN = re.compile(f"[{HAN}]")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph's span in the document. `level` is set for headings only (1 is outermost).

    `hidden` are the line breaks inside it, and page furniture; `is_furniture` when it
    holds nothing else. `gap` is the number of blank lines above.
    """

    start: int
    end: int
    text: str
    gap: int = 0
    level: int | None = None
    hidden: tuple[Span, ...] = ()
    is_furniture: bool = False
    is_indented: bool = False


def lines(text: str) -> Iterator[Paragraph]:
    """The lines of `text` that are not blank, their page furniture hidden."""
    gap = position = 0
    aligned = fold_aligned(text)
    for line in text.splitlines(keepends=True):
        if stripped := line.strip():
            indent = line.index(stripped[0])
            start = position + indent
            spans = furniture(stripped, aligned[start : start + len(stripped)])
            alone = is_furniture(stripped, spans)
            hidden = [(0, len(stripped))] if alone else spans
            yield Paragraph(
                start,
                start + len(stripped),
                stripped,
                gap,
                is_furniture=alone,
                is_indented=indent > 0,
                hidden=tuple((start + first, start + last) for first, last in hidden),
            )
        gap = 0 if stripped else gap + 1
        position += len(line)


def join(read: Iterator[Paragraph], text: str) -> Iterator[Paragraph]:
    """Put together what the page cut. Furniture between the two halves of a sentence goes with them."""
    current: Paragraph | None = None
    between: list[Paragraph] = []
    for line in _unwrap(list(read), text):
        if line.is_furniture and current is not None:
            between.append(line)
        elif current is not None and _goes_on(current, line, text):
            current = _merge([current, line], text, is_interrupted=bool(between))
            between = []
        else:
            yield from [current] if current is not None else []
            yield from between
            current, between = line, []
    yield from [current] if current is not None else []
    yield from between


def _goes_on(line: Paragraph, following: Paragraph, text: str) -> bool:
    if line.hidden and line.hidden[-1][1] == line.end:
        return False  # what ends in furniture was not cut
    return is_cut(line.text, following.text, text, _near(line, following))


def _near(line: Paragraph, following: Paragraph) -> slice:
    """So much of the text round a break as is looked at for the same words."""
    return slice(max(0, line.start - _NEARBY_CHARS), following.end + _NEARBY_CHARS)


def _merge(piece: list[Paragraph], text: str, *, is_interrupted: bool = False) -> Paragraph:
    """One paragraph of several lines; `is_interrupted` when furniture stands between them."""
    hidden = list(piece[0].hidden)
    for above, line in pairwise(piece):
        hidden += [*_break(above, line, text, is_interrupted=is_interrupted), *line.hidden]
    start, end = piece[0].start, piece[-1].end
    return replace(piece[0], end=end, text=text[start:end], hidden=tuple(hidden))


def _break(above: Paragraph, line: Paragraph, text: str, *, is_interrupted: bool) -> list[Span]:
    """What to hide between two lines of a sentence: the line break, with its hyphen and furniture."""
    end = above.end - hyphen(above.text, line.text, text, _near(above, line))
    if is_interrupted and end == above.end and not joins_words(above.text, line.text):
        # The first line break apart from the furniture: a hidden line break between Western words is a space.
        return [(end, end + 1), (end + 1, line.start)]
    return [(end, line.start)]


def _unwrap(read: list[Paragraph], text: str) -> Iterator[Paragraph]:
    """Rejoin paragraphs that were wrapped at a fixed width: runs of lines as long as each other, the last shorter."""
    block: list[Paragraph] = []
    for line in [*read, None]:
        if line is None or line.is_furniture or (block and line.gap):
            yield from _unwrap_block(block, text)
            block = []
        if line is not None and line.is_furniture:
            yield line
        elif line is not None:
            block.append(line)


def _unwrap_block(block: list[Paragraph], text: str) -> Iterator[Paragraph]:
    widest = max((len(line.text) for line in block), default=0)
    may_wrap = len(block) > 1 and MIN_HAN_COLUMNS <= widest <= MAX_WRAP_COLUMNS
    is_han = may_wrap and sum(len(_HAN.findall(line.text)) for line in block) > 0.5 * sum(
        len(line.text) for line in block
    )
    if not may_wrap or (not is_han and widest < 0.7 * MAX_SHORT_LINE_CHARS):
        yield from block
        return
    full = (_HAN_FULL_LINE if is_han and widest < 0.7 * MAX_SHORT_LINE_CHARS else _FULL_LINE) * widest
    for piece in _wrapped_pieces(block, full):
        if _is_wrapped(piece, widest):
            yield _merge(piece, text)
        else:
            yield from piece


def _wrapped_pieces(block: list[Paragraph], full: float) -> Iterator[list[Paragraph]]:
    """Cut a block where a paragraph ends: below a line that is not full, above an indented or opening line."""
    piece: list[Paragraph] = []
    indents_tell = not all(line.is_indented for line in block)
    for line in block:
        starts = (line.is_indented and indents_tell) or _opens_alone(line)
        if piece and (starts or _opens_alone(piece[-1]) or _width(piece[-1]) < full):
            yield piece
            piece = []
        piece.append(line)
    yield piece


def _width(line: Paragraph) -> int:
    return len(line.text) + (_INDENT_CHARS if line.is_indented else 0)


def _opens_alone(line: Paragraph) -> bool:
    return line.level is not None or opens(line.text) or heading_level(line.text) is not None


def _is_wrapped(piece: list[Paragraph], widest: int) -> bool:
    if len(piece) < 2 or all(TERMINATED.search(line.text) for line in piece):
        return False
    if widest >= 0.7 * MAX_SHORT_LINE_CHARS:
        return True
    # Narrow lines are a column only where sentences run on through them.
    whole = "".join(line.text for line in piece)
    return len(piece) > 2 and bool(INNER_STOP.search(whole[:-1]) or "," in whole or "，" in whole or "、" in whole)


def opens(line: str) -> bool:
    """Whether a line starts something new: a dash, a bullet, an item of a run."""
    mark = item(line)
    return bool(_OPENER.match(line)) or (mark is not None and mark.style == "{}是")


def is_cut(line: str, following: str, text: str, near: slice = slice(None)) -> bool:
    """Whether a sentence goes on from `line` to `following`; `text[near]` is what they stand in."""
    if len(line) > MAX_JOINED_CHARS:
        return False
    if heading_level(line) is not None and not _CONTINUES.match(following) and not INNER_STOP.search(line):
        return False
    if TERMINATED.search(line[-_END_CHARS:]) or opens(following) or heading_level(following) is not None:
        return False
    if _CONTINUES.match(following) or line[-1] in "，,、":
        return True
    if len(line) <= MAX_SHORT_LINE_CHARS and not INNER_STOP.search(line):
        return False
    return belong_together(line, following, text[near])


def belong_together(line: str, following: str, text: str) -> bool:
    """Whether two lines that meet without punctuation show that nothing is missing between them.

    Signs: a word that the break splits, three characters round the break that stand together elsewhere in `text`, or
    a quotation or bracket that opens above and closes below. What is not Han text needs no sign.
    """
    tail, head = _TAIL.search(line[-_END_CHARS:]), _HEAD.match(following)
    if not tail or not head or _KANA.search(line[-40:] + following[:40]):
        return True
    left, right = tail[0], head[0]
    around = [left[-2:] + right[:1]] if len(left) > 1 else []
    around += [left[-1:] + right[:2]] if len(right) > 1 else []
    return (
        _splits_word(fold_text(left), fold_text(right))
        or any(trigram in text for trigram in around)
        or any(_opens_and_closes(line, following, *pair) for pair in _PAIRS)
    )


def hyphen(line: str, following: str, text: str, near: slice = slice(None)) -> int:
    """How many characters at the end of `line` the break added to a word: 1 for a hyphen as in exam-|ple, else 0.

    long-|term keeps its hyphen where `text[near]` writes it so elsewhere.
    """
    if line.endswith("\u00ad"):
        return 1
    first, second = _HYPHENATED.search(line[-_LONGEST_WORD:]), _LOWER_WORD.match(following)
    if not first or not second or not second[0][0].islower():
        return 0
    return 0 if f"{first[1]}-{second[0]}" in text[near] else 1


def joins_words(line: str, following: str) -> bool:
    """Whether a line break may stand inside a word; between Western words it is a space."""
    return not (line[-1].isascii() and following[0].isascii())


def _splits_word(left: str, right: str) -> bool:
    position = 0
    for word, _ in PLAIN.tag(left + right):
        end = position + len(word)
        if position < len(left) < end and PLAIN.knows(word):
            return True
        position = end
    return False


def _opens_and_closes(line: str, following: str, opening: str, closing: str) -> bool:
    if line.rfind(opening) <= line.rfind(closing):
        return False
    end = following.find(closing)
    return end >= 0 and opening not in following[:end]
