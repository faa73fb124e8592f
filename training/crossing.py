"""Questions across languages without translations: Chinese text whose words are replaced by dictionary glosses."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import rjieba

from training import sources
from training.questions import is_chinese

_OTHER_LANGUAGES = ("fr", "de", "es", "ru", "ar", "pt", "it", "id", "ja", "ko", "vi", "th")
_MAX_WORDS = 3
_MAX_GLOSSES = 4
_LEADING = re.compile(r"^(to be|to|a|an|the) ")
# Their glosses (的: bull's-eye) are seldom what they mean in a sentence.
_FUNCTION_WORDS = frozenset(
    "的之了着和与及或在是为以于等者所其将对从由被把但而也都就还又又且则若如因此该这那有不得应可会要按经给让使至到向"
)
_QUESTION_WORDS = {
    "多少": ["how many", "how much"],
    "几": ["how many"],
    "哪": ["which", "what"],
    "哪些": ["which", "what"],
    "哪个": ["which", "what"],
    "哪里": ["where"],
    "谁": ["who", "whom"],
    "何": ["what"],
    "何时": ["when"],
    "什么": ["what"],
    "如何": ["how"],
    "怎么": ["how"],
    "为什么": ["why"],
    "为何": ["why"],
    "哪年": ["what year", "when"],
}


def glosses(data: Path) -> dict[str, list[str]]:
    """Short English glosses of Chinese words: CC-CEDICT's first ones, and WordNet's."""
    found: dict[str, list[str]] = defaultdict(list)
    for word, meanings in sources.dictionary(data):
        short = [_LEADING.sub("", meaning) for meaning in meanings if len(meaning.split()) <= _MAX_WORDS + 1]
        found[word] += short[:_MAX_GLOSSES]
    for synset in sources.synsets(data):
        for word in (*synset.get("zh", ()), *synset.get("zh-wikt", ())):
            if len(found[word]) < _MAX_GLOSSES:
                found[word] += synset.get("en", ())[:1]
    return {word: meanings for word, meanings in found.items() if meanings} | _QUESTION_WORDS


def cross(text: str, english: Mapping[str, list[str]], rng: random.Random) -> str:
    """`text` with nearly every word that has a gloss replaced by one."""
    out = []
    for word in rjieba.cut(text, False):
        if word in _FUNCTION_WORDS:
            continue
        meanings = english.get(word)
        if meanings and rng.random() < 0.95:
            out.append(meanings[0] if rng.random() < 0.5 else rng.choice(meanings))
        elif not (is_chinese(word) and len(word) == 1):
            out.append(word)
    return " ".join(out)


def crossed(
    pairs: Iterable[tuple[str, str]], english: Mapping[str, list[str]], rng: random.Random
) -> Iterator[tuple[str, str]]:
    """The left side of each pair put into glosses."""
    for left, right in pairs:
        if is_chinese(left) and is_chinese(right):
            yield cross(left, english, rng), right


def other_languages(data: Path) -> list[dict[str, list[str]]]:
    """For each further language of WordNet, its words for Chinese words."""
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for synset in sources.synsets(data):
        for language in _OTHER_LANGUAGES:
            for word in (*synset.get("zh", ()), *synset.get("zh-wikt", ())):
                found[language].setdefault(word, []).extend(synset.get(language, ())[:1])
    return [{word: words for word, words in found[name].items() if words} for name in _OTHER_LANGUAGES]


def scattered(
    pairs: Iterable[tuple[str, str]], languages: Sequence[Mapping[str, list[str]]], rng: random.Random
) -> Iterator[tuple[str, str]]:
    """The left side of each pair put into words of one of `languages`, taken in turn."""
    for number, (left, right) in enumerate(pairs):
        if is_chinese(left):
            yield cross(left, languages[number % len(languages)], rng), right
