from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from index.chunking.passages import split
from index.text.fold import HIDDEN, fold_text
from index.text.lexicon import UserWord
from index.text.segmenter import Segmenter
from index.text.token_lines import token_lines
from index.text.tokens import tokenize
from tests.conftest import seed

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
