import pytest

from index.text.names import is_name, reading, spelled
from index.text.tokens import query_tokens, tokenize


@pytest.mark.parametrize(("name", "pinyin"), [("兰州", "~lanzhou"), ("重庆", "~chongqing"), ("邓川", "~dengchuan")])
def test_reading(name, pinyin):
    assert reading(name) == pinyin


@pytest.mark.parametrize(
    ("words", "readings"),
    [
        (["lanzhou's", "centre"], {"~lanzhou"}),
        (["according", "to", "deng", "chuan"], {"~dengchuan"}),
        (["grew", "strongly"], set()),
    ],
)
def test_latin_words_that_may_be_names(words, readings):
    assert readings <= set(spelled(words))
    if not readings:
        assert not list(spelled(words))


def test_documents_and_questions_meet_in_the_reading_of_a_name():
    assert is_name("兰州") and not is_name("资助")
    assert "~lanzhou" in tokenize("兰州市总工会在兰州")
    assert "~lanzhou" in query_tokens("how many students did lanzhou support")
    # A name that is written in the question's own script is asked for as it stands.
    assert not any(token.startswith("~") for token in query_tokens("兰州有多少学生"))
