from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.text.fold import fold_text
from index.text.pinyin import MARK
from index.text.segmenter import PLAIN
from index.text.tokens import query_tokens, tokenize, words


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
        "from index.text.lexicon import UserWord\n"
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
