from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.errors import ReadError
from index.parsing import read
from tests.conftest import seed

FILE = Path("folder/file.txt")


@pytest.mark.parametrize(
    ("number", "encoding"),
    [(n, e) for n in (0, 2) for e in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030")]
    + [(4, "utf-8"), (4, "utf-16"), (4, "gb18030")],
)
def test_encodings_of_the_seeds(number: int, encoding: str) -> None:
    assert read(FILE, seed(number).encode(encoding)).text == seed(number)


def test_big5() -> None:
    text = "".join(char for char in seed(4) if char.encode("big5", "ignore"))
    found = read(FILE, text.encode("big5"))
    assert (found.text, found.encoding) == (text, "big5")


@pytest.mark.parametrize("encoding", ["gb18030", "big5"])
@pytest.mark.parametrize(
    "text",
    [
        "中國工會十五大的勝利召開,是建設中國特色社會主義工會史上的一個重要里程碑。",
        "今天天氣很好。\r\n第二行有 ABC 123。",
    ],
)
def test_short_traditional_text(text: str, encoding: str) -> None:
    assert read(FILE, text.encode(encoding)).text == text


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\ufeff"), min_size=1))
def test_utf8_is_taken_as_it_is(text: str) -> None:
    if text.strip():
        assert read(FILE, text.encode()).text == text


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.txt", b"", "no text"),
        ("blank.md", b" \n\t ", "no text"),
        ("binary.txt", b"\x00\x01\x02\x03PNG", "not text"),
        ("broken.txt", b"\xef\xbb\xbf\xff\xfe\xfd", "utf-8"),
        ("odd.txt", b"\xff\xfe\x00", "utf-16-le"),
        ("letter.docx", b"PK", ".docx"),
        ("Makefile", b"all:", "(none)"),
    ],
)
def test_what_cannot_be_read_says_so_in_one_line(name: str, data: bytes, words: str) -> None:
    with pytest.raises(ReadError) as caught:
        read(Path(name), data)
    assert name in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
