"""Text to passages: articles told apart, headings tracked, paragraphs cut to a size that can be ranked and shown.

What a reader knows of the document is brought to its passages: pages, captions of tables, damage (`place`). Pure: no
file, store or clock.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from index.chunking.damage import find_damage
from index.chunking.lines import Paragraph
from index.chunking.numbering import bare, is_piece
from index.chunking.sentences import chunks, sentences
from index.chunking.structure import paragraphs
from index.chunking.titles import context, is_front_matter, is_short, opening_lines, signature
from index.text.fold import HIDDEN
from index.types import Caption, Notice, ReadText, Section, Span

# About three sentences: long enough to carry a subject, short enough that its figures belong together.
MAX_PASSAGE_CHARS = 300
# Lines shorter than this that follow each other without a blank line (lists, tables) share a passage.
MAX_LIST_LINE_CHARS = 80
MAX_TITLE_CHARS = 80
# Each passage holds the headings above it, so what a text passes off as one must not be a text of its own.
MAX_HEADING_CHARS = 200
# Headings stand with the text under them, as long as there are not so many of them that they are a text of their own.
MAX_HEADED_CHARS = 4 * MAX_PASSAGE_CHARS
# An article shorter than this is a title block with a remark under it; a second title block there continues the first.
MIN_ARTICLE_CHARS = 100


@dataclass(slots=True)
class _Article:
    """An article while it is being read."""

    number: int
    title: str
    context: tuple[str, ...]
    headings: dict[int, str] = field(default_factory=dict)

    def enter(self, heading: Paragraph) -> None:
        assert heading.level is not None
        self.headings = {level: name for level, name in self.headings.items() if level < heading.level}
        self.headings[heading.level] = bare(_visible(heading))[:MAX_HEADING_CHARS]

    @property
    def heading_path(self) -> tuple[str, ...]:
        return tuple(name for name in self.headings.values() if name and name not in self.title)


def with_passages(read: ReadText) -> ReadText:
    """A document with its passages and what to be wary of in them; one that is cut already stays as it is."""
    if read.sections is not None:
        return read
    sections = place(split(read.text), read, find_damage(read.text))
    return replace(read, sections=tuple(sections), notices=(*read.notices, *damage_notices(read.text, sections)))


def split(text: str) -> list[Section]:
    """The passages of `text` in order. Every character that is not white space lies in one of them."""
    sections: list[Section] = []
    for number, article in enumerate(_articles(_numbered(paragraphs(text)))):
        block, signed = _title_lines(article), _signed(article)
        title = _title(block, signed, article)
        body = text[article[0][1].start : article[-1][1].end]
        sections.extend(_sections(_Article(number, title, context(title, block, signed, body)), article))
    return _absorb_hidden(sections, text)


def clean(text: str, start: int, hidden: tuple[Span, ...]) -> str:
    """A passage's text as matching sees it: as long as the text, with what is hidden blanked out.

    A hidden line break between Western words is a space, so that sentences run on and words stay apart.
    """
    if not hidden:
        return text
    parts: list[str] = []
    position = 0
    for hidden_start, hidden_end in hidden:
        first, last = hidden_start - start, hidden_end - start
        around = text[max(0, first - 1) : first] + text[last : last + 1]
        is_space = around.isascii() and not around.startswith("-") and text[first:last].isspace()
        parts += [text[position:first], (" " if is_space else HIDDEN) * (last - first)]
        position = last
    return "".join([*parts, text[position:]])


def _absorb_hidden(sections: list[Section], text: str) -> list[Section]:
    """Give passages in which nothing is visible to the one before, or at the start of the text to the one after."""
    shown = [place for place, section in enumerate(sections) if _is_visible(section, text)]
    first = shown[0] if shown else 0
    absorbed = []
    for start, end in pairwise([0, *shown[1:], len(sections)] if sections else []):
        run = sections[start:end]
        hidden = tuple(span for section in run for span in section.hidden)
        absorbed.append(replace(sections[max(start, first)], start=run[0].start, end=run[-1].end, hidden=hidden))
    return absorbed


def _is_visible(section: Section, text: str) -> bool:
    words = clean(text[section.start : section.end], section.start, section.hidden)
    return bool(words.replace(HIDDEN, "").strip())


_Numbered = tuple[int, Paragraph]


def _numbered(lines: list[Paragraph]) -> list[_Numbered]:
    return list(enumerate(lines, start=1))


def _articles(lines: list[_Numbered]) -> Iterator[list[_Numbered]]:
    """Cut the paragraphs where a new article opens: at a 第N篇 line, a further H1, or a title block."""
    article: list[_Numbered] = []
    body_chars = signed = 0
    for position, (number, line) in enumerate(lines):
        if position > 0 and is_short(line) and not is_short(lines[position - 1][1]):
            count = _signature(lines, position)
            signed = position + count if count else signed
        is_whole = body_chars >= MIN_ARTICLE_CHARS
        is_below_text = is_whole and position > signed and not is_short(lines[position - 1][1])
        is_below_signature = 0 < signed == position
        opens = (is_below_text or is_below_signature) and _opens(lines, position)
        if article and (is_piece(line.text) or opens or (is_whole and _is_h1(line))):
            yield article
            article, body_chars = [], 0
        article.append((number, line))
        body_chars += 0 if is_short(line) else len(line.text)
    if article:
        yield article


def _is_h1(line: Paragraph) -> bool:
    return line.level == 1 and line.text.startswith("#")


def _opens(lines: list[_Numbered], position: int) -> bool:
    """Whether an article's title block stands at `position`, below running text or a signature."""
    block = [short for _, short in _title_block(lines, position)]
    return len(block) > 1 and opening_lines(block) > 0


