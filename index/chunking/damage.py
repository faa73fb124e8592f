"""Damaged text: what was lost or mangled on the way, found by how it came about. Pure but for jieba's word list.

Four ways are known here. Characters that no author writes: replacements, controls, private codes. Text read in a wrong
encoding: written back in that encoding, its bytes are flawless UTF-8 or GB 18030, which real text never is. A byte
lost from a double-byte text: every character after it is made of halves of two others until the next single byte;
put together the other way round, the same bytes give common words. A question mark in place of half a character,
beside a semicolon that was the other half.
"""

from __future__ import annotations

import codecs
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib.resources import files

from index.text.fold import fold_text
from index.text.scripts import BASIC_HAN, HAN, KANA
from index.types import Span

# Each pattern begins with one class of characters, which is looked for much faster than anything else.
_NEVER = "[\x00-\x08\x0b\x0e-\x1b\x7f-\x84\x86-\x9f\ufffd\ufffe\uffff\ue000-\uefff\uf100-\uf8ff]"
_NEVER_WRITTEN = re.compile(f"{_NEVER}{_NEVER}*")
_HALF_KANA = re.compile(f"[\uff66-\uff9f](?<=[{HAN}].)[\uff66-\uff9f]*(?=[{HAN}])")
_KANA = re.compile(f"[{KANA}]")
# Kana beyond this share make a text Japanese.
_JAPANESE_SHARE = 0.02

# Encodings in which a text was wrongly read, and those that it was in.
_GBK_RUN = re.compile("[\u2010-\u2e7f\u3000-\uffff€]{4,}")
_PHRASE = re.compile("[^，。、；：？！“”（）《》]{4,}")
_LATIN = "[\x80-\xff€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
_LATIN_RUN = re.compile(f"{_LATIN}{_LATIN}+")
# Two East Asian characters in UTF-8, which a misread run must have among its bytes; real text seldom has.
_ONE_IN_UTF8 = b"[\xe3-\xe9\xef][\x80-\xbf][\x80-\xbf]"
_TWO_IN_UTF8 = re.compile(_ONE_IN_UTF8 * 2)
_MIN_MISREAD_LATIN = 4
# What a misread text can have been. Rare characters are left out: that they come out shows that nothing was misread.
_EAST_ASIAN = re.compile(f"[\u3000-\u303f{KANA}{BASIC_HAN}\uff00-\uffee\ufffd]")
_MIN_EAST_ASIAN_SHARE = 0.9

_LOST_BYTE = re.compile("[?？\ufffd](?<=[^\x00-\x7f].)([;；!！,，.:：?？]?)(?=[^\x00-\x7f])")
_LOST_PAIR = re.compile(f"[?？;；](?<=[{HAN}].)(?:(?<=[?？])[;；]+[?？]?|(?<=[;；])[?？])(?=[^\\s\"'”’)）」』])")
_WIDE = {ord(char): ord(char) + 0xFEE0 for char in "!,.:;?"}
_MAX_SHIFTED_CHARS = 60
# How much likelier the other reading must be, as a natural logarithm: a million times leaves no doubt.
_MIN_GAIN = 12.0
_NEAR = 2
_RAREST = -16.0
_PUNCTUATION = -4.0
_LONE_LETTER = -10.0
_LOWEST_SECOND_HALF = 0x40


def find_damage(text: str) -> list[Span]:
    """The spans of `text` that can't be read as they were meant; sorted, separate, none of them empty."""
    damaged = [match.span() for match in _NEVER_WRITTEN.finditer(text)]
    damaged += _misread(text)
    halves = [match.span() for pattern in (_HALF_KANA, _LOST_PAIR) for match in pattern.finditer(text)]
    halves += _shifted(text)
    return _merged(damaged if halves and _is_japanese(text) else damaged + halves)


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1] + _NEAR:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _misread(text: str) -> Iterator[Span]:
    """Runs of characters that are UTF-8 or GB 18030 read as something else."""
    may_be_utf8 = _TWO_IN_UTF8.search(text.encode("gb18030", "ignore"))
    for run in _GBK_RUN.finditer(text) if may_be_utf8 else ():
        # What was misread may stand beside what was not, with a mark between them that belongs to either.
        parts = [run] if _is_utf8_as_gbk(run) else _PHRASE.finditer(text, *run.span())
        yield from (part.span() for part in parts if _is_utf8_as_gbk(part))
    for run in _LATIN_RUN.finditer(text):
        if any(_decodes(run[0], read_as, "utf-8") for read_as in ("cp1252", "latin-1")):
            yield run.span()
        elif len(run[0]) >= _MIN_MISREAD_LATIN and _is_east_asian(_decodes(run[0], "latin-1", "gb18030")):
            yield run.span()


