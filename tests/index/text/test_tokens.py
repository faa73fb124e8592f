from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.chunking.passages import split
from index.text.fold import HIDDEN, fold_text
from index.text.names import MARK
from index.text.segmenter import PLAIN, Segmenter, UserWord
from index.text.tokens import query_tokens, token_lines, tokenize, words
from tests.conftest import seed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("兰州市", {"兰州", "州市", "兰州市"}),
        ("资助学生2436人", {"资助", "学生", "2436", "2436人"}),
        ("1,234.5元", {"1234.5", "1234.5元"}),
        ("ISO9000 质量", {"iso9000", "质量"}),
        ("5.2万人次", {"5.2", "5.2万", "万人", "人次"}),
        ("李 慧说", {"李慧", "慧说"}),
        ("ヨーロッパ", {"ヨー", "ーロ", "ロッ", "ッパ"}),
        ("C 语", {"c", "语"}),
        ("isn't node.js", {"isn't", "node.js"}),
    ],
)
def test_tokens(text: str, expected: set[str]) -> None:
    assert set(tokenize(fold_text(text))) >= expected


def test_spaces_separate_the_words_of_a_question_but_not_of_a_document() -> None:
    assert "州基" in tokenize("兰州 基层")
    assert "州基" not in query_tokens("兰州 基层")


@pytest.mark.parametrize("text", ["", " ", "。，！？", "“”", "----", "\n"])
def test_text_without_words_has_no_tokens(text: str) -> None:
    assert tokenize(fold_text(text)) == []


@given(st.text(max_size=50))
def test_a_text_is_found_by_its_own_tokens(text: str) -> None:
    folded = fold_text(text)
    words_asked = {token for token in query_tokens(folded) if not token.startswith(MARK)}
    assert words_asked <= set(tokenize(folded))
    assert not any(" " in token or not token for token in tokenize(folded))


def test_words_and_tags() -> None:
    assert words("兰州帮扶中心 2007年") == ["兰州", "帮扶", "中心", "2007", "年"]
    assert ("兰州", "ns") in PLAIN.tag("兰州帮扶中心")


def test_jieba_serves_where_rjieba_is_missing() -> None:
    code = (
        "import sys; sys.modules['rjieba'] = None\n"
        "from index.text.segmenter import UserWord\n"
        "from index.text.segmenter import PLAIN, Segmenter\n"
        "from index.text.tokens import tokenize\n"
        "assert PLAIN.fingerprint == 'jieba'\n"
        "assert '总工会' in tokenize('兰州市总工会') and ('兰州市', 'ns') in PLAIN.tag('兰州市总工会')\n"
        "assert PLAIN.knows('兰州')\n"
        "ours = Segmenter([UserWord('陇原帮扶站', 100, 'nt')])\n"
        "assert '陇原帮扶站' in ours.cut('在陇原帮扶站') and ('陇原帮扶站', 'nt') in ours.tag('在陇原帮扶站')\n"
        "assert '陇原帮扶站' not in PLAIN.cut('在陇原帮扶站')\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("document", "question"),
    [
        ("the students supported", "supporting a student"),  # English
        ("die wirtschaftlichen entwicklungen", "wirtschaft entwicklung"),  # German, stemmed as English
        ("учителями школы", "учитель школа"),
        ("των μαθητών", "μαθητής"),
        ("लड़कों की किताबें", "किताब"),
        ("الكتب المدرسية", "كتب مدرسية"),
    ],
)
def test_inflected_forms_meet(document, question):
    assert set(tokenize(fold_text(document))) & set(query_tokens(fold_text(question)))


def test_combining_marks_stay_in_their_word():
    assert len(tokenize(fold_text("हिन्दी"))) == 1
    assert tokenize(fold_text("हिन्दी किताब")) != tokenize(fold_text("हन्द कतब"))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("covid-19", {"covid-19", "covid", "19"}),
        ("gb/t 7714-2015", {"gb/t", "7714-2015", "7714", "2015"}),
        ("c++ and c#", {"c++", "c#"}),
        ("12kg", {"12kg", "12", "kg"}),
        ("v2.3.1", {"v2.3.1"}),
        ("2021-03-05", {"2021-03-05", "2021", "03", "05"}),
        ("1,234.5", {"1234.5"}),
    ],
)
def test_codes_and_numbers_stay_whole(text, tokens):
    assert tokens <= set(tokenize(text))


def test_thai_and_korean_give_bigrams():
    assert tokenize("หนังสือ")[:2] == ["หน", "นั"]
    assert tokenize("도서관 이용") == ["도서", "서관", "이용"]


# What the rules look at: scripts, joints, marks, white space, and what folds to more than one character or to none.
CHARS = f"甲兰州学生李慧々〇 \n　\tabcé\u0301012.,:/-'’+#&%_，。ァー도서หนังสือहिन्दीﬁ①²\uffff\ud800\U00020000{HIDDEN}"


def expected(text: str) -> list[str]:
    return sorted(filter(None, tokenize(fold_text(text))))


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from(CHARS), max_size=20), max_size=6))
def test_each_text_has_the_tokens_that_it_has_by_itself(texts: list[str]) -> None:
    assert [sorted(line.split()) for line in token_lines(texts)] == [expected(text) for text in texts]


@settings(deadline=None)
@given(st.lists(st.text(max_size=20), max_size=4))
def test_any_characters(texts: list[str]) -> None:
    assert [sorted(line.split()) for line in token_lines(texts)] == [expected(text) for text in texts]


def test_passages() -> None:
    text = seed(0)
    passages = [text[section.start : section.end] for section in split(text)]
    assert [sorted(line.split()) for line in token_lines(passages)] == [expected(passage) for passage in passages]


def test_no_texts() -> None:
    assert token_lines([]) == []


def test_users_words_stay_with_their_segmenter() -> None:
    ours = Segmenter([UserWord("陇原帮扶站", 100, "nt")])
    assert "陇原帮扶站" in token_lines(["在陇原帮扶站"], ours)[0].split()
    assert "陇原帮扶站" not in token_lines(["在陇原帮扶站"])[0].split()