def _signature(lines: list[_Numbered], position: int) -> int:
    """How many of the short lines at `position` sign the text above them."""
    block = _title_block(lines, position)
    return signature([line for _, line in block], ends_text=position + len(block) == len(lines))


def _title_block(lines: list[_Numbered], position: int) -> list[_Numbered]:
    """The run of short lines that starts at `position`."""
    end = position
    while end < len(lines) and is_short(lines[end][1]):
        end += 1
    return lines[position:end]


def _title_lines(article: list[_Numbered]) -> list[Paragraph]:
    """The lines that an article's title is made of, with those between and right below them."""
    block = [line for _, line in _title_block(article, 0)]
    return block[: _front(block)] or block[:1]


def _front(block: list[Paragraph]) -> int:
    """How many of an article's first short lines are its title block; a heading right above the body is none."""
    needed = opening_lines(block)
    count = len(block) if needed else 0
    while count > max(needed, 1) and block[count - 1].level is not None:
        count -= 1
    return count


def _signed(article: list[_Numbered]) -> list[Paragraph]:
    """The lines that sign an article, at its end or above what is attached to it."""
    starts = (
        position
        for position in range(len(article) - 1, 0, -1)
        if is_short(article[position][1]) and not is_short(article[position - 1][1])
    )
    for start in starts:
        if count := _signature(article, start):
            return [line for _, line in article[start : start + count]]
    return []


def _title(block: list[Paragraph], signed: list[Paragraph], article: list[_Numbered]) -> str:
    """The article's title; where it has none, its signature or the opening of its first sentence."""
    parts: list[str] = []
    known = ""
    for line in block:
        words = bare(_visible(line))
        if not is_front_matter(line) and words and words.lstrip("—-") not in known:
            parts.append(words)
            known += words
        if len(known) >= MAX_TITLE_CHARS or (parts and line.level is not None and is_front_matter(line)):
            break
    if parts:
        return " ".join(parts)[:MAX_TITLE_CHARS]
    if signed:
        return signed[0].text.strip("()（）")[:MAX_TITLE_CHARS]
    first = next((line for _, line in article if not line.is_furniture), article[0][1])
    words = clean(first.text, first.start, first.hidden)
    start, end = sentences(words)[0]
    return words[start:end].replace(HIDDEN, "")[:MAX_TITLE_CHARS]


def _visible(line: Paragraph) -> str:
    return clean(line.text, line.start, line.hidden).replace(HIDDEN, "")


def _sections(article: _Article, lines: list[_Numbered]) -> Iterator[Section]:
    front = _front([line for _, line in _title_block(lines, 0)])
    if front:
        yield from _cut(article, lines[:front])
    pending: list[_Numbered] = []
    for number, line in lines[front:]:
        if line.level is not None:
            if pending and pending[-1][1].level is None:
                yield from _cut(article, pending)
                pending = []
            article.enter(line)
            pending.append((number, line))
            continue
        if pending and not _continues_list(pending[-1][1], line):
            yield from _cut(article, pending)
            pending = []
        pending.append((number, line))
    if pending:
        yield from _cut(article, pending)


def _continues_list(above: Paragraph, line: Paragraph) -> bool:
    if above.level is not None or above.is_furniture:
        return True
    return line.gap == 0 and max(len(above.text), len(line.text)) <= MAX_LIST_LINE_CHARS


