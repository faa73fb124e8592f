"""Folding: one spelling for matching, with a map back to the original characters.

Folded text is NFKC, Simplified, case-folded, with white space collapsed. What a user sees is always the
original; `Folded.span` turns a span of the folded text into the span of the original that produced it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import opencc
from numpy.typing import NDArray

from index.text.scripts import UNFOLDED_HAN

# Stands in a passage's clean text for a character that matching must not see (a line break inside a word, page
# furniture). It is as long as what it hides, so offsets stay those of the original.
HIDDEN = "\u2060"

# In folded text: the spaces that folding takes away between Han text and Western words.
_WORD_JOIN = re.compile(f"(?<=[{UNFOLDED_HAN}]) +(?=[0-9a-z])|(?<=[0-9a-z]) +(?=[{UNFOLDED_HAN}])")
_HAN_CHAR = re.compile(f"[{UNFOLDED_HAN}]")
# Folding one for one leaves no other white space than these two.
_SPACES = re.compile("[ \n]{2,}")
# More marks than these on one character are no writing (Unicode's Stream-Safe Text Format); sorting them takes long.
_MAX_MARKS = 30
# Up to so many characters a dictionary is quicker than numpy.
_FEW_CHARS = 30
# The first radical: from here on a character beside a space may be Han text.
_FIRST_HAN = 0x2E80
# Stands for a character that does not fold one to one; no code point.
SPECIAL = 0x110000
_UNKNOWN = SPECIAL + 1


@dataclass(frozen=True, slots=True)
class Folded:
    """Folded text and, for each of its characters, where in the original it came from.

    `starts[i]` and `ends[i]` bound the original characters behind `text[i]`; None means that the two texts
    correspond one to one.
    """

    text: str
    starts: list[int] | None = None
    ends: list[int] | None = None

    def spans(self, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """The original spans behind some folded ones."""
        return list(spans) if self.starts is None else [self.span(start, end) for start, end in spans]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original span behind the folded span [start, end), in code points."""
        if self.starts is None or self.ends is None:
            return start, end
        if start >= end:
            position = self.starts[start] if start < len(self.starts) else (self.ends[-1] if self.ends else 0)
            return position, position
        return self.starts[start], self.ends[end - 1]


def fold(text: str) -> Folded:
    """Fold `text`; see the module's docstring for what that means."""
    regular = _one_to_one(text)
    if regular is None or _has_joins(regular) or _SPACES.search(regular):
        return _fold_with_map(text)
    return Folded(regular)


@lru_cache(maxsize=8192)
def fold_kept(text: str) -> Folded:
    """The same as `fold`, remembered: for passages and their clauses, which question after question compares."""
    return fold(text)


def fold_text(text: str) -> str:
    """The folded text alone, in less time than with its map."""
    folded = _one_to_one(text)
    if folded is None:
        if HIDDEN in text or not _rare_marks.isdisjoint(text):
            return _fold_with_map(text).text
        folded = _translated(text)
    folded = _SPACES.sub(lambda spaces: "\n" if "\n" in spaces.group() else " ", folded)
    return _WORD_JOIN.sub("", folded) if _has_joins(folded) else folded


def fold_many(texts: Sequence[str], separator: str) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The folded code points of texts, `separator` behind each, and where each ends, with that.

    What `fold_text` gives of one after the other, in a third of the time: all are one array, and only those in which
    more than single characters change are folded by themselves. `separator` is a line break or what no text holds.
    """
    codes, ends = _row(texts, separator)
    folded = fold_codes(codes)
    is_space = folded == ord(" ")
    is_blank = is_space | (folded == ord("\n"))
    is_far = folded >= _FIRST_HAN  # or `SPECIAL`
    # Spaces beside Han text may go, and white space in a row becomes one.
    is_irregular = folded == SPECIAL
    is_irregular[1:] |= (is_space[1:] & is_far[:-1]) | (is_blank[1:] & is_blank[:-1])
    is_irregular[:-1] |= is_space[:-1] & is_far[1:]
    if not is_irregular.any():
        return folded, ends
    irregular = set(np.searchsorted(ends, np.flatnonzero(is_irregular), side="right").tolist())
    codes, ends = _row([fold_text(text) if row in irregular else text for row, text in enumerate(texts)], separator)
    folded = fold_codes(codes)
    return np.where(folded == SPECIAL, codes, folded), ends  # what is folded stays as it is


def _row(texts: Sequence[str], separator: str) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    lengths = np.fromiter((len(text) + 1 for text in texts), np.int64, len(texts))
    return code_points(separator.join([*texts, ""])), np.cumsum(lengths)


def fold_aligned(text: str) -> str:
    """The text folded as far as that goes one for one, in the least time; `HIDDEN` stands for what does not."""
    codes = code_points(text)
    folded = fold_codes(codes)
    folded[folded == SPECIAL] = ord(HIDDEN)
    return text_of(folded)


def code_points(text: str) -> NDArray[np.uint32]:
    """The code points of a text; half of a surrogate pair, as other programs leave them, is one too."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def text_of(codes: NDArray[np.uint32]) -> str:
    """The text of some code points."""
    return codes.tobytes().decode("utf-32-le", "surrogatepass")


