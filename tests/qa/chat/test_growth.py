"""What strangers and models write, however long, costs chat's rooms work in proportion to its length."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qa.chat.card import MARKDOWN, escape_markdown, marked, one_line, without_sources, written
from qa.chat.reply import MarkdownStream
from tests.growth import assert_linear, floods
from tests.qa.chat.test_reply import CITED

MARKDOWN_MARKS = ("    ", "1. ", "\n1", "\n#", " \n", "[1]", "[12", "\n\n**来源", "&lt;", "**", "\r\n", "\x0b")


def stream(text: str, size: int) -> str:
    writing = MarkdownStream(CITED)
    return "".join(writing.feed(text[start : start + size]) for start in range(0, len(text), size))


def test_markdown():
    assert_linear(escape_markdown, floods(MARKDOWN_MARKS))
    assert_linear(lambda text: written(marked(text, CITED), MARKDOWN), floods(MARKDOWN_MARKS), largest=8_000)
    assert_linear(without_sources, floods(MARKDOWN_MARKS))
    assert_linear(one_line, floods(MARKDOWN_MARKS))


def test_a_message_that_grows():
    for size in (3, 1_000_000):
        assert_linear(lambda text, size=size: stream(text, size), floods(MARKDOWN_MARKS), largest=8_000)
    units = [(unit, "") for unit in ("中", " ", "\n", "1", "[", "a\n")]
    assert_linear(lambda text: stream(text, 8), units, smallest=32_000, largest=256_000)


PIECES = st.lists(
    st.sampled_from([*MARKDOWN_MARKS, "[9]", "1", "2)", "- ", "\t", "字", "*", "a  ", "\n   ", "0123456789"])
)


@given(PIECES.map("".join), st.integers(1, 5))
def test_what_is_shown_of_a_growing_message_is_how_the_whole_begins(text, size):
    whole = written(marked(text, CITED), MARKDOWN)
    shown = stream(text + "。", size)
    assert shown == written(marked(text + "。", CITED), MARKDOWN)
    assert whole.startswith(stream(text, size))
