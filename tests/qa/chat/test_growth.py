"""What strangers and models write, however long, costs chat's rooms work in proportion to its length."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qa.chat.card import MARKDOWN, escape_markdown, marked, one_line, without_sources, written
from qa.chat.client_tasks import MAX_TASK_CHARS, task_answer, user_question
from qa.chat.openai_models import ChatMessage
from qa.chat.reply import MarkdownStream
from tests.growth import assert_linear, floods
from tests.qa.chat.test_reply import CITED

pytestmark = pytest.mark.slow

MARKDOWN_MARKS = ("    ", "1. ", "\n1", "\n#", " \n", "[1]", "[12", "\n\n**来源", "&lt;", "**", "\r\n", "\x0b", "\x01")


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
        assert_linear(partial(stream, size=size), floods(MARKDOWN_MARKS), largest=8_000)
    units = [(unit, "") for unit in ("中", " ", "\n", "1", "[", "a\n")]
    assert_linear(partial(stream, size=8), units, smallest=32_000, largest=256_000)


PIECES = st.lists(
    st.sampled_from([*MARKDOWN_MARKS, "[9]", "1", "2)", "- ", "\t", "字", "*", "a  ", "\n   ", "0123456789"])
)


@example("\x0b    ", 1)
@given(PIECES.map("".join), st.integers(1, 5))
def test_what_is_shown_of_a_growing_message_is_how_the_whole_begins(text, size):
    whole = written(marked(text, CITED), MARKDOWN)
    shown = stream(text + "。", size)
    assert shown == written(marked(text + "。", CITED), MARKDOWN)
    assert whole.startswith(stream(text, size))


TASK_MARKS = (
    *("### Task:\n", "<context>", "</context>", "<user_query>", "<chat_history>", "</chat_history>", "<conversation>"),
    *(
        "<user>",
        "</user>",
        "<assistant>",
        "```\n",
        "```",
        "\n---",
        "---\n",
        "User: ",
        "Assistant:",
        '{"title": ',
        '{"tags"',
    ),
    *("10个字", "10 words", "标题", "总结", "会话", "[{", '[{"role": "user"},', "available tools:", "\r\n"),
)
HISTORY = "### Task:\nMake a title.\n<chat_history>\n"


def asked(text: str, last: str | None = None) -> tuple[str | None, str]:
    messages = [ChatMessage(role="user", content=text) for text in (text, last) if text is not None]
    return task_answer(messages), user_question(text)


def test_what_clients_ask_by_themselves():
    for begin in (
        "",
        "### Task:\n",
        HISTORY,
        f"{HISTORY}User: a\n",
        f"{HISTORY}<user>",
        "<context>",
        "总结会话，10个字\n```\n",
    ):
        assert_linear(asked, floods(TASK_MARKS), begin=begin, largest=16_000)
    for instruction in ("为会话取一个标题，10个字", "总结这次对话，100字"):
        assert_linear(partial(asked, last=instruction), floods(TASK_MARKS), largest=16_000)


def test_a_line_break_within_a_task_costs_no_more_than_any_character():
    """60,000 of them took two minutes."""
    assert_linear(asked, [("\n", ""), ("\n", "</chat_history>"), (" ", "")], begin=HISTORY, largest=190_000)
    assert asked("### Task:\n" + "\n" * MAX_TASK_CHARS + "<chat_history>a")[0] is None
