"""Text to the tokens that lexical search matches, by the script that each stretch of it is written in.

Han text gives dictionary words in search mode (long words and the words inside them) and character bigrams; bigrams
find what the dictionary cuts differently in the document and in the question. Kana, Hangul, Thai and other scripts
that are written without spaces give bigrams. Words of other scripts give their Snowball stem and their first five
letters, which find what the stemmer of another language cuts wrongly: Latin script is stemmed as English, and German,
Turkish or Romanian need no setting (benchmarks/README.md has what that gives). Codes and numbers stay whole, beside
their parts.

Names of places and people in Han text also give their pinyin (see `index.text.names`), for questions in Latin letters.

Tokens are made from folded text (see `index.text.fold`), so that the same rules serve documents and questions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from operator import add
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from index.text.fold import fold_many, text_of
from index.text.names import is_name, reading, spelled
from index.text.scripts import HAN, MARKS, UNSPACED
from index.text.segmenter import PLAIN, Segmenter

_LETTER = f"[^\\W_{HAN}{UNSPACED}]"
# What goes on longer is a list of numbers.
NUMBER = "[0-9]++(?:[.,:/-][0-9]++){0,40}+(?![a-z])"
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
# Marks are taken off no further than this, as sorting a flood of them takes long.
_PREFIX_SCOPE = 100


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
    tokens = [token for match in telling or runs for token in _run_tokens(match, segmenter, is_document=False)]
    tokens.extend(spelled([match["word"] for match in runs if match["word"]]))
    return list(dict.fromkeys(tokens))


def words(folded: str, segmenter: Segmenter = PLAIN) -> list[str]:
    """Words, numbers and unspaced runs without bigrams, in order: what a person would call the text's words."""
    found_words: list[str] = []
    for match in _RUNS.finditer(folded):
        if match["han"]:
            for part in match["han"].split(" "):
                found_words.extend(segmenter.cut(part))
        else:
            found_words.append(match["number"] or match.group())
    return found_words


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
    tokens = [number]
    if unit:
        tokens.append(number + unit)
    if _DATE_OR_RANGE.search(number):
        tokens += _DATE_OR_RANGE.split(number)
    return tokens


def _han_tokens(run: str, segmenter: Segmenter, is_document: bool) -> list[str]:
    parts = run.split(" ")
    tokens: list[str] = []
    for part in parts:
        for word in segmenter.cut(part):
            if len(word) > 1:
                tokens += han_word_tokens(word, segmenter, is_document)
    for part in [run.replace(" ", "")] if is_document else parts:
        tokens += _bigrams(part)
    if is_document and len(parts) > 1:
        tokens += [part for part in parts if len(part) == 1]
    return tokens


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
    letters = unicodedata.normalize("NFD", root[:_PREFIX_SCOPE])
    prefix = "".join(char for char in letters if not unicodedata.combining(char))
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


Codes = NDArray[np.uint32]
Kinds = NDArray[np.uint8]
Mask = NDArray[np.bool_]
_Values = TypeVar("_Values", Codes, Kinds)

# Stands between texts: never a character, and not white space either.
_END = "\uffff"
_SPACE, _LINE = ord(" "), ord("\n")
# Kinds of characters, and a bit for those that no word or number holds.
_IS_HAN, _IS_UNSPACED, _IS_END, _IS_OTHER, _UNKNOWN = 1, 2, 3, 4, 255
_KIND, _IS_FILLER = 15, 16
# When a table knows so many words it forgets them: some 30 MB.
_MAX_KNOWN = 1 << 17


def token_lines(texts: Sequence[str], segmenter: Segmenter = PLAIN) -> list[str]:
    """The tokens of each text, which is not folded yet, with a space behind each."""
    if not texts:
        return []
    codes = fold_many([text.replace(_END, "\n") for text in texts], _END)[0][:-1]
    kinds = _kinds(codes)
    fillers = (kinds & _IS_FILLER) > 0
    kinds &= _KIND
    lines = zip(
        _han_words(codes, kinds, segmenter), _pairs(codes, kinds), _words_and_numbers(codes, fillers), strict=True
    )
    return ["".join(parts) for parts in lines]


def _han_words(codes: Codes, kinds: Kinds, segmenter: Segmenter) -> list[str]:
    """Words of more than two characters, and readings of names; the segmenter sees Han text and no more."""
    is_kept = (kinds == _IS_HAN) | (kinds == _IS_END)
    is_first_gap = ~is_kept
    is_first_gap[1:] &= is_kept[:-1]
    text = text_of(np.where(is_kept, codes, _LINE)[is_kept | is_first_gap])
    return "".join(map(_known_words(segmenter).__getitem__, segmenter.cut(text))).split(_END)


