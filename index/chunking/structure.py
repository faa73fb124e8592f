"""Which paragraphs are headings, wherever on the page they stand. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from index.chunking.cuts import MAX_SHORT_LINE_CHARS
from index.chunking.lines import Paragraph, join, lines
from index.chunking.numbering import (
    INNER_STOPS,
    ITEM_HEADING_LEVEL,
    PLAIN_HEADING_LEVEL,
    Item,
    heading_level,
    item,
)
from index.chunking.sentences import clauses, sentences
from index.chunking.titles import is_front_matter, is_short


def paragraphs(text: str) -> list[Paragraph]:
    """The paragraphs of `text` in order, headings marked."""
    return _mark_headings(list(join(_split_tails(list(lines(text))), text)))


def _split_tails(found: list[Paragraph]) -> Iterator[Paragraph]:
    """Cut off a heading that stands at the end of the line before its own text, and mark items that head a line's text.

    Unfinished ones show themselves by their number. A whole short sentence, as in 二是扩面提质。, is a heading where
    the item before it was one.
    """
    headed: dict[str, int] = {}
    for line, following in pairwise([*found, None]):
        assert line is not None
        own = item(line.text)
        if own and _heads(own, line.text, following, headed):
            headed[own.style] = own.number
            yield replace(line, level=ITEM_HEADING_LEVEL if heading_level(line.text) is None else None)
            continue
        start = _tail_start(line.text, following, headed)
        if not start:
            yield line
            continue
        tail, body = line.text[start:], line.text[:start].rstrip()
        is_item = heading_level(tail) is None
        if tail_item := item(tail):
            headed[tail_item.style] = tail_item.number
        first = line.start + start
        yield replace(
            line, end=line.start + len(body), text=body, hidden=tuple(s for s in line.hidden if s[1] <= first)
        )
        hidden = tuple(span for span in line.hidden if span[0] >= first)
        yield Paragraph(first, line.end, tail, level=ITEM_HEADING_LEVEL if is_item else None, hidden=hidden)


def _heads(own: Item, text: str, following: Paragraph | None, headed: Mapping[str, int]) -> bool:
    """Whether a line that opens with an item is a heading: one short sentence, with longer text below it."""
    if following is None or len(text) > MAX_SHORT_LINE_CHARS or len(sentences(text)) > 1:
        return False
    below = item(following.text)
    if len(following.text) <= max(1.5 * len(text), MAX_SHORT_LINE_CHARS) or (below and below.style == own.style):
        return False
    return own.number == 1 or headed.get(own.style) == own.number - 1


def _tail_start(text: str, following: Paragraph | None, headed: Mapping[str, int]) -> int:
    """Where the heading at the end of a line begins; 0 where there is none."""
    stop = 1 + max(map(text.rfind, INNER_STOPS))
    tail = text[stop:].lstrip()
    if stop and tail:
        return len(text) - len(tail) if len(tail) <= MAX_SHORT_LINE_CHARS and heading_level(tail) is not None else 0
    if following is None or not headed:
        return 0
    found = sentences(text)
    if len(found) < 2 or found[-1][1] - found[-1][0] > MAX_SHORT_LINE_CHARS:
        return 0
    start = found[-1][0]
    own = item(text[start:])
    if own is None or headed.get(own.style) != own.number - 1 or own.number < 2:
        return 0
    below = item(following.text)
    inside = any(
        other and other.style == own.style for other in (item(text[first:]) for first, _ in clauses(text)[:-1])
    )
    return 0 if inside or (below and below.style == own.style) else start


def _mark_headings(found: list[Paragraph]) -> list[Paragraph]:
    """Set the level of headings; a short line without punctuation is one when running text follows it closely."""
    marked: list[Paragraph] = []
    usual_gap = max(Counter(line.gap for line in found).most_common(1), default=(0, 0))[0]
    for line, following in pairwise([*found, None]):
        assert line is not None
        level = line.level if line.level is not None or line.is_furniture else heading_level(line.text)
        if level is None and following is not None and not is_front_matter(line) and is_short(line):
            is_text = len(following.text) > max(1.5 * len(line.text), MAX_SHORT_LINE_CHARS)
            # A caption stands apart from what follows it; a heading does not.
            if is_text and following.gap <= usual_gap and len(line.text) > 1:
                level = PLAIN_HEADING_LEVEL
        marked.append(line if level == line.level else replace(line, level=level))
    return marked
