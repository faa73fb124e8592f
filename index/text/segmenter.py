"""Words of Han text by a dictionary, with the user's words added: rjieba where it is installed, else jieba."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib.util import find_spec

from index.text.lexicon import UserWord

_MAX_TAGS = 1 << 16


@dataclass(frozen=True, slots=True)
class _Functions:
    cut: Callable[[str], list[str]]
    words: Callable[[str], list[str]]
    tag: Callable[[str], list[tuple[str, str]]]
    knows: Callable[[str], bool]


class Segmenter:
    """Cuts text into words. The dictionary is loaded when it is first used; the user's words stay in this object."""

    def __init__(self, user_words: Sequence[UserWord] = ()) -> None:
        self.user_words = tuple(user_words)

    def __reduce__(self) -> tuple[type[Segmenter], tuple[tuple[UserWord, ...]]]:
        """For another process, which loads the dictionary itself."""
        return Segmenter, (self.user_words,)

    @cached_property
    def fingerprint(self) -> str:
        """What the words depend on: tokens with different fingerprints must not be compared."""
        name = "rjieba" if _has_rjieba() else "jieba"
        if not self.user_words:
            return name
        return f"{name}-{hashlib.sha256(repr(self.user_words).encode()).hexdigest()[:8]}"

    @cached_property
    def _functions(self) -> _Functions:
        return _rjieba(self.user_words) if _has_rjieba() else _jieba(self.user_words)

    def cut(self, text: str) -> list[str]:
        """Words in search mode: long ones, and the words inside them."""
        return self._functions.cut(text)

    def words(self, text: str) -> list[str]:
        """The words that `tag` tags, in half of its time."""
        return self._functions.words(text)

    def tag(self, text: str) -> list[tuple[str, str]]:
        """Words with part-of-speech tags: `ns` is a place, `nr` a person, `nt` an organisation."""
        return self._functions.tag(text)

    def tag_alone(self, word: str) -> str | None:
        """The tag of a word that stands alone; None where it is cut up."""
        return self._tags_alone(word)

    @cached_property
    def _tags_alone(self) -> Callable[[str], str | None]:
        def tag_alone(word: str) -> str | None:
            tags = [tag for _, tag in self.tag(word)]
            return tags[0] if len(tags) == 1 else None

        # A cache of this object's own, which goes when it goes.
        return lru_cache(maxsize=_MAX_TAGS)(tag_alone)

    def knows(self, word: str) -> bool:
        """Whether a word stands in the dictionary, so that it was not guessed."""
        return self._functions.knows(word)


PLAIN = Segmenter()


@cache
def _has_rjieba() -> bool:
    # Looked up, not imported: the import loads the dictionary.
    return find_spec("rjieba") is not None


def _rjieba(words: Sequence[UserWord]) -> _Functions:
    import rjieba

    # The instance behind the module's functions is shared; another one loads the dictionary again, for 0.1 s.
    found = rjieba.Jieba() if words else rjieba.cut.__self__  # type: ignore[attr-defined]
    for word in words:
        found.add_word(word.text, word.frequency, word.tag)
    return _Functions(found.cut_for_search, found.cut, found.tag, found.has_word)


def _jieba(words: Sequence[UserWord]) -> _Functions:
    import jieba
    from jieba import posseg

    jieba.setLogLevel(logging.WARNING)
    found = jieba.Tokenizer() if words else jieba.dt
    tagger = posseg.POSTokenizer(found) if words else posseg.dt
    for word in words:
        found.add_word(word.text, word.frequency, word.tag)
    return _Functions(
        found.lcut_for_search,
        found.lcut,
        lambda text: [(pair.word, pair.flag) for pair in tagger.cut(text)],
        lambda word: bool(found.FREQ.get(word)),
    )
