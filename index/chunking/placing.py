"""What a reader knows of a document, brought to its passages: pages, captions of tables, damage. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace

from index.parsing.found import Caption, ReadText
from index.types import Notice, Section, Span

# More places than these help nobody; beyond this share of a text it is not places that are damaged.
MAX_NOTICES = 100
_WRONG_ENCODING_SHARE = 0.2
_WRONG_ENCODING_CHARS = 50
_CONTEXT_CHARS = 6
_MAX_SHOWN_CHARS = 60


def place(sections: Iterable[Section], found: ReadText, damaged: Sequence[Span]) -> list[Section]:
    """The sections of `found.text` with their pages, the caption of their table as a heading, and what is damaged."""
    if not (found.pages or found.captions or damaged):
        return list(sections)
    return [
        replace(
            section,
            page=bisect_right(found.pages, section.start) or 1 if found.pages else None,
            page_breaks=_between(found.pages, section.start, section.end),
            heading_path=(*section.heading_path, *_caption(section, found.captions)),
            damaged=tuple(within(damaged, section.start, section.end)),
        )
        for section in sections
    ]


def _between(offsets: tuple[int, ...], start: int, end: int) -> tuple[int, ...]:
    return offsets[bisect_right(offsets, start) : bisect_left(offsets, end)]


def _caption(section: Section, captions: Sequence[Caption]) -> list[str]:
    position = bisect_right(captions, section.end - 1, key=lambda caption: caption.start) - 1
    if position < 0 or captions[position].end <= section.start:
        return []
    text = captions[position].text
    return [text] if text not in (section.title, *section.heading_path) else []


def within(spans: Sequence[Span], start: int, end: int) -> list[Span]:
    """The parts of sorted, separate spans that lie in `[start, end)`."""
    first = bisect_right(spans, start, key=lambda span: span[1])
    last = bisect_left(spans, end, key=lambda span: span[0])
    return [(max(left, start), min(right, end)) for left, right in spans[first:last]]


def damage_notices(text: str, sections: Sequence[Section]) -> list[Notice]:
    """A notice for each damaged span, with its place; one alone where so much is damaged that the encoding is wrong."""
    found = [(section, span) for section in sections for span in section.damaged]
    damaged_chars = sum(end - start for _, (start, end) in found)
    if damaged_chars > max(_WRONG_ENCODING_CHARS, _WRONG_ENCODING_SHARE * len(text)):
        advice = "most of it can't be read, as when a file is opened in a wrong encoding; get it again, as UTF-8"
        return [Notice("wrong-encoding", advice)]
    notices = [_damage_notice(text, section, span) for section, span in found[:MAX_NOTICES]]
    if len(found) > MAX_NOTICES:
        notices.append(Notice("damage", f"and {len(found) - MAX_NOTICES} more places; each passage has its own marked"))
    return notices


def _damage_notice(text: str, section: Section, span: Span) -> Notice:
    start, end = span
    context = "".join(text[max(start - _CONTEXT_CHARS, 0) : end + _CONTEXT_CHARS].split())[:_MAX_SHOWN_CHARS]
    page = None if section.page is None else section.page + bisect_right(section.page_breaks, start)
    return Notice("damage", f"can't be read as it was meant: {context!r}", page, section.paragraph, start, end)
