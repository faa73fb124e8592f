from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.llm.marks import CitationStream, without_marks

KNOWN = {1, 2, 3, 12}


def written(text: str, size: int | None = None) -> CitationStream:
    """A writer that was fed a text in parts of a size, and shows nothing but what it keeps."""
    writer = CitationStream(KNOWN, lambda text, sentence: "")
    size = size or len(text) or 1
    shown = "".join(writer.feed(text[start : start + size]) for start in range(0, len(text), size)) + writer.end()
    assert shown == writer.text
    return writer


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("好[1]。", "好[1]。"),
        ("好【1】。", "好[1]。"),
        ("好［１］。", "好[1]。"),
        ("好[1, 2]。", "好[1][2]。"),
        ("好[1，2、3]。", "好[1][2][3]。"),
        ("好[1-3]。", "好[1][2][3]。"),
        ("好[1][2]。", "好[1][2]。"),
        ("好[2,1,2]。", "好[2][1]。"),
        ("好[来源1]。", "好[1]。"),
        ("好【1†L3-5】。", "好[1]。"),
        ("well [^1].", "well [1]."),
        ("well [Source 12, Source 2].", "well [12][2]."),
        ("well [passages 1 and 2].", "well [1][2]."),
        ("好[9]。", "好。"),
        ("well [9].", "well."),
        ("well [9] and good", "well and good"),
        ("好[1,9]。", "好[1]。"),
        ("好[0]。", "好。"),
        ("in [2007] and [a]", "in [2007] and [a]"),
        ("[link](http://a)", "[link](http://a)"),
        ("a[0] = b[", "a = b["),
        ("[1", "[1"),
        ("[" * 100, "[" * 100),
    ],
)
def test_marks_are_made_uniform(text, shown):
    for size in (1, 2, 7, None):
        assert written(text, size).text == shown


def test_what_a_sentence_cites_is_told_apart_from_what_does_not_exist():
    (sentence,) = written("好[1][9]。").sentences
    assert (sentence.cited, sentence.unknown) == ({1}, {9})


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("一[1]。二[2]。", ["一[1]。", "二[2]。"]),
        ("一。[1]二。[2]", ["一。[1]", "二。[2]"]),
        ("他说“好。”[1]二！？三", ["他说“好。”[1]", "二！？", "三"]),
        ("One stands. [1] Two stands.[2]", ["One stands. [1]", "Two stands.[2]"]),
        ("It is 2.04 or v1.2 at example.com. Then?", ["It is 2.04 or v1.2 at example.com.", "Then?"]),
        ("Dr. Li of the U.S. office, No. 5, i.e. he.", ["Dr. Li of the U.S. office, No. 5, i.e. he."]),
        ("It was approx. half [1].", ["It was approx. half [1]."]),
        ("- 一[1]\n- 二[2]\n\n三", ["- 一[1]", "- 二[2]", "三"]),
        ("1. 一[1]\n2. 二", ["1. 一[1]", "2. 二"]),
        ("", []),
        ("\n \n", []),
    ],
)
def test_sentences(text, sentences):
    for size in (1, 3, None):
        writer = written(text, size)
        assert [writer.text[slice(*sentence.span)] for sentence in writer.sentences] == sentences


def test_a_remark_stands_behind_its_sentence_and_outside_its_span():
    writer = CitationStream(KNOWN, lambda text, sentence: "" if sentence.cited else "（?）")
    shown = writer.feed("一。 二[1]。\n三") + writer.end()
    assert shown == writer.text == "一。（?） 二[1]。\n三（?）"
    assert [writer.text[slice(*sentence.span)] for sentence in writer.sentences] == ["一。", "二[1]。", "三"]


def test_words_are_shown_as_they_come():
    writer = CitationStream(KNOWN, lambda text, sentence: "")
    assert [writer.feed(part) for part in ("兰州", "帮助", "[", "1", "]", "。")] == [
        "兰州",
        "帮助",
        "",
        "",
        "[1]",
        "。",
    ]


PIECES = st.lists(st.sampled_from(["[1]", "[9]", "【2】", "[", "]", "。", ". ", " ", "\n", "字", "Word", "1.5", "”"]))


@given(PIECES.map("".join), st.integers(1, 5))
def test_however_a_text_is_cut_up_the_same_is_shown(text, size):
    whole, parts = written(text), written(text, size)
    assert (parts.text, parts.sentences) == (whole.text, whole.sentences)
    spans = [sentence.span for sentence in whole.sentences]
    assert all(start <= end for start, end in spans)
    assert all(one[1] <= other[0] for one, other in zip(spans, spans[1:], strict=False))


def test_a_sentence_without_its_marks():
    assert without_marks("帮助1097名 [1][2]。") == "帮助1097名。"
