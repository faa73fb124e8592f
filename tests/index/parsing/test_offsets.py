"""For every format and whatever a document says: offsets are exact and nothing that was read is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index.chunking.damage import find_damage
from index.chunking.passages import clean, damage_notices, place, split
from index.parsing import ReadText, contents
from tests.index.parsing import samples

pytestmark = pytest.mark.slow

# What XML can hold; readers of other formats meet the rest in the broken files.
_CHARS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="\ufffe\uffff")
_ODD = st.text(_CHARS, max_size=40)
_CHINESE = st.text("工会员帮扶中心一二三(第篇章、，。；？?;:#-|1097 \u3000ぷ𠮷😀\ufffd", max_size=120)
TEXTS = st.lists(_ODD | _CHINESE, min_size=1, max_size=6)
ROWS = st.lists(st.lists(_ODD | st.sampled_from(["县区", "213", "12.5%", ""]), min_size=3, max_size=3), max_size=5)

MAKERS: dict[str, Callable[[Sequence[str], Sequence[Sequence[str]]], bytes]] = {
    ".txt": lambda texts, rows: "\n".join(texts).encode(),
    ".md": lambda texts, rows: "\r\n\r\n".join(texts).encode("gb18030"),
    ".html": lambda texts, rows: samples.make_html(texts) + _html_table(rows),
    ".docx": lambda texts, rows: samples.make_docx(texts, rows=rows),
    ".pptx": lambda texts, rows: samples.make_pptx(texts),
    ".xlsx": lambda texts, rows: samples.make_xlsx([[text[:1000]] for text in texts] + [list(row) for row in rows]),
    ".csv": lambda texts, rows: samples.make_csv([[*row, *texts] for row in rows]),
    ".pdf": lambda texts, rows: samples.make_pdf(texts, page_each=True),
    ".epub": lambda texts, rows: samples.make_epub(texts),
    ".eml": lambda texts, rows: samples.make_eml([text.replace("\r", "") for text in texts]),
    ".zip": lambda texts, rows: samples.make_zip({"a.txt": "".join(texts).encode(), "b.htm": samples.make_html(texts)}),
}


def _html_table(rows: Sequence[Sequence[str]]) -> bytes:
    import html

    cells = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
    return ("<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>").encode()


@pytest.mark.parametrize("suffix", MAKERS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=TEXTS, rows=ROWS)
def test_offsets_hold(suffix: str, texts: list[str], rows: list[list[str]]) -> None:
    for found in contents(Path("a" + suffix), MAKERS[suffix](texts, rows)):
        if isinstance(found, ReadText):
            check(found)
        else:
            assert "no text" in found.reason or "empty" in found.reason or "recognised" in found.reason, found.reason


def check(found: ReadText) -> None:
    """Everything that `ReadText` and the passages made of it promise."""
    text = found.text
    text.encode()
    assert all(0 <= start <= len(text) for start in found.pages)
    assert list(found.pages) == sorted(found.pages)
    assert all(text[caption.start : caption.end].strip() for caption in found.captions)
    damaged = find_damage(text)
    assert all(left[1] < right[0] for left, right in pairwise(damaged))
    sections = place(split(text), found, damaged)
    position = 0
    for section in sections:
        assert text[position : section.start].strip() == ""
        assert section.start < section.end
        position = section.end
        for start, end in (*section.hidden, *section.damaged):
            assert section.start <= start < end <= section.end
        assert (
            len(clean(text[section.start : section.end], section.start, section.hidden)) == section.end - section.start
        )
        if found.pages:
            pages = [found.pages[0], *found.pages]  # what stands above the first page is on it
            assert section.page and pages[section.page] <= section.start or section.page == 1
            assert all(section.start < start < section.end for start in section.page_breaks)
        else:
            assert section.page is None
    assert text[position:].strip() == ""
    marked = {char for section in sections for start, end in section.damaged for char in range(start, end)}
    assert marked == {char for start, end in damaged for char in range(start, end) if not text[char].isspace()} | marked
    for notice in damage_notices(text, sections):
        assert notice.start is None or text[notice.start : notice.end]
