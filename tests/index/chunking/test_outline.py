from __future__ import annotations

from index.chunking.outline import Heading, headings, pages
from index.chunking.passages import split
from index.types import Section
from tests.conftest import seed


def section(start: int, title: str = "甲", path: tuple[str, ...] = (), article: int = 1, **more: object) -> Section:
    return Section(article, title, path, more.pop("page", None), 1, start, start + 5, **more)  # type: ignore[arg-type]


def test_titles_and_headings_stand_where_the_text_has_them():
    text = "甲\n一、起\n甲乙丙丁戊\n(一)承\n甲乙丙丁戊\n二、转\n甲乙丙丁戊\n乙\n甲乙丙丁戊"
    body = [place for place in range(len(text)) if text.startswith("甲乙丙丁戊", place)]
    paths = [("一、起",), ("一、起", "(一)承"), ("二、转",), ()]
    sections = [section(s, "乙" if n == 3 else "甲", paths[n], n // 3) for n, s in enumerate(body)]
    found = list(headings(sections, text))
    assert [(h.title, h.level) for h in found] == [("甲", 0), ("一、起", 1), ("(一)承", 2), ("二、转", 1), ("乙", 0)]
    assert all(text.startswith(h.title, h.start) for h in found)
    assert [h.start for h in found] == sorted(h.start for h in found)


def test_a_heading_comes_again_when_another_article_has_it():
    sections = [section(0, "甲", ("一",), 1), section(9, "乙", ("一",), 2)]
    assert [h.title for h in headings(sections, "x" * 20)] == ["甲", "一", "乙", "一"]


def test_what_is_not_in_the_text_is_put_at_its_passage():
    assert list(headings([section(4, "无此题", page=3)], "abcdefghi")) == [Heading("无此题", 0, 4, 3)]
    assert list(headings([section(4, "")], "abcdefghi")) == []
    assert list(headings([], "")) == []


def test_pages_begin_where_they_are_first_met():
    sections = [section(0, page=1), section(5, page=1, page_breaks=(8,)), section(10, page=2), section(20, page=4)]
    assert pages(sections) == [(1, 0), (2, 8), (4, 20)]
    assert pages([section(0)]) == []


def test_outline_of_a_seed():
    text = seed(2)
    found = list(headings(split(text), text))
    assert "聚焦政治引领 筑牢思想根基" in [h.title for h in found]
    assert all(text.startswith(h.title.split()[0], h.start) for h in found if h.level)
