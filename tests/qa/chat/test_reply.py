from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.chat.card import card_of, markdown, without_sources
from qa.chat.reply import Reply, reply_parts
from qa.schemas import AnswerOut, AskResponse, Citation, Delta, Fallback, Sources
from tests.qa.chat.test_card import BASE, citation, response

CITED = (citation(1, "甲"), citation(2, "乙"), citation(3, "丙"))


def generated(text: str, *cited: Citation, **changed: Any) -> AskResponse:
    answer = AnswerOut(text=text, kind="generated", value="1097名", confidence=0.8)
    return response(text, *(cited or CITED), answer=answer, **changed)


def parts_of(deltas: list[Delta], done: AskResponse, cited: tuple[Citation, ...] = CITED) -> Iterator[Any]:
    known = done.model_dump(include={"id", "query", "hits", "index"})
    yield Sources(**known, citations=list(cited))
    yield from deltas
    yield done


def told(deltas: list[Delta], done: AskResponse, cited: tuple[Citation, ...] = CITED) -> tuple[list[str], Reply]:
    *parts, reply = reply_parts(parts_of(deltas, done, cited), BASE)
    assert isinstance(reply, Reply)
    pieces = [str(part) for part in parts]
    assert "".join(pieces) == reply.content
    return pieces, reply


def test_a_quoted_answer_comes_with_its_value_in_one_piece():
    done = response("甲\n乙", *CITED[:2])
    assert done.answer
    done.answer.value = "甲"
    pieces, reply = told([Delta(text="甲\n乙")], done, CITED[:2])
    assert [piece for piece in pieces if piece] == [markdown(card_of(done, BASE))]
    assert [place.citation.n for place in reply.places] == [1, 2]
    assert reply.content[reply.places[1].start : reply.places[1].end] == "乙 [2]"
    assert reply.response and reply.response.citations[0].url == f"{BASE}/documents/d1?start=10&end=11"


def test_a_generated_answer_comes_as_it_is_written():
    pieces, reply = told(
        [Delta(text="共1097"), Delta(text="名[1"), Delta(text="],另有[9]"), Delta(text="。")],
        generated("共1097名[1],另有[9]。"),
    )
    assert pieces[:3] == ["共1097", "名", " [1],另有\\[9\\]"]
    assert reply.content.startswith("共1097名 [1],另有\\[9\\]。\n\n**来源**：")
    (place,) = reply.places
    assert reply.content[place.start : place.end] == "共1097名 [1]"


def test_marks_behind_one_another_stand_for_the_same_text():
    _, reply = told([], generated("一句[1][3]。另一句[2]。"))
    covered = [(place.citation.n, reply.content[place.start : place.end]) for place in reply.places]
    assert covered == [(1, "一句 [1]"), (3, "一句 [1] [3]"), (2, "。另一句 [2]")]


@given(st.data())
def test_however_it_is_cut_the_text_is_the_same(data):
    text = data.draw(st.text("[]0123456789. \n\t\r#-*_<>(ab甲。)\\", min_size=1))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    deltas = [Delta(text=text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    done = generated(text)
    _, reply = told(deltas, done)
    assert reply.content == markdown(card_of(done, BASE))


def test_what_was_sent_stays_and_the_quoted_answer_follows():
    fallback = AnswerOut(
        text="甲", value="甲", confidence=0.5, fallback=Fallback(reason="interrupted", detail="it broke off")
    )
    done = response("甲", CITED[0], answer=fallback)
    pieces, reply = told([Delta(text="据说有"), Delta(text="甲", replace=True)], done)
    assert pieces[0] == "据说有"
    assert reply.content.startswith(
        "据说有\n\n---\n\n语言模型没有给出可用的回答，以下摘自文档。\n\n**甲**\n\n甲 [1]\n\n**来源**："
    )
    (place,) = reply.places
    assert "据说有" not in reply.content[place.start : place.end]


def test_a_quoted_answer_in_the_place_of_a_generated_one_is_told_once():
    fallback = AnswerOut(
        text="甲\n乙", value="甲", confidence=0.5, fallback=Fallback(reason="timeout", detail="it was slow")
    )
    done = response("甲\n乙", *CITED[:2], answer=fallback)
    whole = (citation(1, "甲在此"), citation(2, "乙在此"))
    _, reply = told([Delta(text="甲\n乙")], done, whole)
    assert reply.content.startswith("甲  \n乙 [1] [2]\n\n**来源**：")
    assert reply.content.endswith("语言模型没有给出可用的回答，以下摘自文档。")
    _, reply = told([Delta(text="甲\n乙", replace=True)], done, whole)
    assert reply.content == markdown(card_of(done, BASE))


def test_marks_that_the_response_does_not_list_change_nothing_that_was_sent():
    _, reply = told([Delta(text="一句[1]。二句[2]。")], generated("一句[1]。二句[2]。", CITED[0]))
    assert reply.content.startswith("一句 [1]。二句 [2]。\n\n**来源**：")
    assert [place.citation.n for place in reply.places] == [1]


@pytest.mark.parametrize("query", ["多少?", "How many?"])
@pytest.mark.parametrize("text", ["甲", None])
def test_the_list_of_sources_is_not_part_of_what_was_said(query, text):
    card = card_of(response(text, *([CITED[0]] if text else []), query=query))
    assert without_sources(markdown(card)) == markdown(card).partition("\n\n**")[0]