def _cut(article: _Article, run: list[_Numbered]) -> Iterator[Section]:
    """Passages of one run of paragraphs: headings with the text under them, cut to size."""
    group: list[_Numbered] = []
    for number, line in run:
        above = group[-1][1] if group else None
        is_text = above is not None and above.level is None and not above.is_furniture
        first = group[0][1].start if group else line.start
        if (is_text and line.end - first > MAX_PASSAGE_CHARS) or line.start - first > MAX_HEADED_CHARS:
            yield from _passages(article, group)
            group = []
        group.append((number, line))
    if group:
        yield from _passages(article, group)


def _passages(article: _Article, group: list[_Numbered]) -> Iterator[Section]:
    start = group[0][1].start
    body_number, body = group[-1]
    hidden = [span for _, line in group for span in line.hidden]
    # Only the last paragraph of a group can be long: the ones above it are headings or list lines.
    for index, (left, right) in enumerate(chunks(clean(body.text, body.start, body.hidden), MAX_PASSAGE_CHARS)):
        first = start if index == 0 else body.start + left
        last = body.start + right
        yield Section(
            article=article.number,
            title=article.title,
            heading_path=article.heading_path,
            page=None,
            paragraph=group[0][0] if len(group) > 1 and group[0][1].level is None else body_number,
            start=first,
            end=last,
            hidden=_within(hidden, first, last),
            context=article.context,
        )


def _within(hidden: list[Span], first: int, last: int) -> tuple[Span, ...]:
    """The hidden spans that lie in a passage, cut to it."""
    near = hidden[max(0, bisect_left(hidden, (first, 0)) - 1) : bisect_left(hidden, (last, 0))]
    return tuple((max(start, first), min(end, last)) for start, end in near if end > first)


# More places than these help nobody; beyond this share of a text it is not places that are damaged.
MAX_NOTICES = 100
_WRONG_ENCODING_SHARE = 0.2
_WRONG_ENCODING_CHARS = 50
_CONTEXT_CHARS = 6
_MAX_SHOWN_CHARS = 60


def place(sections: Iterable[Section], read: ReadText, damaged: Sequence[Span]) -> list[Section]:
    """The sections of `read.text` with their pages, the caption of their table as a heading, and what is damaged."""
    if not (read.pages or read.captions or damaged):
        return list(sections)
    return [
        replace(
            section,
            page=bisect_right(read.pages, section.start) or 1 if read.pages else None,
            page_breaks=_between(read.pages, section.start, section.end),
            heading_path=(*section.heading_path, *_caption(section, read.captions)),
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
    text = captions[position].text[:MAX_HEADING_CHARS]
    return [text] if text not in (section.title, *section.heading_path) else []


def within(spans: Sequence[Span], start: int, end: int) -> list[Span]:
    """The parts of sorted, separate spans that lie in `[start, end)`."""
    first = bisect_right(spans, start, key=lambda span: span[1])
    last = bisect_left(spans, end, key=lambda span: span[0])
    return [(max(left, start), min(right, end)) for left, right in spans[first:last]]


def damage_notices(text: str, sections: Sequence[Section]) -> list[Notice]:
    """A notice for each damaged span, with its place; one alone where so much is damaged that the encoding is wrong."""
    places = [(section, span) for section in sections for span in section.damaged]
    damaged_chars = sum(end - start for _, (start, end) in places)
    if damaged_chars > max(_WRONG_ENCODING_CHARS, _WRONG_ENCODING_SHARE * len(text)):
        advice = "most of it can't be read, as when a file is opened in a wrong encoding; get it again, as UTF-8"
        return [Notice("wrong-encoding", advice)]
    notices = [_damage_notice(text, section, span) for section, span in places[:MAX_NOTICES]]
    if len(places) > MAX_NOTICES:
        notices.append(
            Notice("damage", f"and {len(places) - MAX_NOTICES} more places; each passage has its own marked")
        )
    return notices


def _damage_notice(text: str, section: Section, span: Span) -> Notice:
    start, end = span
    context = "".join(text[max(start - _CONTEXT_CHARS, 0) : end + _CONTEXT_CHARS].split())[:_MAX_SHOWN_CHARS]
    page = None if section.page is None else section.page + bisect_right(section.page_breaks, start)
    return Notice("damage", f"can't be read as it was meant: {context!r}", page, section.paragraph, start, end)
