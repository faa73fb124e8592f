"""Which paragraphs are headings, wherever on the page they stand, and the outline that they make. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from index.chunking.lines import MAX_SHORT_LINE_CHARS, Paragraph, join, lines
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
from index.types import Section


def paragraphs(text: str) -> list[Paragraph]:
    """The paragraphs of `text` in order, headings marked."""
    return _mark_headings(list(join(_split_tails(list(lines(text))), text)))


def _split_tails(unsplit: list[Paragraph]) -> Iterator[Paragraph]:
    """Cut off a heading that stands at the end of the line before its own text, and mark items that head a line's text.

    Unfinished ones show themselves by their number. A whole short sentence, as in 二是扩面提质。, is a heading where
    the item before it was one.
    """
    headed: dict[str, int] = {}
    for line, following in pairwise([*unsplit, None]):
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
    spans = sentences(text)
    if len(spans) < 2 or spans[-1][1] - spans[-1][0] > MAX_SHORT_LINE_CHARS:
        return 0
    start = spans[-1][0]
    own = item(text, start)
    if own is None or headed.get(own.style) != own.number - 1 or own.number < 2:
        return 0
    below = item(following.text)
    inside = any(other and other.style == own.style for other in (item(text, first) for first, _ in clauses(text)[:-1]))
    return 0 if inside or (below and below.style == own.style) else start


def _mark_headings(unmarked: list[Paragraph]) -> list[Paragraph]:
    """Set the level of headings; a short line without punctuation is one when running text follows it closely."""
    marked: list[Paragraph] = []
    usual_gap = max(Counter(line.gap for line in unmarked).most_common(1), default=(0, 0))[0]
    for line, following in pairwise([*unmarked, None]):
        assert line is not None
        level = line.level if line.level is not None or line.is_furniture else heading_level(line.text)
        if level is None and following is not None and not is_front_matter(line) and is_short(line):
            is_text = len(following.text) > max(1.5 * len(line.text), MAX_SHORT_LINE_CHARS)
            # A caption stands apart from what follows it; a heading does not.
            if is_text and following.gap <= usual_gap and len(line.text) > 1:
                level = PLAIN_HEADING_LEVEL
        marked.append(line if level == line.level else replace(line, level=level))
    return marked


@dataclass(frozen=True, slots=True)
class Heading:
    """A title or heading. `level` is 0 for an article, 1 for a heading in it, and so on; `start` is its offset."""

    title: str
    level: int
    start: int
    page: int | None


def headings(sections: Sequence[Section], text: str) -> Iterator[Heading]:
    """The articles' titles and the headings below them, in reading order.

    A heading stands between the passage before it and its own; where it can't be found there, as when it was put
    together from several lines, its passage's start is given.
    """
    open_article: int | None = None
    open_path: tuple[str, ...] = ()
    cursor = 0
    for section in sections:
        path = section.heading_path
        if section.article != open_article:
            open_article, open_path = section.article, ()
            cursor, start = _find(section.title, text, cursor, section.start)
            if section.title:
                yield Heading(section.title, 0, start, section.page)
        same = next((n for n, (new, old) in enumerate(zip(path, open_path, strict=False)) if new != old), None)
        same = min(len(path), len(open_path)) if same is None else same
        for level, title in enumerate(path[same:], start=same + 1):
            cursor, start = _find(title, text, cursor, section.start)
            yield Heading(title, level, start, section.page)
        open_path = path
        cursor = max(cursor, section.end)


def pages(sections: Sequence[Section]) -> list[tuple[int, int]]:
    """Each page with the offset at which it is first met, in order; empty for a document without pages."""
    starts: dict[int, int] = {}
    for section in sections:
        if section.page is not None:
            starts.setdefault(section.page, section.start)
            for number, offset in enumerate(section.page_breaks, start=section.page + 1):
                starts.setdefault(number, offset)
    return sorted(starts.items())


def _find(title: str, text: str, first: int, last: int) -> tuple[int, int]:
    """Where to go on looking, and where a title begins in `text[first:last]`, else `last`."""
    line = title.split()[0] if title.split() else title
    start = text.find(title, first, last)
    start = start if start >= 0 else text.find(line, first, last)
    return (start + 1, start) if start >= 0 else (first, last)
