"""Text to the tokens that lexical search matches.

Han text gives dictionary words in search mode (long words and the words inside them) and character bigrams; bigrams
find what the dictionary cuts differently in the document and in the question. Kana, Hangul, Thai and other scripts
that are written without spaces give bigrams. Everything else gives words and numbers.

Tokens are made from folded text (see `index.fold`), so that the same rules serve documents and questions.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from functools import cache

HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_UNSPACED = "\u3040-\u30ff\u31f0-\u31ff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\uac00-\ud7a3"
_RUNS = re.compile(
    f"(?P<han>[{HAN}]+(?:[ ][{HAN}]+)*)"
    f"|(?P<unspaced>[{_UNSPACED}]+)"
    f"|(?P<number>[0-9]+(?:[.,:/-][0-9]+)*)(?=(?P<unit>%|[{HAN}]))?"
    f"|(?P<word>[^\\W_{HAN}{_UNSPACED}](?:[^\\W_{HAN}{_UNSPACED}]|[\u0300-\u036f\u0900-\u0dff'’.+#&-](?=[^\\W_]))*)"
)


_FUNCTION_WORDS = frozenset(
    "a an the of in on at to for from by with and or not no is are was were be been being am do does did has have had "
    "this that these those there it its he she they them his her their you your we our i my as than then so if but "
    "what which who whom whose when where why how much many can could will would shall should may might must".split()
)


@cache
def segmenter() -> tuple[str, Callable[[str], list[str]]]:
    """Name and function of the word segmenter: rjieba where it is installed, else jieba."""
    try:
        import rjieba

        return "rjieba", rjieba.cut_for_search
    except ImportError:
        import jieba

        jieba.setLogLevel(logging.WARNING)
        return "jieba", jieba.lcut_for_search


def tokenize(folded: str) -> list[str]:
    """Every token of a document's folded text, repeated as often as it occurs (BM25 counts)."""
    return [token for match in _RUNS.finditer(folded) for token in _run_tokens(match, across_spaces=True)]


def query_tokens(folded: str) -> list[str]:
    """The distinct tokens of a question, in order; spaces in a question separate its words.

    English function words are left out where others remain: among documents in another language they are rare, and
    would count as much as names.
    """
    found = (token for match in _RUNS.finditer(folded) for token in _run_tokens(match, across_spaces=False))
    tokens = list(dict.fromkeys(found))
    return [token for token in tokens if token not in _FUNCTION_WORDS] or tokens


def words(folded: str) -> list[str]:
    """Words, numbers and unspaced runs without bigrams, in order: what a person would call the text's words."""
    found: list[str] = []
    for match in _RUNS.finditer(folded):
        if match["han"]:
            for part in match["han"].split(" "):
                found.extend(segmenter()[1](part))
        else:
            found.append(match["number"] or match.group())
    return found


def tagged(folded: str) -> list[tuple[str, str]]:
    """Words with the segmenter's part-of-speech tags: `ns` is a place, `nr` a person, `nt` an organisation."""
    if segmenter()[0] == "rjieba":
        import rjieba

        return [(str(word), str(tag)) for word, tag in rjieba.tag(folded)]
    from jieba import posseg

    return [(pair.word, pair.flag) for pair in posseg.cut(folded)]


def is_dictionary_word(word: str) -> bool:
    """Whether the segmenter knows the word, rather than having guessed it."""
    if segmenter()[0] == "rjieba":
        import rjieba

        # The instance behind the module's functions: another one would load the dictionary again, for 0.2 s.
        return bool(rjieba.cut.__self__.has_word(word))  # type: ignore[attr-defined]
    import jieba

    return bool(jieba.dt.FREQ.get(word))


def _run_tokens(match: re.Match[str], *, across_spaces: bool) -> Iterator[str]:
    if han := match["han"]:
        parts = han.split(" ")
        for part in parts:
            # One-character words are noise beside the bigrams that hold them, unless the run is nothing else.
            yield from (word for word in segmenter()[1](part) if len(word) > 2)
        for part in [han.replace(" ", "")] if across_spaces else parts:
            yield from _bigrams(part)
    elif match["unspaced"]:
        yield from _bigrams(match["unspaced"])
    elif number := match["number"]:
        number = number.replace(",", "")
        yield number
        if match["unit"]:
            yield number + match["unit"]
    else:
        yield match["word"].replace("’", "'")


def _bigrams(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for start in range(len(run) - 1):
        yield run[start : start + 2]
