"""Which words get a vector, and how often each occurs."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from itertools import product
from pathlib import Path

import rjieba

from index.text.fold import fold_text
from training import sources

log = logging.getLogger(__name__)

_HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff"
_RUNS = re.compile(
    f"(?P<han>[{_HAN}]+)|(?P<digits>\\d+)|(?P<kana>[\u3041-\u309f]+|[\u30a0-\u30ff]+)|(?P<hangul>[\uac00-\ud7a3]+)"
    f"|(?P<word>(?:[^\\W\\d_{_HAN}\u3040-\u30ff\uac00-\ud7a3]|[\u0300-\u036f\u0900-\u0903\u093a-\u094f\u0e31-\u0e4e])+)"
)
# Scripts of which there is no text to count: all pairs of their letters stand in for words.
_UNSEEN_SCRIPTS = (
    "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώ",
    "अआइईउऊएऐओऔकखगघचछजझटठडढणतथदधनपफबभमयरलवशषसह",
    "กขคงจฉชซญดตถทธนบปผฝพฟภมยรลวศษสหอฮ",
)
_DEPENDENT = ("", "ािीुूेैोौ्ं", "ะาิีึืุูเแโใไ่้็์ั")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many pieces of each sort are kept at most."""

    han_words: int = 76_000
    han_chars: int = 7_000
    words: int = 42_000
    kana: int = 3_000
    fragments: int = 6_000


def runs(text: str) -> Iterable[tuple[str, str]]:
    """The runs of one script in `text`, as (script, run)."""
    return ((match.lastgroup or "", match[0]) for match in _RUNS.finditer(text))


def count(texts: Iterable[str]) -> dict[str, Counter[str]]:
    """How often each word, or run of a script without spaces, occurs, by script."""
    found: dict[str, Counter[str]] = {name: Counter() for name in ("han", "digits", "kana", "hangul", "word")}
    for text in texts:
        for script, run in runs(text):
            found[script][run] += 1
    words: Counter[str] = Counter()
    for run, times in found["han"].items():
        for word in rjieba.cut(run, False):
            words[word] += times
    found["han"] = words
    return found


def general_frequencies() -> dict[str, int]:
    """Frequencies of Chinese words in general text, from the dictionary of jieba (MIT licence)."""
    lines = (files("jieba") / "dict.txt").read_text(encoding="utf-8").splitlines()
    fields = (line.rsplit(" ", 2) for line in lines)
    return {fold_text(word): int(times) for word, times, _ in fields}


def _decomposes(word: str) -> bool:
    """Whether a long word is made of shorter words, which then stand for it."""
    if len(word) < 4:
        return False
    parts = [part for part in rjieba.cut_for_search(word, False) if part != word]
    return sum(map(len, parts)) >= len(word) and all(len(part) > 1 for part in parts)


def han_pieces(counted: Counter[str], data: Path, sizes: Sizes) -> dict[str, float]:
    """Chinese words and characters with their frequency in general and in our text together."""
    general = general_frequencies()
    listed = {word for word, _ in sources.dictionary(data)}
    for synset in sources.synsets(data):
        listed.update(word for name in ("zh", "zh-wikt", "zh-Hant") for word in synset.get(name, ()))
    known: dict[str, float] = {}
    for word in {*general, *listed, *counted}:
        if 2 <= len(word) <= 5 and re.fullmatch(f"[{_HAN}]+", word) and not _decomposes(word):
            known[word] = general.get(word, 0) + 0.3 * counted[word] + 5 * (word in listed) * (len(word) < 5)
    chars: Counter[str] = Counter()
    for word in {*general, *listed, *counted}:
        for char in word:
            if re.fullmatch(f"[{_HAN}]", char):
                chars[char] += 1 + general.get(word, 0) * (len(word) == 1) + counted[word]
    best = dict(sorted(known.items(), key=lambda item: (-item[1], item[0]))[: sizes.han_words])
    return {**best, **{char: max(1.0, times * 0.2) for char, times in chars.most_common(sizes.han_chars)}}


def _fragments(words: Iterable[str], limit: int) -> list[str]:
    """Letters and the commonest groups of two to four letters, for words that are not in the vocabulary."""
    letters: Counter[str] = Counter()
    groups: dict[str, Counter[str]] = {}
    for word in words:
        letters.update(word)
        script = groups.setdefault(word[0] if ord(word[0]) < 0x250 else chr(ord(word[0]) & ~0xFF), Counter())
        for size in (2, 3, 4):
            script.update(word[start : start + size] for start in range(0, len(word) - size + 1))
    pooled: Counter[str] = Counter()
    for counter in groups.values():
        pooled.update(dict(counter.most_common(limit)))
    found = [letter for letter, times in letters.items() if times > 1]
    found += [group for group, _ in pooled.most_common(limit)]
    for letters_of, marks in zip(_UNSEEN_SCRIPTS, _DEPENDENT, strict=True):
        found += [*letters_of, *marks, *map("".join, product(letters_of, letters_of + marks))]
    return list(dict.fromkeys(found))


def build(texts: Iterable[str], data: Path, sizes: Sizes) -> list[tuple[str, float]]:
    """All pieces with their log-probability, the unknown piece first."""
    counted = count(texts)
    log.info("counted %s", {name: len(words) for name, words in counted.items()})
    pieces = han_pieces(counted["han"], data, sizes)
    words = Counter({word: times for word, times in counted["word"].items() if times > 1 and len(word) < 24})
    words.update(counted["hangul"])
    pieces.update(words.most_common(sizes.words))
    pieces.update(counted["kana"].most_common(sizes.kana))
    pieces.update({str(number): 50.0 for number in (*range(100), *range(1500, 2100))})
    pieces.update({f"0{number}": 5.0 for number in range(10)} | {"00": 5.0, "000": 5.0})
    total = sum(pieces.values())
    scored = {piece: math.log(times / total) for piece, times in pieces.items()}
    lowest = min(scored.values())
    for fragment in _fragments(set(words) | set(counted["kana"]), sizes.fragments):
        scored.setdefault(fragment, lowest - (6 - len(fragment)))
    return [("[UNK]", 0.0), *sorted(scored.items(), key=lambda item: (-item[1], item[0]))]
