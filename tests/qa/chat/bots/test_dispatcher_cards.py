from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qa.chat.bots.dispatcher import Run, fitted, markdown, marked, runs, say, utf8_size
from qa.chat.card import Card, CardSource, escape_plain
from qa.chat.phrases import BOT_SENTENCES, CHINESE

URL = "https://docs.example/documents/d?start=1&end=2"
SHORT = st.text(max_size=60)


def card(parts: tuple[str | int, ...], sources: int = 1, url: str = URL, title: str = "标题") -> Card:
    found = tuple(CardSource(n, title, "第4段", "摘录", url) for n in range(1, sources + 1))
    return Card(CHINESE, True, "1097名", parts, found, ())


def test_runs_hold_what_is_strong_and_linked():
    assert list(runs(marked(card(("共1097名。", 1))))) == [
        Run("1097名", is_strong=True),
        Run("\n\n共1097名。 [1]\n\n"),
        Run("来源", is_strong=True),
        Run("：\n\n1. "),
        Run("标题 · 第4段", URL),
    ]


@given(SHORT, SHORT)
def test_documents_make_no_runs(text, title):
    found = list(runs(marked(card((text, 1), title=title))))
    assert [run.url for run in found if run.url] == [URL]
    assert [run.text for run in found if run.is_strong] == ["1097名", "来源"]
    assert escape_plain(text) in "".join(run.text for run in found)


@given(
    st.lists(st.one_of(st.text(max_size=400), st.integers(1, 9)), max_size=12),
    st.integers(0, 12),
    st.integers(400, 3000),
)
def test_cards_fit(parts, sources, limit):
    whole = card(tuple(parts), sources)
    for write in (markdown, marked):
        written = fitted(whole, write, limit)
        assert utf8_size(written) <= limit
        if utf8_size(write(whole)) <= limit:
            assert written == write(whole)


def test_text_is_cut_before_sources_are_left_out():
    written = fitted(card(("长" * 5000, 1), sources=3), markdown, 3000)
    assert written.count(URL) == 3 and "长…" in written
    assert "[1]" not in written.partition("来源")[0]
    crowded = fitted(card(("短", 1), sources=200), markdown, 3000)
    assert 0 < crowded.count(URL) < 200 and "短" in crowded
    assert utf8_size(fitted(card(("字" * 200,), sources=0), markdown, 100)) <= 100


def test_an_address_that_leads_nowhere_is_no_link():
    assert "](" not in markdown(card(("短", 1), url="/documents/d?start=1&end=2"))
    assert not any(run.url for run in runs(marked(card(("短", 1), url="/documents/d"))))


def test_sentences_are_in_the_language_of_the_question():
    for sentence, words in BOT_SENTENCES.items():
        assert say(sentence, "有多少人").text == words["zh"]
        assert say(sentence, "how many").text == words["en"]
        assert markdown(say(sentence, "how many")) == words["en"]
