"""Citation marks and sentences in a text that is still being written.

Models write [1], [1, 2], 【1】, ［1］ or [来源1]; what is shown is always [1][2], with numbers of sources that exist.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from index.types import Span

_LABEL = "(?:\\^|来源|來源|资料|資料|段落|文献|出处|passages?|sources?|refs?|citations?)"
_JOINT = "\\s*(?:[,，、;；&和及]|and|\\s|-|–|—|~|至)\\s*"
_NUMBERS = f"{_LABEL}?\\s*\\d{{1,3}}(?:{_JOINT}{_LABEL}?\\s*\\d{{1,3}})*"
_MARK = re.compile(f"[\\[［【]\\s*({_NUMBERS})\\s*(?:†[^\\]］】\\n]{{0,40}})?[\\]］】]", re.IGNORECASE)
# What may become a mark is held back until it is one, or until it is longer than any.
_UNFINISHED = re.compile("[\\[［【][^\\]］】\n]{0,60}$")
_RANGE = re.compile("(\\d+)\\s*(?:-|–|—|~|至)\\s*(\\d+)")
_MAX_RANGE = 20

_TERMINATORS = "。！？!?…｡؟۔"
_CLOSERS = "”’\"'」』》)）】〕*_"
_SHOWN_MARKS = re.compile("(?:\\s*\\[\\d+\\])+")
# A full stop behind these ends no sentence, nor does one behind a single letter or a list's number.
_ABBREVIATED = re.compile(
    "(?:^|[\\s(])(?:[A-Za-z]|[0-9]{1,2}|No|Nos|Dr|Mr|Mrs|Ms|St|vs|approx|Inc|Ltd|Co|Corp|Fig|Art|Sec|pp?|e\\.g|i\\.e|etc"
    "|(?:[A-Za-z]\\.)+[A-Za-z])\\.$"
)


@dataclass(slots=True)
class Sentence:
    """A finished sentence: its span of the text, what it cites, and what it cites though there is no such source."""

    span: Span
    cited: set[int]
    unknown: set[int]


# What is to stand behind a sentence, empty where nothing is wrong with it.
Judge = Callable[[str, Sentence], str]


@dataclass(slots=True)
class Writer:
    """Takes a text in parts and gives it on at once, its marks made uniform, remarks behind sentences that fail.

    A sentence is judged when the next one begins, as a mark may stand behind its full stop. `text` is all that was
    given on so far.
    """

    known: Collection[int]
    judge: Judge
    text: str = ""
    sentences: list[Sentence] = field(default_factory=list)
    _held: str = ""
    _spaces: str = ""
    _start: int = 0
    _may_end: bool = False
    _cited: set[int] = field(default_factory=set)
    _unknown: set[int] = field(default_factory=set)

    def feed(self, part: str) -> str:
        """What is to be shown now that this part came; often empty."""
        self._held += part
        return self._take(is_last=False)

    def end(self) -> str:
        """What is still to be shown when no more comes."""
        shown = self._take(is_last=True)
        before = len(self.text)
        self._close()
        return shown + self.text[before:]

    def _take(self, is_last: bool) -> str:
        before = len(self.text)
        position = 0
        while position < len(self._held):
            mark = _MARK.match(self._held, position)
            if mark:
                self._add_mark(mark[1])
                position = mark.end()
                continue
            if not is_last and _UNFINISHED.match(self._held, position):
                break
            self._add(self._held[position])
            position += 1
        self._held = self._held[position:]
        return self.text[before:]

    def _add_mark(self, inside: str) -> None:
        numbers = list(dict.fromkeys(_numbers(inside)))
        self._cited.update(n for n in numbers if n in self.known)
        self._unknown.update(n for n in numbers if n not in self.known)
        shown = "".join(f"[{n}]" for n in numbers if n in self.known)
        self.text += self._spaces + shown if shown else ""
        self._spaces = ""

    def _add(self, char: str) -> None:
        if char.isspace():
            self._spaces += char
            if char == "\n":
                self._close()
            return
        if self._may_end and self._is_ended(char):
            self._close()
        self.text += self._spaces + char
        self._spaces = ""
        self._may_end = char == "." or char in _TERMINATORS or (self._may_end and char in _CLOSERS)

    def _is_ended(self, following: str) -> bool:
        """Whether the sentence so far is a whole one when a character follows that is no white space."""
        if following in _TERMINATORS or following in _CLOSERS:
            return False
        told = _SHOWN_MARKS.sub("", self.text[self._start :]).rstrip(_CLOSERS)
        if told.endswith(tuple(_TERMINATORS)):
            return True
        is_stop = told.endswith(".") and bool(self._spaces) and not _ABBREVIATED.search(told)
        return is_stop and not following.islower()

    def _close(self) -> None:
        """Judge the sentence; what was held back of white space then begins the next one."""
        start = self._start + len(self.text[self._start :]) - len(self.text[self._start :].lstrip())
        sentence = Sentence((start, len(self.text)), self._cited, self._unknown)
        if self.text[start:] or self._unknown:
            self.sentences.append(sentence)
            self.text += self.judge(self.text[start:], sentence)
        self.text += self._spaces
        self._spaces = ""
        self._start = len(self.text)
        self._may_end = False
        self._cited, self._unknown = set(), set()


def without_marks(sentence: str) -> str:
    """A sentence as it would be without its citations."""
    return _SHOWN_MARKS.sub("", sentence)


def _numbers(inside: str) -> Iterator[int]:
    text = unicodedata.normalize("NFKC", inside)
    for match in _RANGE.finditer(text):
        first, last = int(match[1]), int(match[2])
        if first < last <= first + _MAX_RANGE:
            yield from range(first, last + 1)
    yield from (int(number) for number in re.findall("\\d+", text))