def _pairs(codes: Codes, kinds: Kinds) -> list[str]:
    """Bigrams of Han and of unspaced text, and characters that stand alone; a space in Han text separates nothing."""
    before, after = _neighbours(np.where(kinds == _IS_HAN, kinds, 0))
    is_joint = (codes == _SPACE) & (before > 0) & (after > 0)
    if not is_joint.any():
        return _pairs_of(codes, kinds)
    pair_lines = _pairs_of(codes[~is_joint], kinds[~is_joint])
    # Between spaces a single character is a word as well.
    before, after = _neighbours(is_joint.view(np.uint8))
    is_lone = _is_alone(kinds) & (before | after).view(np.bool_)
    lone = text_of(codes[is_lone | (kinds == _IS_END)]).split(_END)
    return [pairs + "".join(f"{char} " for char in chars) for pairs, chars in zip(pair_lines, lone, strict=True)]


def _pairs_of(codes: Codes, kinds: Kinds) -> list[str]:
    is_pair = np.zeros(len(codes), dtype=np.bool_)
    is_pair[:-1] = (kinds[:-1] == kinds[1:]) & (kinds[:-1] <= _IS_UNSPACED)
    rows = np.flatnonzero(is_pair | _is_alone(kinds) | (kinds == _IS_END))
    tokens = np.full((len(rows), 3), _SPACE, dtype=np.uint32)
    tokens[:, 0] = codes[rows]
    is_pair = is_pair[rows]
    tokens[is_pair, 1] = codes[rows[is_pair] + 1]
    return text_of(tokens).split(_END)


def _is_alone(kinds: Kinds) -> Mask:
    before, after = _neighbours(kinds)
    is_alone: Mask = (kinds <= _IS_UNSPACED) & (kinds != before) & (kinds != after)
    return is_alone


def _neighbours(values: _Values) -> tuple[_Values, _Values]:
    """What stands before each and after each; 0 at the ends."""
    padded = np.zeros(len(values) + 2, dtype=values.dtype)
    padded[1:-1] = values
    return padded[:-2], padded[2:]


def _words_and_numbers(codes: Codes, fillers: Mask) -> list[str]:
    # Of what no word holds the first character is enough to end a word, and may be a number's unit.
    is_kept = ~fillers
    is_kept[1:] |= ~fillers[:-1]
    known = _known_runs()
    return "".join(map(known.__getitem__, known.runs.findall(text_of(codes[is_kept])))).split(_END)


class _TokensOf(dict[str, str]):
    """Words with their tokens, a space behind each; subclasses find those of new ones."""

    def __missing__(self, word: str) -> str:
        if len(self) >= _MAX_KNOWN:
            self.clear()
        self[word] = tokens = word if word == _END else "".join(f"{token} " for token in self._tokens(word))
        return tokens

    def _tokens(self, word: str) -> Sequence[str]:
        raise NotImplementedError


class _Words(_TokensOf):
    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter

    def _tokens(self, word: str) -> Sequence[str]:
        return han_word_tokens(word, self._segmenter, True) if len(word) > 1 else ()


class _Runs(_TokensOf):
    def __init__(self) -> None:
        # Not when the module is loaded: it would keep questions waiting.
        self.runs = re.compile(f"{NUMBER}[%{HAN}]?|{WORD}|{_END}")
        self._number = re.compile(f"({NUMBER})([%{HAN}])?")

    def _tokens(self, word: str) -> Sequence[str]:
        number = self._number.fullmatch(word)
        return number_tokens(number[1], number[2]) if number else word_tokens(word)


_known_words = lru_cache(maxsize=4)(_Words)
_known_runs = cache(_Runs)


@cache
def _table() -> Kinds:
    """The kind of each code point, as far as it is known."""
    return np.full(0x110000, _UNKNOWN, dtype=np.uint8)


def _kinds(codes: Codes) -> Kinds:
    table = _table()
    kinds: Kinds = table.take(codes)
    if kinds.size and kinds.max() == _UNKNOWN:
        for code in np.unique(codes[kinds == _UNKNOWN]).tolist():
            table[code] = _kind(chr(code))
        kinds = table.take(codes)
    return kinds


def _kind(char: str) -> int:
    if char == _END:
        return _IS_END
    if re.match(f"[{HAN}]", char):
        return _IS_HAN | _IS_FILLER
    if re.match(f"[{UNSPACED}]", char):
        return _IS_UNSPACED | _IS_FILLER
    # An underscore is in no word, and does no harm here.
    return _IS_OTHER if re.match(f"[\\w{MARKS}.,:/'’+#&-]", char) else _IS_OTHER | _IS_FILLER
