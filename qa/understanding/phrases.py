"""The phrases of a question, as far as a segmenter's tags tell them: names, dates, nouns, and what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from index.text.dates import MODERN_YEAR, MONTH_OR_DAY
from index.text.fold import Folded, fold
from index.text.scripts import HAN_NUMERALS
from index.text.segmenter import PLAIN
from index.text.tokens import FUNCTION_WORDS
from index.types import Span

# Bounded, so that a flood of digits is not read to its end from each of them.
NUMERAL = f"[0-9{HAN_NUMERALS}]{{1,12}}"
_DATES = (
    # 2024, 2024年5月, 2024年一季度, 2024年5月3日
    f"{MODERN_YEAR}(?:[年./-]?(?:{MONTH_OR_DAY}(?:月份?|季度))?(?:{MONTH_OR_DAY}[日号])?)?",
    f"{NUMERAL}(?:年|月份?|季度)",  # 二〇二四年, 5月份, 三季度
)
DATE = f"(?:{'|'.join(_DATES)})"
_NAME_TAGS = frozenset({"ns", "nr", "nrt", "nrfg", "nz", "nt"})
_NOUN_TAGS = frozenset({"n", "s", "vn", "an", "j", "ng", "l", "nw"})
# What a segmenter cuts into an asking word and a noun.
_ASKING = re.compile("多少钱|什么(?:时候|地方|人|样)")
_AUXILIARY = re.compile(
    "(?:\\b(?:do|does|did|has|have|had|will|can|could|should|would)|^(?:when|where|how|why) (?:was|were))"
    " (?:the |an? )?$"
)
_COPULAS = ("是", "有", "为", "叫", "达")
ASPECT = ("了", "过", "着")
# A phrase of more words than this is taken apart by nobody.
_MAX_WORDS = 4


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a folded text. `kind` is `name`, `date`, `noun`, `verb`, `asking`, or empty."""

    text: str
    tag: str
    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Phrase:
    """Neighbouring words, as a span of the folded text."""

    words: tuple[Word, ...]
    text: str

    @property
    def span(self) -> Span:
        return self.words[0].start, self.words[-1].end

    @property
    def is_name(self) -> bool:
        return all(word.kind == "name" for word in self.words)

    @property
    def is_date(self) -> bool:
        return all(word.kind == "date" for word in self.words)


