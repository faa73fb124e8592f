"""Text to the tokens that lexical search matches, by the script that each stretch of it is written in.

Han text gives dictionary words in search mode (long words and the words inside them) and character bigrams; bigrams
find what the dictionary cuts differently in the document and in the question. Kana, Hangul, Thai and other scripts
that are written without spaces give bigrams. Words of other scripts give their Snowball stem and their first five
letters, which find what the stemmer of another language cuts wrongly: Latin script is stemmed as English, and German,
Turkish or Romanian need no setting (benchmarks/README.md has what that gives). Codes and numbers stay whole, beside
their parts.

Names of places and people in Han text also give their pinyin (see `index.text.pinyin`), for questions in Latin letters.

Tokens are made from folded text (see `index.text.fold`), so that the same rules serve documents and questions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from operator import add
from typing import Any

from index.text.pinyin import reading, spelled
from index.text.segmenter import PLAIN, Segmenter

HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
UNSPACED = "\u3040-\u30ff\u31f0-\u31ff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\uac00-\ud7a3"
# Combining marks of scripts with spaces: Python's \w holds none of them.
MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff"
    "\u200c\u200d"
)
_LETTER = f"[^\\W_{HAN}{UNSPACED}]"
NUMBER = "[0-9]++(?:[.,:/-][0-9]+)*+(?![a-z])"
WORD = f"[a-z][+#]{{1,2}}(?!\\w)|{_LETTER}++(?:['’.+#&/-]?{_LETTER}++|[{MARKS}]++)*+"
_RUNS = re.compile(
    f"(?P<han>[{HAN}]+(?:[ ][{HAN}]+)*)|(?P<unspaced>[{UNSPACED}]+)"
    f"|(?P<number>{NUMBER})(?=(?P<unit>[%{HAN}]))?|(?P<word>{WORD})"
)
_DATE_OR_RANGE = re.compile("[:/-]")
_JOINTS = re.compile("[.+#&/-]|(?<=^[0-9])(?=[a-z])|(?<=[0-9][0-9])(?=[a-z])")
# The first script that a word's first letter lies in names the stemmer.
_STEMMERS = (
    ("a", "\u024f", "english"),
    ("\u1e00", "\u1eff", "english"),
    ("\u0370", "\u03ff", "greek"),
    ("\u1f00", "\u1fff", "greek"),
    ("\u0400", "\u052f", "russian"),
    ("\u0530", "\u058f", "armenian"),
    ("\u0600", "\u06ff", "arabic"),
    ("\u0900", "\u097f", "hindi"),
    ("\u0b80", "\u0bff", "tamil"),
)
_PREFIX_CHARS = 5
_NAME_TAGS = frozenset({"ns", "nr", "nrt", "nrfg"})
_MAX_NAME_CHARS = 4


FUNCTION_WORDS = frozenset(
    "a an the of in on at to for from by with and or not no is are was were be been being am do does did has have had "
    "this that these those there it its he she they them his her their you your we our i my as than then so if but "
    "what which who whom whose when where why how much many can could will would shall should may might must".split()
)


def tokenize(folded: str, segmenter: Segmenter = PLAIN) -> list[str]:
    """Every token of a document's folded text, repeated as often as it occurs (BM25 counts)."""
    return [token for match in _RUNS.finditer(folded) for token in _run_tokens(match, segmenter, is_document=True)]


def query_tokens(folded: str, segmenter: Segmenter = PLAIN) -> list[str]:
    """The distinct tokens of a question, in order; spaces in a question separate its words.

    English function words are left out where others remain: among documents in another language they are rare, and
    would count as much as names.
    """
    runs = list(_RUNS.finditer(folded))
    telling = [match for match in runs if match.group() not in FUNCTION_WORDS]
    found = [token for match in telling or runs for token in _run_tokens(match, segmenter, is_document=False)]
    found.extend(spelled([match["word"] for match in runs if match["word"]]))
    return list(dict.fromkeys(found))


def words(folded: str, segmenter: Segmenter = PLAIN) -> list[str]:
    """Words, numbers and unspaced runs without bigrams, in order: what a person would call the text's words."""
    found: list[str] = []
    for match in _RUNS.finditer(folded):
        if match["han"]:
            for part in match["han"].split(" "):
                found.extend(segmenter.cut(part))
        else:
            found.append(match["number"] or match.group())
    return found


def is_name(word: str, segmenter: Segmenter = PLAIN) -> bool:
    """Whether a Han word by itself is tagged as a place or a person."""
    return 2 <= len(word) <= _MAX_NAME_CHARS and segmenter.tag_alone(word) in _NAME_TAGS


def _run_tokens(match: re.Match[str], segmenter: Segmenter, *, is_document: bool) -> Sequence[str]:
    if match["han"]:
        return _han_tokens(match["han"], segmenter, is_document)
    if match["unspaced"]:
        return _bigrams(match["unspaced"])
    if match["word"]:
        return word_tokens(match["word"])
    return number_tokens(match["number"], match["unit"])


def number_tokens(number: str, unit: str | None) -> list[str]:
    """A number by itself and with the character that it counts; of dates and ranges also the parts."""
    number = number.replace(",", "")
    found = [number]
    if unit:
        found.append(number + unit)
    if _DATE_OR_RANGE.search(number):
        found += _DATE_OR_RANGE.split(number)
    return found


def _han_tokens(run: str, segmenter: Segmenter, is_document: bool) -> list[str]:
    parts = run.split(" ")
    found: list[str] = []
    for part in parts:
        for word in segmenter.cut(part):
            if len(word) > 1:
                found += han_word_tokens(word, segmenter, is_document)
    for part in [run.replace(" ", "")] if is_document else parts:
        found += _bigrams(part)
    if is_document and len(parts) > 1:
        found += [part for part in parts if len(part) == 1]
    return found


@lru_cache(maxsize=1 << 17)
def han_word_tokens(word: str, segmenter: Segmenter, is_document: bool) -> tuple[str, ...]:
    """A word of two characters is the bigram that it is anyway; one character is noise beside the bigrams around it."""
    own = (word,) if len(word) > 2 else ()
    return (*own, reading(word)) if is_document and is_name(word, segmenter) else own


@lru_cache(maxsize=1 << 16)
def word_tokens(word: str) -> tuple[str, ...]:
    """A word's stem and first letters; of codes and compounds also the parts."""
    word = word.replace("’", "'")
    parts = [part for part in _JOINTS.split(word) if part]
    if len(parts) > 1:
        return word, *(token for part in parts for token in word_tokens(part))
    root = stem(word)
    prefix = "".join(char for char in unicodedata.normalize("NFD", root) if not unicodedata.combining(char))
    # An asterisk keeps a prefix from being taken for a short word.
    return (root, f"{prefix[:_PREFIX_CHARS]}*") if len(prefix) > _PREFIX_CHARS else (root,)


def stem(word: str) -> str:
    """A folded word without its ending, by the script of its first letter; codes and other words as they are."""
    if _JOINTS.search(word):
        return word
    language = next((name for first, last, name in _STEMMERS if first <= word[0] <= last), None)
    return str(_stemmer(language).stemWord(word)) if language else word


@cache
def _stemmer(language: str) -> Any:  # noqa: ANN401 - PyStemmer has no types
    import Stemmer

    return Stemmer.Stemmer(language)


def _bigrams(run: str) -> list[str]:
    return [run] if len(run) == 1 else list(map(add, run, run[1:]))
