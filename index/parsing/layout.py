"""Printed lines to paragraphs, by where they stand on the page. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from index.parsing.draft import Draft

# A running head or foot stands among so many lines at the edge of a page, on so large a share of the pages.
_EDGE_LINES = 2
_RUNNING_SHARE = 0.5
_PAGE_NUMBER = re.compile(
    "[-—–·•]\\s*[0-9]{1,4}\\s*[-—–·•]|第\\s*[0-9]{1,4}\\s*[页頁]|(?:page|p\\.)\\s*[0-9]{1,4}", re.IGNORECASE
)
_PAGE_OF = re.compile("第?\\s*+[0-9]++\\s*+[页頁]?\\s*+(?:/|of|[,，]?\\s*+共)\\s*+[0-9]++\\s*+[页頁]?", re.IGNORECASE)
_HEADING_SCALE = 1.2
_MAX_HEADING_CHARS = 60
_PARAGRAPH_GAP = 1.5
# So many lines above and below show where a line's column ends; a printed page has fewer.
_AROUND = 200
# Not Han characters alone: East Asian punctuation, kana and full-width forms have no spaces round them either.
_EAST_ASIAN = re.compile("[\u2e80-\u9fff\uf900-\uffef]")
_HANGING = re.compile("[，。、；：？！”’）》」』,.;:?!)]$")
_SENTENCE_END = re.compile("[。！？!?.；;：:][”’」』》）)]*$")
# Lines that don't end a sentence may fall so much short of the margin and still go on.
_RAGGED_CHARS = 3
_FIRST_WORD = re.compile("[!-~]+|\\S[，。、；：？！”’）》」』,.;:?!)]*")


@dataclass(frozen=True, slots=True)
class Line:
    """A printed line. Lengths are in points or pixels, the origin is at the bottom left; all 0 when not known.

    `size` is the size of its type, 0 when not known.
    """

    text: str
    left: float
    right: float
    bottom: float
    size: float

    @property
    def char_width(self) -> float:
        return (self.right - self.left) / max(1, len(self.text))


def without_running_lines(pages: Sequence[list[Line]]) -> list[list[Line]]:
    """Pages without page numbers, and without running heads and feet where they only repeat."""
    edges = [_running_names(lines) for lines in pages]
    counts = Counter(name for names in edges for name in {*names.values()})
    running = {name for name, count in counts.items() if count >= max(3, _RUNNING_SHARE * len(pages))}
    seen: set[str] = set()
    kept: list[list[Line]] = []
    for lines, names in zip(pages, edges, strict=True):
        kept.append([line for line in lines if line not in names or not _is_repeat(line, names[line], running, seen)])
        seen.update(names.values())
    return kept


def _running_names(lines: Sequence[Line]) -> dict[Line, str]:
    """The lines at the edges of a page with what they say; the outermost without its numbers, which count pages."""
    names = {line: "".join(line.text.split()) for line in (*lines[:_EDGE_LINES], *lines[-_EDGE_LINES:])}
    for line in (*lines[:1], *lines[-1:]):
        names[line] = re.sub("[0-9]+", "0", names[line])
    return names


def _is_repeat(line: Line, name: str, running: set[str], seen: set[str]) -> bool:
    if _PAGE_NUMBER.fullmatch(line.text) or _PAGE_OF.fullmatch(line.text):
        return True
    return name in running and (name in seen or name.isdigit())


def write(pages: Sequence[list[Line]], draft: Draft) -> None:
    """Write pages of lines into a draft, as paragraphs and headings."""
    sizes = Counter[float]()
    for lines in pages:
        for line in lines:
            sizes[round(line.size)] += len(line.text)
    usual = sizes.most_common(1)[0][0] if sizes else 0
    levels = {size: level for level, size in enumerate(sorted((s for s in sizes if s > usual), reverse=True), start=1)}
    above: list[Line] = []
    for lines in pages:
        draft.page()
        for number, paragraph in enumerate(_paragraphs(lines)):
            text = _joined(paragraph)
            size = round(paragraph[0].size)
            if number == 0 and above and _runs_on(above, lines):
                draft.continued(text, "" if _is_unspaced(above[-1].text, text) else " ")
            elif size > usual * _HEADING_SCALE and 1 < len(text) <= _MAX_HEADING_CHARS and not text.isdigit():
                draft.heading(levels[size], text)
            else:
                draft.paragraph(text)
        above = lines or above


def _runs_on(above: Sequence[Line], lines: Sequence[Line]) -> bool:
    """Whether the last sentence of a page goes on at the top of the next one."""
    line, following = above[-1], lines[0]
    if _SENTENCE_END.search(line.text) or following.left > min(other.left for other in lines) + following.char_width:
        return False
    return not _ends(line, following, _margin(line, above[-_AROUND:]), usual_step=0)


def _paragraphs(lines: Sequence[Line]) -> Iterator[list[Line]]:
    steps = [above.bottom - line.bottom for above, line in zip(lines, lines[1:], strict=False)]
    usual_step = median([step for step in steps if step > 0] or [0])
    paragraph: list[Line] = []
    for number, line in enumerate(lines):
        around = lines[max(0, number - _AROUND) : number + _AROUND]
        if paragraph and _ends(paragraph[-1], line, _margin(paragraph[-1], around), usual_step):
            yield paragraph
            paragraph = []
        paragraph.append(line)
    if paragraph:
        yield paragraph


def _margin(line: Line, lines: Sequence[Line]) -> float:
    """Where the lines of this line's column end; punctuation may hang beyond."""
    reach = 4 * line.char_width
    column = [other for other in lines if abs(other.left - line.left) <= reach]
    return max(other.right - (other.char_width if _HANGING.search(other.text) else 0) for other in column)


def _ends(line: Line, following: Line, margin: float, usual_step: float) -> bool:
    """Whether a paragraph ends with `line`: the next word would have fitted, or the next line stands apart."""
    if line.right <= line.left:
        return True
    first_word = _FIRST_WORD.match(following.text)
    needed = (len(first_word[0]) if first_word else 1) + 0.5
    if not _SENTENCE_END.search(line.text):
        needed += _RAGGED_CHARS
    if line.right + needed * following.char_width < margin:
        return True
    step = line.bottom - following.bottom
    if usual_step and step > _PARAGRAPH_GAP * usual_step:
        return True
    is_indented = following.left > line.left + 1.5 * following.char_width and step > 0
    return is_indented or abs(line.size - following.size) > 0.15 * max(line.size, following.size)


def _joined(lines: Sequence[Line]) -> str:
    parts = [lines[0].text]
    for line in lines[1:]:
        above = parts[-1]
        if above.endswith(("-", "\ufffe", "\u00ad")) and above[-2:-1].isalpha() and line.text[0].islower():
            parts[-1] = above[:-1]
            parts.append(line.text)
        else:
            parts.append(line.text if _is_unspaced(above, line.text) else f" {line.text}")
    return "".join(parts)


def _is_unspaced(text: str, following: str) -> bool:
    """Whether no space belongs between two stretches of a line."""
    return bool(_EAST_ASIAN.match(text[-1]) or _EAST_ASIAN.match(following[0]))