@dataclass(frozen=True, slots=True)
class Utterance:
    """What was typed, folded with the way back, and its words."""

    text: str
    folded: Folded
    words: tuple[Word, ...]

    @classmethod
    def of(cls, text: str) -> Utterance:
        folded = fold(text)
        return cls(text, folded, tuple(_words(text, folded)))

    def replaced(self, span: Span, new: str) -> str:
        """The text as it was typed with `new` in the place of a span of the folded text."""
        start, end = self.folded.span(*span)
        return f"{self.text[:start]}{new}{self.text[end:]}"

    def original(self, phrase: Phrase) -> str:
        """A phrase as it was typed."""
        start, end = self.folded.span(*phrase.span)
        return self.text[start:end]

    def runs(self) -> list[Phrase]:
        """The longest phrases of names and nouns, with what verbs stand between them (帮扶中心), and dates."""
        runs: list[list[Word]] = []
        inside = False
        for number, word in enumerate(self.words):
            nominal = word.kind in ("name", "noun") or (inside and self._is_between(number))
            if word.kind == "date" or (nominal and not inside):
                runs.append([word])
            elif nominal:
                runs[-1].append(word)
            inside = nominal or (inside and word.text == " ")
        runs = [self._without_verb(words) for words in runs]
        return [Phrase(tuple(words), self.folded.text[words[0].start : words[-1].end]) for words in runs]

    def phrases(self) -> Iterator[Phrase]:
        """Every part of `runs` that begins and ends with a name, noun or date."""
        for run in self.runs():
            for start in range(len(run.words)):
                for end in range(start + 1, min(len(run.words), start + _MAX_WORDS) + 1):
                    words = run.words[start:end]
                    if "verb" not in (words[0].kind, words[-1].kind):
                        yield Phrase(words, self.folded.text[words[0].start : words[-1].end])

    def is_cut(self, phrase: Phrase) -> bool:
        """Whether a phrase leaves words that belong to it: 票 of 成人票, but not 图书馆 of 城东图书馆."""
        start = len(self.folded.text[: phrase.span[0]].rstrip(" "))
        end = phrase.span[1] + (self.folded.text[phrase.span[1] :][:1] == " ")
        before = next((word for word in self.words if word.end == start and word.text != " "), None)
        after = next((word for word in self.words if word.start == end and word.text != " "), None)
        return (before is not None and before.kind in (phrase.words[0].kind, "verb") and before.kind != "date") or (
            after is not None and after.kind == phrase.words[-1].kind == "noun"
        )

    def is_determined(self, phrase: Phrase) -> bool:
        """Whether an English phrase is a name, or stands behind an article or what asks for it."""
        before = self.folded.text[: phrase.span[0]]
        return phrase.is_name or bool(re.search("(?:^|\\b(?:the|an?|many|much|which|what|of|in|for) )$", before))

    def asked_for(self) -> set[int]:
        """Where a phrase begins or ends that is asked for: behind 多少 (多少学生), before 是多少 (收入是多少)."""
        words = [word for word in self.words if word.text.strip() and word.tag != "q"]
        places = set()
        for number, word in enumerate(words):
            if word.kind == "asking":
                behind = number + 1 + (words[number + 1 : number + 2] != [] and words[number + 1].text in _COPULAS)
                copula = number > 0 and words[number - 1].text in _COPULAS
                places |= {after.start for after in words[behind : behind + 1]}
                places |= {before.end for before in words[: number - copula][-1:]}
        return places

    def described(self) -> Phrase | None:
        """All that describes what is asked for before 是谁 or behind 谁是: 红旗小学的校长."""
        asked_for = self.asked_for()
        runs = [run for run in self.runs() if not run.is_date]
        for run in runs:
            if asked_for & set(run.span):
                first = runs[0] if run.span[1] in asked_for else run
                return Phrase(tuple(word for word in self.words if first.span[0] <= word.start < run.span[1]), "")
        return None

    def subject(self) -> Phrase | None:
        """What the question is about: the first phrase with a name in it, or else the first that nothing asks for."""
        runs = [run for run in self.runs() if not run.is_date]
        asked = {word.end for word in self.words if word.kind == "asking"}
        named = (run for run in runs if any(word.kind == "name" for word in run.words))
        plain = (run for run in runs if run.span[0] not in asked)
        subject = next(named, None) or next(plain, None)
        names = [number for number, word in enumerate(subject.words) if word.kind == "name"] if subject else []
        if subject and names and subject.text.isascii():
            return Phrase(subject.words[names[0] : names[-1] + 1], "")
        return subject

    def _without_verb(self, words: list[Word]) -> list[Word]:
        """A run of English words without the verb that ends the question, as in `when does the museum open`."""
        is_last = words[-1].end >= len(self.folded.text.rstrip("?. "))
        if is_last and len(words) > 1 and _AUXILIARY.search(self.folded.text[: words[0].start]):
            return [word for word in words[:-1] if word.text.strip()]
        return words

    def _is_between(self, number: int) -> bool:
        """Whether a verb stands inside a phrase, not behind one: a name or noun follows it, no 了."""
        following = self.words[number + 1 : number + 2]
        word = self.words[number]
        return word.kind == "verb" and len(word.text) > 1 and bool(following) and following[0].kind in ("name", "noun")


def _words(text: str, folded: Folded) -> Iterator[Word]:
    tags = PLAIN.tag(folded.text)
    dates = [match.span() for match in re.finditer(DATE, folded.text)]
    asking = [match.span() for match in _ASKING.finditer(folded.text)]
    position = skipped = 0
    for number, (word, tag) in enumerate(tags):
        start = folded.text.find(word, position)
        position = start + len(word)
        if start < skipped:
            continue
        if date := next((span for span in dates if span[0] == start), None):
            skipped = date[1]
            yield Word(folded.text[slice(*date)], "t", "date", *date)
            continue
        typed = text[slice(*folded.span(start, position))]
        kind = _kind(word, tag, typed, tags[number + 1 :])
        if any(first <= start < last for first, last in asking):
            kind = "asking"
        # What a verb does something to at the end, and what is something, are nouns: 申请低保, 营业收入是.
        is_object = number > 0 and number + 1 == len(tags) and tags[number - 1][1] == "v"
        is_owner = any(after in _COPULAS for after, _ in tags[number + 1 : number + 2])
        if kind == "verb" and len(word) > 1 and (is_object or is_owner):
            kind = "noun"
        yield Word(word, tag, kind, start, position)


def _kind(word: str, tag: str, typed: str, following: Sequence[tuple[str, str]]) -> str:
    if word.isascii() and word.isalpha():
        if word in FUNCTION_WORDS:
            return "asking" if word in ("what", "which", "many", "much", "whose") else ""
        return "name" if typed[0].isupper() else "noun"
    if following and following[0][0] in ASPECT:
        return "verb"
    if tag in _NAME_TAGS:
        return "name"
    if tag in ("t", "tg"):
        return "date"
    if tag in _NOUN_TAGS:
        return "noun"
    if tag == "r" or re.fullmatch("多|多少.*|几.*", word):
        return "asking"
    return "verb" if tag == "v" else ""
