"""What a model writes, however it writes it, costs work in proportion to its length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from index.text.segmenter import PLAIN
from qa.llm.check import Checker, SourcePassage, latin_names
from qa.llm.figures import figures
from qa.llm.generate import _NothingFoundError, _visible, _whole
from qa.llm.marks import CitationStream
from qa.llm.prompt import harmless
from qa.understanding.question import Question
from tests.growth import FLOODS, assert_linear, floods
from tests.qa.llm.test_check import LANZHOU

pytestmark = pytest.mark.slow


def pieces(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


MARKS = ("[1]", "[1, 2", "[1 and ", "[来源1、", "[passages 1–3", "1. ", "。”", "U.S.", "<think>", "No.")


def write(text: str, size: int) -> None:
    stream = CitationStream({1, 2, 3}, lambda text, sentence: "")
    for part in pieces(text, size):
        stream.feed(part)
    stream.end()


@pytest.mark.parametrize("size", [3, 1_000_000])
def test_marks_and_sentences(size):
    assert_linear(lambda text: write(text, size), floods(MARKS), largest=8_000)
    unfinished = floods([", 1", " 1", " ", "1 , ", "and 1 "], endings=["x]"])
    assert_linear(lambda text: write(text, size), unfinished, begin="[1", largest=8_000)


@pytest.mark.parametrize("unit", ["中", "a ", "1.", "a\n", "。", " ", "[1]"])
def test_a_sentence_without_an_end(unit):
    assert_linear(lambda text: write(text, 8), [(unit, "")], smallest=32_000, largest=256_000)


def test_a_list_of_numbers_that_is_no_mark_is_looked_at_once():
    """Each `, ` could be read in two ways, so thirty of them in a billion."""
    stream = CitationStream({1}, lambda text, sentence: "")
    assert stream.feed("[" + "1, " * 40 + "x]") == "[" + "1, " * 40 + "x]"


def test_thoughts_and_what_precedes_the_text():
    def read(text: str) -> None:
        for size in (3, 1_000_000):
            try:
                for _ in _visible(pieces(text, size)):
                    pass
            except _NothingFoundError:
                pass

    assert_linear(read, floods(("<think>", "</think>", "<think></think>", "NO_ANSWER", "N")), largest=8_000)
    assert_linear(read, floods(("</think", "</"), endings=["", "</think>so"]), begin="<think>", largest=8_000)
    assert_linear(read, [(" ", ""), ("a", ""), ("`", "")], smallest=32_000, largest=256_000)
    assert_linear(lambda text: list(_whole(text)), [("\ud83d", ""), ("\ude00", ""), ("\x07", "")])


CLAIMS = ("1097名", "2020年5月1日", "百分之三十", "王建国", "《a》", "IBM ", "Ada's ", "全国总工会", "兰州市", "I")


def test_sentences_are_judged():
    passage = replace(LANZHOU, text=LANZHOU.text * 5)
    sources = {1: SourcePassage(passage, PLAIN)}

    def judge(text: str) -> None:
        checker = Checker(Question.of("兰州帮扶中心资助了多少学生"), sources)
        stream = CitationStream({1}, checker.judge)
        for part in pieces(text, 4000):
            stream.feed(part)
        stream.end()
        shown = stream.text
        for sentence in stream.sentences:
            sources[1].supporting(shown[slice(*sentence.span)])

    assert_linear(judge, [(unit, "") for unit in FLOODS], smallest=1_000, largest=8_000)
    cases = [(unit, ending) for unit in (*CLAIMS, "1", "十亿", "中", "a\n") for ending in ("", "[1]。")]
    assert_linear(judge, cases, smallest=2_000, largest=16_000)


def test_figures_and_names():
    assert_linear(figures, floods(CLAIMS), largest=8_000)
    assert_linear(lambda text: list(latin_names(text)), floods(("A'", "A b", "Ab ", "Ab\n")))
    assert_linear(harmless, floods(("[1", "[INST", "[/INST]", "<<<", "［", "\u202e")))
