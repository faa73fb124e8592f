"""The user's own words: a dictionary of names and terms, and groups of words that mean the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from index.errors import ConfigError
from index.text.fold import fold_text
from index.types import Span

# jieba's own: a word that may hold spaces, then a frequency and a tag that may each be left out.
_ENTRY = re.compile(r"(?P<word>\S.*?)(?:\s+(?P<frequency>[0-9]+))?(?:\s+(?P<tag>[a-zA-Z]+))?")
_SEPARATOR = re.compile("[,，]")
# A question with several words that have synonyms is compared in meaning in so many of its wordings.
_MAX_WORDINGS = 6


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
    found = []
    for number, line in _lines(path, "dictionary"):
        match = _ENTRY.fullmatch(line)
        frequency = int(match["frequency"]) if match and match["frequency"] else None
        # Names in Latin letters have spaces; in other words one stands before what should be a frequency or a tag.
        if not match or frequency == 0 or (" " in match["word"] and not re.search("[a-zA-Z]", match["word"])):
            raise ConfigError(f"{path}, line {number}: {line!r} is not `word frequency tag`, as in: 帮扶中心 100 nt")
        found.append(UserWord(fold_text(match["word"]), frequency, match["tag"]))
    return tuple(found)


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
        found: dict[str, dict[str, None]] = {}
        for group in self.groups:
            for word in group:
                found.setdefault(word, {word: None}).update(dict.fromkeys(group))
        return {word: tuple(ways) for word, ways in found.items()}

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
        found = [folded]
        for start, end in self.find(folded):
            found.extend(folded[:start] + way + folded[end:] for way in self.ways(folded[start:end])[1:])
        return found[:_MAX_WORDINGS]
