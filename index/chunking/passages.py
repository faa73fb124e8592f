"""Text to passages: articles told apart, headings tracked, paragraphs cut to a size that can be ranked and shown.

Pure: no file, store or clock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from index.chunking.context import context
from index.chunking.lines import Paragraph
from index.chunking.numbering import bare, is_piece
from index.chunking.sentences import chunks, sentences
from index.chunking.structure import paragraphs
from index.chunking.titles import is_front_matter, is_short, opens_article, signature
from index.text.fold import HIDDEN
from index.types import Section, Span

# About three sentences: long enough to carry a subject, short enough that its figures belong together.
MAX_PASSAGE_CHARS = 300
# Lines shorter than this that follow each other without a blank line (lists, tables) share a passage.
MAX_LIST_LINE_CHARS = 80
MAX_TITLE_CHARS = 80
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
        self.headings[heading.level] = bare(_visible(heading))

    @property
    def heading_path(self) -> tuple[str, ...]:
        return tuple(name for name in self.headings.values() if name and name not in self.title)


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
    kept: list[Section] = []
    start: Section | None = None
    for section in sections:
        visible = clean(text[section.start : section.end], section.start, section.hidden).replace(HIDDEN, "").strip()
        if not visible and kept:
            kept[-1] = replace(kept[-1], end=section.end, hidden=kept[-1].hidden + section.hidden)
        elif not visible and start is None:
            start = section
        elif not visible and start is not None:
            start = replace(start, end=section.end, hidden=start.hidden + section.hidden)
        elif start is not None:
            kept.append(replace(section, start=start.start, hidden=start.hidden + section.hidden))
            start = None
        else:
            kept.append(section)
    return kept if start is None else [start]


_Numbered = tuple[int, Paragraph]


def _numbered(found: list[Paragraph]) -> list[_Numbered]:
    return list(enumerate(found, start=1))


def _articles(found: list[_Numbered]) -> Iterator[list[_Numbered]]:
    """Cut the paragraphs where a new article opens: at a 第N篇 line, a further H1, or a title block."""
    article: list[_Numbered] = []
    body_chars = signed = 0
    for position, (number, line) in enumerate(found):
        if position > 0 and is_short(line) and not is_short(found[position - 1][1]):
            count = _signature(found, position)
            signed = position + count if count else signed
        is_whole = body_chars >= MIN_ARTICLE_CHARS
        is_below_text = is_whole and position > signed and not is_short(found[position - 1][1])
        is_below_signature = 0 < signed == position
        opens = (is_below_text or is_below_signature) and _opens(found, position)
        if article and (is_piece(line.text) or opens or (is_whole and _is_h1(line))):
            yield article
            article, body_chars = [], 0
        article.append((number, line))
        body_chars += 0 if is_short(line) else len(line.text)
    if article:
        yield article


def _is_h1(line: Paragraph) -> bool:
    return line.level == 1 and line.text.startswith("#")


def _opens(found: list[_Numbered], position: int) -> bool:
    """Whether an article's title block stands at `position`, below running text or a signature."""
    block = [short for _, short in _title_block(found, position)]
    return len(block) > 1 and opens_article(block)


def _signature(found: list[_Numbered], position: int) -> int:
    """How many of the short lines at `position` sign the text above them."""
    block = _title_block(found, position)
    return signature([line for _, line in block], ends_text=position + len(block) == len(found))


def _title_block(found: list[_Numbered], position: int) -> list[_Numbered]:
    """The run of short lines that starts at `position`."""
    end = position
    while end < len(found) and is_short(found[end][1]):
        end += 1
    return found[position:end]


def _title_lines(article: list[_Numbered]) -> list[Paragraph]:
    """The lines that an article's title is made of, with those between and right below them."""
    block = [line for _, line in _title_block(article, 0)]
    return block[: _front(block)] or block[:1]


def _front(block: list[Paragraph]) -> int:
    """How many of an article's first short lines are its title block; a heading right above the body is none."""
    count = len(block) if opens_article(block) else 0
    while count > 1 and block[count - 1].level is not None and opens_article(block[: count - 1]):
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
    for line in block:
        words = bare(_visible(line))
        known = "".join(parts)
        if not is_front_matter(line) and words and words.lstrip("—-") not in known:
            parts.append(words)
        if parts and line.level is not None and is_front_matter(line):
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


def _sections(article: _Article, found: list[_Numbered]) -> Iterator[Section]:
    front = _front([line for _, line in _title_block(found, 0)])
    if front:
        yield from _cut(article, found[:front])
    pending: list[_Numbered] = []
    for number, line in found[front:]:
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
        if is_text and line.end - group[0][1].start > MAX_PASSAGE_CHARS:
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