def fold_codes(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Code points folded one for one, white space left as it is; `SPECIAL` where that is not all there is to do."""
    table = _codes()
    folded = table.take(codes)
    if len(folded) and folded.max() == _UNKNOWN:
        for code in np.unique(codes[folded == _UNKNOWN]).tolist():
            folded_char = _table[code]
            table[code] = SPECIAL if chr(code) in _special else ord(folded_char)
        folded = table.take(codes)
    return folded


def _one_to_one(text: str) -> str | None:
    """The text folded, as long as it is; None if something in it does not fold one to one."""
    if len(text) <= _FEW_CHARS or text.isascii():
        folded = text.translate(_table)
        return folded if _special.isdisjoint(text) else None
    codes = code_points(text)
    folded_codes = _codes().take(codes)
    if folded_codes.max() >= SPECIAL:
        folded_codes = fold_codes(codes)
        if SPECIAL in folded_codes:
            return None
    return text_of(folded_codes)


def _translated(text: str) -> str:
    """The text folded, each character with its marks."""
    if _marks.isdisjoint(text):
        return text.translate(_table)
    parts = _clusters(len(_marks)).split(text)
    return "".join(_fold_cluster(part) if number % 2 else part.translate(_table) for number, part in enumerate(parts))


@lru_cache(maxsize=8)
def _clusters(marks: int) -> re.Pattern[str]:
    """Characters with marks, of which so many have been met."""
    return re.compile(f"(\\S[{''.join(map(re.escape, sorted(_marks)))}]{{1,{_MAX_MARKS}}})")


def _has_joins(folded: str) -> bool:
    """Whether spaces in a text go, because Han text and Western words meet there."""
    return " " in folded and bool(_HAN_CHAR.search(folded) and _WORD_JOIN.search(folded))


def _fold_with_map(text: str) -> Folded:
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    position = 0
    while position < len(text):
        end = _cluster_end(text, position)
        for char in _fold_cluster(text[position:end]):
            if char == " " and out and out[-1] in " \n":
                continue
            out.append(char)
            starts.append(position)
            ends.append(end)
        position = end
    folded = "".join(out)
    if not _has_joins(folded):
        return Folded(folded, starts, ends)
    joins = {place for join in _WORD_JOIN.finditer(folded) for place in range(*join.span())}
    stay = [place for place in range(len(folded)) if place not in joins]
    return Folded(
        "".join(out[place] for place in stay), [starts[place] for place in stay], [ends[place] for place in stay]
    )


def _cluster_end(text: str, start: int) -> int:
    """End of the cluster at `start`: a run of white space, or one character with its combining marks."""
    end = start + 1
    if text[start].isspace():
        while end < len(text) and text[end].isspace():
            end += 1
        return end
    while end < min(len(text), start + 1 + _MAX_MARKS) and _is_mark(text[end]):
        end += 1
    return end


@lru_cache(maxsize=8192)
def _fold_cluster(cluster: str) -> str:
    if cluster[0].isspace():
        return "\n" if "\n" in cluster else " "
    cluster = cluster.replace(HIDDEN, "")
    if len(cluster) == 1:
        return cluster.translate(_table)
    return _normalise(cluster)


def _normalise(cluster: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", cluster).casefold())
    return "".join(_simplified().get(char, char) for char in folded)


@cache
def _is_mark(char: str) -> bool:
    # Vowels and trailing consonants of conjoining Hangul compose although they are not marks.
    return unicodedata.category(char).startswith("M") or "\u1160" <= char <= "\u11ff"


@cache
def _codes() -> NDArray[np.uint32]:
    """What each code point folds to, as far as it is known."""
    return np.full(SPECIAL, _UNKNOWN, dtype=np.uint32)


@cache
def _simplified() -> dict[str, str]:
    """OpenCC's Traditional-to-Simplified table for single characters.

    Both documents and questions pass through it, so a character-wise table is enough and keeps offsets simple.
    """
    chars = [chr(code) for code in (*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000), *range(0xF900, 0xFB00))]
    converted = opencc.OpenCC("t2s").convert("\n".join(chars)).split("\n")
    return {char: simple for char, simple in zip(chars, converted, strict=True) if char != simple}


_special: set[str] = set()
_marks: set[str] = set()
# Those beyond the basic plane, which would make looking for marks slow.
_rare_marks: set[str] = set()


class _Table(dict[int, str]):
    """`str.translate` table that fills itself, and notes marks and characters that don't fold one to one."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        folded = " " if char.isspace() and char != "\n" else _normalise(char.replace(HIDDEN, ""))
        if _is_mark(char):
            (_marks if char <= "\uffff" else _rare_marks).add(char)
        if len(folded) != 1 or _is_mark(char):
            _special.add(char)
        self[code] = folded
        return folded


_table = _Table()
