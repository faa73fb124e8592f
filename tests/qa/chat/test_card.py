from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from qa.chat.card import MARKDOWN, card_of, escape_markdown, escape_plain, markdown, plain, render
from qa.chat.phrases import CHINESE, ENGLISH, phrases_for
from qa.schemas import AnswerOut, AskResponse, Citation, HitOut, IndexOut

PLACE: dict[str, Any] = {
    "document_id": "d1",
    "path": "seeds/a.txt",
    "title": "标题",
    "heading_path": [],
    "page": None,
    "paragraph": 4,
}
PROSE = {"paragraph_open", "paragraph_close", "inline", "text", "text_special", "hardbreak", "softbreak"}
BASE = "https://docs.example"


def citation(n: int, quote: str, **changed: Any) -> Citation:
    url = f"/documents/d1?start=10&end={10 + len(quote)}"
    return Citation(**{**PLACE, "n": n, "quote": quote, "start": 10, "end": 10 + len(quote), "url": url, **changed})


def response(text: str | None, *citations: Citation, query: str = "有多少人?", **changed: Any) -> AskResponse:
    hit = HitOut(
        **PLACE,
        start=10,
        end=14,
        rank=1,
        score=2.0,
        passage_id="d1-1",
        collection="seeds",
        text="段落文字",
        highlights=[],
        also_in=[],
    )
    answer = AnswerOut(text=text, value=None, confidence=0.8) if text is not None else None
    given: dict[str, Any] = {
        "id": "1",
        "query": query,
        "status": "answered" if answer else "no_answer",
        "reason": None,
        "answer": answer,
        "citations": list(citations),
        "hits": [hit],
        "index": IndexOut(generation=1, model="m", passages=1),
        "timings_ms": {},
    }
    return AskResponse(**{**given, **changed})


def rendered(text: str) -> list[Any]:
    """What CommonMark with tables and strikethrough makes of a text: its blocks and what is in them."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [found for token in tokens for found in (token, *(token.children or ()))]


def test_answer_with_value_marks_and_sources():
    found = response("共1097名。\n另有三人。", citation(1, "共1097名。"), citation(2, "另有三人。", page=3))
    assert found.answer
    found.answer.value = "1097名"
    assert markdown(card_of(found, BASE)) == (
        "**1097名**\n\n共1097名。 [1]  \n另有三人。 [2]\n\n**来源**：\n\n"
        "1. [标题 · 第4段](https://docs.example/documents/d1?start=10&end=17)\n"
        "2. [标题 · 第3页、第4段](https://docs.example/documents/d1?start=10&end=15)"
    )
    assert plain(card_of(found, BASE)).startswith(
        "1097名\n\n共1097名。 [1]\n另有三人。 [2]\n\n来源：\n\n1. 标题 · 第4段 https"
    )


def test_no_answer_is_a_sentence_with_its_reason_and_the_nearest_passages():
    found = card_of(response(None, reason="missing_terms", missing_terms=["月球", "火星"]), BASE)
    assert not found.is_answered
    assert found.text == "文档中没有找到答案。没有哪篇文档把这些与问题的其余部分放在一起讲：月球、火星。"
    assert plain(found).endswith(
        "最接近的段落：\n\n1. 标题 · 第4段 https://docs.example/documents/d1?start=10&end=14\n   段落文字"
    )
    english = card_of(response(None, query="How many?", reason="no_quantity", hits=[]))
    assert plain(english) == (
        "The documents hold no answer to this. The passages that fit hold no number of the kind asked for."
    )


@pytest.mark.parametrize("reason", ["no_hits", "low_confidence", "missing_terms", "no_quantity"])
def test_every_reason_has_a_sentence_in_both_languages(reason):
    for words in (CHINESE, ENGLISH):
        assert words.reasons[reason].strip()


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("有多少人", "zh"),
        ("Who is 李明?", "zh"),
        ("How many?", "en"),
        ("何人ですか", "en"),
        ("몇 명? 人", "en"),
        ("", "en"),
    ],
)
def test_language_of_the_question(question, language):
    assert phrases_for(question).language == language


def test_what_a_reader_should_know_of_a_source_is_said():
    quote = citation(1, "坏字在此", damaged=[(10, 12)], stale=True)
    (source,) = card_of(response("坏字在此", quote)).sources
    assert source.notes == ("原文此处有损坏，请核对原件：坏字", "此后文件已改动或移除")
    assert "坏字" in markdown(card_of(response("坏字在此", quote))).rpartition("\n")[2]


def test_how_a_follow_up_was_understood_is_said():
    assert plain(card_of(response("是", citation(1, "是"), interpreted_as="武威有多少人?"))).endswith(
        "按“武威有多少人?”理解。"
    )


def test_generated_text_keeps_the_marks_that_name_a_source():
    found = response("他说了[1],见[9]。", citation(1, "他说了"))
    assert found.answer
    found.answer = found.answer.model_copy(update={"kind": "generated"})
    assert card_of(found).parts == ("他说了", 1, ",见[9]。")
    assert markdown(card_of(found)).startswith("他说了 [1],见\\[9\\]。")


HOSTILE = [
    "[点我](https://evil.example)",
    "![图](x)",
    "<script>alert(1)</script>",
    "# 标题",
    "1. 一",
    "1) 一",
    "- 项",
    "+ 项",
    "* 项",
    "> 引",
    "题\n===",
    "题\n---",
    "    code",
    "\tcode",
    "```\ncode",
    "~~~\ncode",
    "`code`",
    "*斜*",
    "__粗__",
    "~~删~~",
    "&lt;&#35;",
    "[1]: https://evil.example\n[1]",
    "<https://evil.example>",
    "***",
    "\\",
    "a\\\nb",
    "|a|b|\n|-|-|\n|c|d|",
    "\\[x](y)",
    "$x$",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_documents_cannot_act(text):
    kinds = {token.type for token in rendered(escape_markdown(text))}
    assert kinds <= PROSE


@given(st.text() | st.text("[]()<>#*_`~|&;!:\\-+=.0123 \n\t>$ab"))
def test_markdown_shows_exactly_the_text(text):
    found = rendered(escape_markdown(text))
    assert {token.type for token in found} <= PROSE
    shown = "".join(token.content for token in found if token.type in ("text", "text_special"))
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", escape_plain(text))


@given(st.text(), st.text())
def test_a_title_cannot_leave_its_place_in_the_list(title, path):
    found = response("是", citation(1, "是", title=title, path=path or "a"), citation(2, "否"))
    tokens = rendered(render(card_of(found, BASE), MARKDOWN))
    assert sum(token.type == "list_item_open" for token in tokens) == 2
    links = [dict(token.attrs)["href"] for token in tokens if token.type == "link_open"]
    assert links == [f"{BASE}/documents/d1?start=10&end=11"] * 2


@pytest.mark.parametrize(
    "base", ["http://a) [x](http://evil", 'http://a"b', "http://a b", "http://a\n# b", "http://a<b>"]
)
def test_a_base_cannot_leave_its_link(base):
    tokens = rendered(markdown(card_of(response("是", citation(1, "是")), base)))
    assert len([token for token in tokens if token.type == "link_open"]) == 1
    assert not any(token.type == "heading_open" for token in tokens)
