"""Words of Han text by a dictionary: rjieba where it is installed, else jieba, with the user's own words added.

The user's synonyms, groups of words that mean the same, are read here too.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path

from index.errors import ConfigError
from index.text.fold import fold_text
from index.types import Span

# jieba's own: a word that may hold spaces, then a frequency and a tag that may each be left out.
_ENTRY = re.compile(r"(?P<word>\S.*?)(?:\s+(?P<frequency>[0-9]+))?(?:\s+(?P<tag>[a-zA-Z]+))?")
_SEPARATOR = re.compile("[,，]")
# A question with several words that have synonyms is compared in meaning in so many of its wordings.
_MAX_WORDINGS = 6
_MAX_TAGS = 1 << 16


@dataclass(frozen=True, slots=True)
class UserWord:
    """A folded word of the user's dictionary; without a frequency it gets one that keeps it whole."""

    text: str
    frequency: int | None = None
    tag: str | None = None


def read_dictionary(path: Path) -> tuple[UserWord, ...]:
    """The words of a dictionary in jieba's format: `word frequency tag` a line, the last two optional.

    Raises:
        ConfigError: the file can't be read, or a line is malformed.
    """
    words = []
    for number, line in _lines(path, "dictionary"):
        match = _ENTRY.fullmatch(line)
        frequency = int(match["frequency"]) if match and match["frequency"] else None
        # Names in Latin letters have spaces; in other words one stands before what should be a frequency or a tag.
        if not match or frequency == 0 or (" " in match["word"] and not re.search("[a-zA-Z]", match["word"])):
            raise ConfigError(f"{path}, line {number}: {line!r} is not `word frequency tag`, as in: 帮扶中心 100 nt")
        words.append(UserWord(fold_text(match["word"]), frequency, match["tag"]))
    return tuple(words)


def read_synonyms(path: Path) -> Synonyms:
    """The groups of a synonyms file, one a line: words separated by commas.

    Raises:
        ConfigError: the file can't be read, or a line is malformed.
    """
    groups = []
    for number, line in _lines(path, "synonyms"):
        words = tuple(dict.fromkeys(fold_text(word).strip() for word in _SEPARATOR.split(line)))
        if len(words) < 2 or "" in words:
            raise ConfigError(f"{path}, line {number}: {line!r} is not words separated by commas, as in: 总工会,全总")
        groups.append(words)
    return Synonyms(tuple(groups))


def _lines(path: Path, key: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; blank ones, and those that begin with #, are left out."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"{key}: {path}: {exc.strerror}; correct `{key}` in config.yaml") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{key}: {path}: is not UTF-8; save it as UTF-8") from exc
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip()


@dataclass(frozen=True)
class Synonyms:
    """Groups of folded words that mean the same."""

    groups: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def _ways(self) -> dict[str, tuple[str, ...]]:
        ways: dict[str, dict[str, None]] = {}
        for group in self.groups:
            for word in group:
                ways.setdefault(word, {word: None}).update(dict.fromkeys(group))
        return {word: tuple(own) for word, own in ways.items()}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self._ways, key=lambda word: (-len(word), word))
        # A word in Latin letters or digits is no part of a longer one.
        edged = (
            (r"(?<![a-z0-9])" if word[0].isascii() else "")
            + re.escape(word)
            + (r"(?![a-z0-9])" if word[-1].isascii() else "")
            for word in longest_first
        )
        return re.compile("|".join(edged) or "(?!)")

    def ways(self, word: str) -> tuple[str, ...]:
        """All ways to say a folded word, itself first."""
        return self._ways.get(word, (word,))

    def find(self, folded: str) -> list[Span]:
        """Where words that have synonyms stand in a folded text, longest first, none inside another."""
        return [match.span() for match in self._pattern.finditer(folded)] if self.groups else []

    def wordings(self, folded: str) -> list[str]:
        """A folded text, and the same with one of its words said in another way at a time."""
        wordings = [folded]
        for start, end in self.find(folded):
            wordings.extend(folded[:start] + way + folded[end:] for way in self.ways(folded[start:end])[1:])
        return wordings[:_MAX_WORDINGS]


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
    dictionary = rjieba.Jieba() if words else rjieba.cut.__self__  # type: ignore[attr-defined]
    for word in words:
        dictionary.add_word(word.text, word.frequency, word.tag)
    return _Functions(dictionary.cut_for_search, dictionary.cut, dictionary.tag, dictionary.has_word)


def _jieba(words: Sequence[UserWord]) -> _Functions:
    import jieba
    from jieba import posseg

    jieba.setLogLevel(logging.WARNING)
    dictionary = jieba.Tokenizer() if words else jieba.dt
    tagger = posseg.POSTokenizer(dictionary) if words else posseg.dt
    for word in words:
        dictionary.add_word(word.text, word.frequency, word.tag)
    return _Functions(
        dictionary.lcut_for_search,
        dictionary.lcut,
        lambda text: [(pair.word, pair.flag) for pair in tagger.cut(text)],
        lambda word: bool(dictionary.FREQ.get(word)),
    )
