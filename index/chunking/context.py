"""What an article says about itself once and means throughout: its date, its place, who speaks or signs. Pure.

"1-3月份" in a speech is the year of the date under its title, and 市总工会 the city of its signature; a passage that
says neither is found by them all the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from index.chunking.lines import Paragraph
from index.chunking.titles import DATE, NAME, is_formula, is_front_matter
from index.text.fold import fold_text
from index.text.segmenter import PLAIN

# A place named less often is one of which the article says something, not the place that it is about.
MIN_PLACE_MENTIONS = 3
_MAX_TAGGED_CHARS = 20_000
_MAX_LINE_CHARS = 80
_YEAR = re.compile("[12][0-9]{3}年")
# Countries and the like: every document is about them.
_WIDE = frozenset(("中国", "我国", "全国", "中央", "中华人民共和国", "中华"))


def context(title: str, block: Sequence[Paragraph], signed: Sequence[Paragraph], text: str) -> tuple[str, ...]:
    """Dates, names and the place that hold for a whole article, folded, without what its title says.

    `block` are the lines that its title is made of and those among them, `signed` those that sign it, `text` is all.
    """
    known = fold_text(title)
    found = [part for line in [*_front(block), *signed] for part in _telling(line)]
    if not any(DATE.search(part) for part in found) and (year := _YEAR.search(known)):
        found.append(year.group())
    if not _places("\n".join([known, *found])) and (place := _place(text)):
        found.append(place)
    return tuple(part for part in dict.fromkeys(found) if part and (part not in known or _YEAR.fullmatch(part)))


def _front(block: Sequence[Paragraph]) -> list[Paragraph]:
    """The lines that go with a title; a bare name above it is the caption of a picture that belongs elsewhere."""
    title = next((number for number, line in enumerate(block) if not is_front_matter(line)), 0)
    return [
        line
        for number, line in enumerate(block)
        if is_front_matter(line) and (number > title or not NAME.fullmatch(fold_text(line.text)))
    ]


def _telling(line: Paragraph) -> list[str]:
    """What a line says of the article: its dates, or else the line itself."""
    if line.is_furniture or is_formula(line) or len(line.text) > _MAX_LINE_CHARS:
        return []
    folded = fold_text(line.text)
    return [match.group().strip() for match in DATE.finditer(folded)] or [folded.strip(" ()[]")]


def _places(folded: str) -> Counter[str]:
    return Counter(word for word, tag in PLAIN.tag(folded) if _is_place(word, tag))


def _is_place(word: str, tag: str | None) -> bool:
    return tag == "ns" and len(word) > 1 and word not in _WIDE and PLAIN.knows(word)


def _place(text: str) -> str | None:
    """The place that a text names most."""
    folded = fold_text(text[:_MAX_TAGGED_CHARS])
    counts = Counter(PLAIN.words(folded))
    often = {word: PLAIN.tag_alone(word) for word, count in counts.items() if count >= MIN_PLACE_MENTIONS}
    if None in often.values():  # cut up when it stands alone, so only the text tells its tag
        counts = _places(folded)
    else:
        counts = Counter({word: counts[word] for word, tag in often.items() if _is_place(word, tag)})
    found = counts.most_common(1)
    return found[0][0] if found and found[0][1] >= MIN_PLACE_MENTIONS else None