def _is_utf8_as_gbk(run: re.Match[str]) -> bool:
    return _may_open_utf8(run[0][:2]) and _is_east_asian(_decodes(run[0], "gb18030", "utf-8"))


@lru_cache(maxsize=1 << 16)
def _may_open_utf8(pair: str) -> bool:
    """Whether two characters can be the beginning of UTF-8 read as GBK; real text seldom gets further."""
    return bool(_decodes(pair, "gb18030", "utf-8"))


def _decodes(run: str, read_as: str, meant: str) -> str:
    """What a run says when its bytes are read as they were meant; empty where they can't be."""
    try:
        data = run.encode(read_as)
        # The end of a run may be the beginning of a character.
        decoded = codecs.getincrementaldecoder(meant)().decode(data)
    except UnicodeError:
        return ""
    return decoded if decoded and not decoded.isascii() else ""


def _is_east_asian(text: str) -> bool:
    return bool(text) and len(_EAST_ASIAN.findall(text)) >= _MIN_EAST_ASIAN_SHARE * len(text)


def _is_japanese(text: str) -> bool:
    return len(_KANA.findall(text)) > _JAPANESE_SHARE * len(text)


def _shifted(text: str) -> Iterator[Span]:
    """Spans that follow a lost byte and are made of halves of characters."""
    end = 0
    for anchor in _LOST_BYTE.finditer(text):
        if anchor.start() < end:
            continue
        start = anchor.start(1)
        length = _shifted_length(text[start : start + _MAX_SHIFTED_CHARS])
        if length:
            end = start + length
            yield anchor.start(), end


def _shifted_length(after: str) -> int:
    """How many of the characters after a lost byte are made of halves of others."""
    best, best_length = 0.0, 0
    gain = 0.0
    above = ""
    for number, char in enumerate(after):
        step = _gain(above, char)
        if step is None:
            break
        gain += step
        # A single byte that can be a second half completes the last pair and ends the shift.
        is_last = len(_double_byte(char)) == 1
        if gain > best or (is_last and gain == best):
            best, best_length = gain, number + 1
        if is_last:
            break
        above = char
    return best_length if best >= _MIN_GAIN else 0


# Every question mark is looked behind so far that a text of nothing else would take minutes without what is known.
@lru_cache(maxsize=1 << 16)
def _gain(above: str, char: str) -> float | None:
    """How much likelier it is that the halves of two characters belong together; None where they can't."""
    data, lead = _double_byte(char), _double_byte(above)[1:]
    meant = _meant(lead + data[:1])
    if len(data) == 1 and lead and data[0] >= _LOWEST_SECOND_HALF:
        return _likelihood(meant) - _LONE_LETTER if meant else 0.0
    if len(data) != 2:
        return None
    return (_likelihood(meant) if meant else _RAREST) - _likelihood(char) if lead else 0.0


@lru_cache(maxsize=1 << 16)
def _double_byte(char: str) -> bytes:
    """A character's GB 18030 bytes; half-width punctuation as the full width that it was before."""
    try:
        return char.translate(_WIDE).encode("gb18030") if char in "!,.:;?" else char.encode("gb18030")
    except UnicodeEncodeError:
        return b""


def _meant(pair: bytes) -> str:
    try:
        return pair.decode("gbk")
    except UnicodeDecodeError:
        return ""


def _likelihood(char: str) -> float:
    """The natural logarithm of how often a character is met in Chinese text."""
    if char in "，。、；：？！“”（）《》,;:?!":
        return _PUNCTUATION
    return _frequencies().get(fold_text(char), _RAREST)


@cache
def _frequencies() -> dict[str, float]:
    """Logarithms of character frequencies, from the words and counts that jieba segments by."""
    counts = Counter[str]()
    with (files("jieba") / "dict.txt").open(encoding="utf-8") as lines:
        for line in lines:
            word, count, _ = line.split(" ")
            for char in word:
                counts[char] += int(count)
    total = counts.total()
    return {char: math.log(count / total) for char, count in counts.items()}
