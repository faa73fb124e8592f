"""The outline of a document: its articles, headings and pages, with the places where they stand. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from index.types import Section


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
    found = text.find(title, first, last)
    found = found if found >= 0 else text.find(line, first, last)
    return (found + 1, found) if found >= 0 else (first, last)
