"""Citation marks and sentences in a text that is still being written.

Models write [1], [1, 2], 【1】, ［1］ or [来源1]; what is shown is always [1][2], with numbers of sources that exist.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from index.types import Span

_LABEL = "(?:\\^|来源|來源|资料|資料|段落|文献|出处|passages?|sources?|refs?|citations?)"
# Possessive throughout: white space that two parts could take would be shared out in every way, and numbers likewise.
_NUMBER = f"(?:{_LABEL}\\s*+)?+\\d{{1,3}}+"
_SEPARATOR = "(?:[,，、;；&和及–—~至-]|and)"
_JOINT = f"(?=\\s|{_SEPARATOR})\\s*+(?:{_SEPARATOR}\\s*+)?+"
_NUMBERS = f"{_NUMBER}(?:{_JOINT}{_NUMBER})*+"
_MARK = re.compile(f"[\\[［【]\\s*+({_NUMBERS})\\s*+(?:†[^\\]］】\\n]{{0,40}}+)?+[\\]］】]", re.IGNORECASE)
# What may become a mark is held back until it is one, or until it is longer than any.
_UNFINISHED = re.compile("[\\[［【][^\\]］】\n]{0,60}$")
_RANGE = re.compile("(?<!\\d)(\\d++)\\s*+(?:-|–|—|~|至)\\s*+(\\d++)")
_MAX_RANGE = 20

_TERMINATORS = "。！？!?…｡؟۔"
_CLOSERS = "”’\"'」』》)）】〕*_"
_SHOWN_MARKS = re.compile("(?<!\\s)(?:\\s*+\\[\\d++\\])+")
# A full stop behind these ends no sentence, nor does one behind a single letter or a list's number.
_ABBREVIATED = re.compile(
    "(?:^|[\\s(])(?:[A-Za-z]|[0-9]{1,2}|No|Nos|Dr|Mr|Mrs|Ms|St|vs|approx|Inc|Ltd|Co|Corp|Fig|Art|Sec|pp?|e\\.g|i\\.e|etc"
    "|(?:[A-Za-z]\\.)+[A-Za-z])\\.$"
)
# How much of a sentence says whether it ends here.
_TAIL_CHARS = 32
# How many characters and marks a sentence has at most; between words, and within one.
_LONG_SENTENCE, _MAX_SENTENCE = 2000, 2500


@dataclass(slots=True)
class Sentence:
    """A finished sentence: its span of the text, what it cites, and what it cites though there is no such source."""

    span: Span
    cited: set[int]
    unknown: set[int]


# What is to stand behind a sentence, empty where nothing is wrong with it.
Judge = Callable[[str, Sentence], str]


class CitationStream:
    """Takes a text in parts and gives it on at once, its marks made uniform, remarks behind sentences that fail.

    A sentence is judged when the next one begins, as a mark may stand behind its full stop.
    """

    def __init__(self, known: Collection[int], judge: Judge) -> None:
        self.sentences: list[Sentence] = []
        self._known, self._judge = known, judge
        # What was given on: the sentences that were, with their remarks, and the parts of the one that is.
        self._told: list[str] = []
        self._told_chars = 0
        self._sentence: list[str] = []
        self._tail = ""
        self._held = ""
        self._spaces: list[str] = []
        self._may_end = False
        self._cited: set[int] = set()
        self._unknown: set[int] = set()

    @property
    def text(self) -> str:
        """All that was given on so far."""
        return "".join([*self._told, *self._sentence])

    @property
    def is_empty(self) -> bool:
        """Whether nothing but white space was given on."""
        return not self._sentence and not self.sentences

    def feed(self, part: str) -> str:
        """What is to be shown now that this part came; often empty."""
        self._held += part
        return "".join(self._take(is_last=False))

    def end(self) -> str:
        """What is still to be shown when no more comes."""
        return "".join([*self._take(is_last=True), self._close()])

    def _take(self, is_last: bool) -> Iterator[str]:
        position = 0
        while position < len(self._held):
            if mark := _MARK.match(self._held, position):
                yield self._add_mark(mark[1])
                position = mark.end()
            elif not is_last and _UNFINISHED.match(self._held, position):
                break
            else:
                yield self._add(self._held[position])
                position += 1
        self._held = self._held[position:]

    def _add_mark(self, inside: str) -> str:
        numbers = list(dict.fromkeys(_numbers(inside)))
        self._cited.update(n for n in numbers if n in self._known)
        self._unknown.update(n for n in numbers if n not in self._known)
        shown = "".join(f"[{n}]" for n in numbers if n in self._known)
        spaces = self._take_spaces()
        added = spaces + shown if shown else ""
        self._sentence += [added] if added else []
        return added

    def _add(self, char: str) -> str:
        if char.isspace():
            self._spaces.append(char)
            return self._close() if char == "\n" else ""
        closed = self._close() if (self._may_end and self._is_ended(char)) or self._is_too_long(char) else ""
        added = self._take_spaces() + char
        self._sentence.append(added)
        self._tail = (self._tail + added)[-_TAIL_CHARS:]
        self._may_end = char == "." or char in _TERMINATORS or (self._may_end and char in _CLOSERS)
        return closed + added

    def _take_spaces(self) -> str:
        spaces, self._spaces = "".join(self._spaces), []
        return spaces

    def _is_ended(self, following: str) -> bool:
        """Whether the sentence so far is a whole one when a character follows that is no white space."""
        if following in _TERMINATORS or following in _CLOSERS:
            return False
        told = self._tail.rstrip(_CLOSERS)
        if told.endswith(tuple(_TERMINATORS)):
            return True
        is_stop = told.endswith(".") and bool(self._spaces) and not _ABBREVIATED.search(told)
        return is_stop and not following.islower()

    def _is_too_long(self, following: str) -> bool:
        """Whether a sentence that finds no end is taken to end here: what is judged at once stays bounded."""
        limit = _MAX_SENTENCE if following.isalnum() else _LONG_SENTENCE
        return len(self._sentence) >= limit

    def _close(self) -> str:
        """End the sentence; what this adds to the text is the remark, and the white space that was held back."""
        whole, added = "".join(self._sentence), self._take_spaces()
        text = whole.lstrip()
        start = self._told_chars + len(whole) - len(text)
        if text or self._unknown:
            sentence = Sentence((start, start + len(text)), self._cited, self._unknown)
            self.sentences.append(sentence)
            added = self._judge(text, sentence) + added
        self._told += [whole, added]
        self._told_chars += len(whole) + len(added)
        self._sentence, self._tail, self._may_end = [], "", False
        self._cited, self._unknown = set(), set()
        return added


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
