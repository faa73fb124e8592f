"""The same said in other words: text some of whose words are replaced by synonyms."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import rjieba

from training import sources
from training.questions import is_chinese

# A gloss of more words explains rather than names; a gloss that many words share names none of them well.
_MAX_GLOSS_WORDS = 6
_MAX_SHARING = 12
_SWAPPED = 0.5


def sharing(data: Path) -> list[list[str]]:
    """Groups of Chinese words that share a gloss of CC-CEDICT."""
    by_gloss: dict[str, set[str]] = defaultdict(set)
    for word, meanings in sources.dictionary(data):
        for meaning in meanings:
            if len(meaning.split()) <= _MAX_GLOSS_WORDS:
                by_gloss[meaning].add(word)
    return [sorted(words) for words in by_gloss.values() if 2 <= len(words) <= _MAX_SHARING]


def synonyms(data: Path) -> dict[str, list[str]]:
    """Chinese and English synonyms, from shared glosses and from WordNet; only words of at least two characters."""
    found: dict[str, set[str]] = defaultdict(set)
    groups = sharing(data)
    for synset in sources.synsets(data):
        groups.append([*synset.get("zh", ()), *synset.get("zh-wikt", ())])
        groups.append([word for word in synset.get("en", ()) if " " not in word])
    for group in groups:
        words = [word for word in group if len(word) > 1]
        for word in words:
            found[word].update(other for other in words if other != word)
    return {word: sorted(others) for word, others in found.items() if others}


def swap(text: str, others: Mapping[str, list[str]], rng: random.Random) -> str:
    """`text` with half of the words that have a synonym replaced by one."""
    chinese = is_chinese(text)
    words = rjieba.cut(text, False) if chinese else text.split()
    out = [rng.choice(others[word]) if word in others and rng.random() < _SWAPPED else word for word in words]
    return ("" if chinese else " ").join(out)


def swapped(
    pairs: Iterable[tuple[str, str]], others: Mapping[str, list[str]], rng: random.Random
) -> Iterator[tuple[str, str]]:
    """The left side of each pair in other words."""
    for left, right in pairs:
        yield swap(left, others, rng), right
