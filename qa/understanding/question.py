"""What a question asks for: the kind of answer, its unit, the words that matter, the names that must appear."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from index.text.fold import fold_kept, fold_text
from index.text.names import PLACE_KIND, VAGUE_PLACE, organisations, people, places, spelled
from index.text.quantities import COUNT_UNITS, Quantity, counts_in, quantities
from index.text.segmenter import PLAIN, Segmenter, Synonyms
from index.text.tokens import HAN, stem, words
from index.types import Hit, Span
from qa.understanding.kinds import CLASSIFIER, PEOPLE, Kind, kind_of

_ASKING = re.compile(
    "请问|我想知道|想问一下|告诉我|多少|几(?=[个名家位项件条种份次回场期篇户起天年岁届批人])|什么时候|甚么|什么"
    "|啥时候?|哪(?:一|些|几)?(?:个|位|家|年|种|样|天|里|份|部|条)?|怎么样?|怎样|如何|为什么|为何|为啥|谁|吗|呢|吧"
    "|是不是|有没有|是否|了没有|一共|总共|到底|具体|\\?|？"
    "|\\b(?:how many|how much|what|which|who|whom|whose|when|where|why|how|is|are|was|were|do|does|did|the|a|an|of"
    "|in|to|for|and|on|by|with|from|at|has|have|had|that|this|there)\\b"
)
_HAN = re.compile(f"[{HAN}]")
_SMALL_NUMBERS = {char: value for value, char in enumerate("一二三四五六七八九十", start=1)} | {"两": 2}
_COUNTED = re.compile(
    f"(?:哪(?P<asked>[二两三四五六七八九十])(?:大|个|{CLASSIFIER}|方面)?|(?P<said>[二两三四五六七八九十])(?:大|个|{CLASSIFIER}|方面)"
    f'|[“"「『](?P<quoted>[二两三四五六七八九十])(?:大|个|{CLASSIFIER})?)(?P<counted>[{HAN}]{{0,4}})'
)
_ITEMS = re.compile("[^、,，。;；:：]{1,25}(?:、[^、,，。;；:：]{1,25})+")
_PLAIN_LIST_ITEMS = 3
_EXCLUDING = re.compile("别给|不要|不是|不算|不含|除外|排除|别的是|不是指|not |except|excluding")
_LATIN_WORD = re.compile("[a-z]+(?:['’][a-z]*)?")
_PLACE_TAGS = frozenset({"ns", "nz"})
_NAME_TAGS = frozenset({"nr", "nrt", "nrfg"})
# A word of letters, digits and hyphens with both letters and digits in it, or a year. What comes before is skipped
# for good (possessive), and a word is begun once: else a long one would be read anew from each of its characters.
_CODE = re.compile(
    "(?<![a-z0-9-])(?:[a-z]++(?!-?[0-9])|-)*+"
    "([a-z]++-?[0-9][a-z0-9-]*"  # gb18030, covid-19
    "|[0-9]++[0-9-]*+[a-z][a-z0-9-]*)"  # 3d, 2019-ncov
    "|(?<![0-9])((?:19|20)[0-9]{2})(?=年|\\b)"  # 2019
)


@dataclass(frozen=True)
class Question:
    """A question and what can be told of it before any document is read.

    `wanted` is the part that asks; `excluded` are names that another part rules out (别给我武威的).
    """

    text: str
    wanted: str
    excluded: tuple[str, ...] = ()
    kind: Kind = "any"
    segmenter: Segmenter = PLAIN
    synonyms: Synonyms = Synonyms()

    @classmethod
    def of(cls, text: str, segmenter: Segmenter = PLAIN, synonyms: Synonyms = Synonyms()) -> Question:  # noqa: B008
        """Read a question as it was typed; `segmenter` is that of the documents."""
        wanted, excluded = _split_exclusion(fold_text(text).strip(), segmenter)
        return cls(text, wanted, excluded, kind_of(wanted), segmenter, synonyms)

    @cached_property
    def topic(self) -> str:
        """The words that matter: the wanted part without the words that only ask."""
        return " ".join(_ASKING.sub(" ", self.wanted).split())

    @cached_property
    def terms(self) -> list[str]:
        """The topic's words of two characters or more, distinct, in order; a word that has synonyms is not cut up."""
        found: list[str] = []
        position = 0
        for start, end in self.synonyms.find(self.topic):
            found.extend([*words(self.topic[position:start], self.segmenter), self.topic[start:end]])
            position = end
        found.extend(words(self.topic[position:], self.segmenter))
        return list(dict.fromkeys(word for word in found if len(word) > 1))

    @cached_property
    def concepts(self) -> list[tuple[str, ...]]:
        """For each term all ways to say it, itself first, without their endings."""
        return [tuple(stem(way) for way in self.synonyms.ways(term)) for term in self.terms]

    @cached_property
    def wordings(self) -> list[str]:
        """The wanted part, and the same with its words said in other ways."""
        return self.synonyms.wordings(self.wanted)

    @cached_property
    def places(self) -> list[str]:
        """Places, organisations, years and codes that are surely meant: an answer's article must mention them."""
        found = [
            PLACE_KIND.sub("", word)
            for word, tag in self._tagged
            if tag in _PLACE_TAGS and len(word) > 1 and not VAGUE_PLACE.fullmatch(word) and self.segmenter.knows(word)
        ]
        codes = [match[1] or match[2] for match in _CODE.finditer(self.wanted)]
        return list(dict.fromkeys([*found, *codes]))

    @cached_property
    def names(self) -> list[str]:
        """`places`, and words that may be names of people or things: an answer's article had better mention them."""
        guessed = [
            word
            for word, tag in self._tagged
            # A place that the dictionary doesn't have may be another one, written wrongly.
            if len(word) > 1 and (tag in _NAME_TAGS or (tag == "ns" and not self.segmenter.knows(word)))
        ]
        latin = _LATIN_WORD.findall(self.wanted)
        if _HAN.search(self.wanted):
            guessed.extend(word for word in latin if len(word) > 1)
        return list(dict.fromkeys([*self.places, *guessed, *spelled(latin)]))

    @cached_property
    def _tagged(self) -> list[tuple[str, str]]:
        return self.segmenter.tag(self.wanted)

    @cached_property
    def unit(self) -> str:
        """The unit in which the answer is counted; empty where the question doesn't say."""
        if self.kind == "duration":
            match = re.search("(?:多少|几)个?(年|月|天|小时|分钟|周|星期|工作日)", self.wanted)
            return match[1] if match else ""
        if self.kind != "count":
            return ""
        if match := re.search(f"(?:多少|(?<!哪)几)({COUNT_UNITS})(?![庭目数长属])", self.wanted):
            return match[1]
        if "人次" in self.wanted:
            return "人次"
        if re.search(f"多少[^,，。?？]{{0,6}}?(?:{PEOPLE})|(?:{PEOPLE})[^,，。?？]{{0,6}}多少|人数", self.wanted):
            return "名"
        return "次" if "次数" in self.wanted else ""

    @property
    def asks_quantity(self) -> bool:
        """Whether only a number, sum, share or date answers."""
        return self.kind in ("count", "money", "share", "date", "time", "duration")

    @cached_property
    def how_many(self) -> int | None:
        """How many parts the list that is asked for has, where the question says so: 哪五句话, 四个窗口."""
        match = _COUNTED.search(self.wanted) if self.asks_list else None
        return _SMALL_NUMBERS[match["asked"] or match["said"] or match["quoted"]] if match else None

    @cached_property
    def counted(self) -> str:
        """The word that `how_many` counts, without what asks; empty where it isn't told."""
        match = _COUNTED.search(self.wanted)
        found = (
            [word for word in words(_ASKING.sub(" ", match["counted"]), self.segmenter) if len(word) > 1]
            if match
            else []
        )
        return found[0] if found else ""

    @cached_property
    def asks_list(self) -> bool:
        """Whether an enumeration answers."""
        if self.kind == "list":
            return True
        is_one = re.search(f"哪一?(?:{CLASSIFIER}|里|国)", self.wanted)
        return self.kind in ("definition", "any") and not is_one and bool(_COUNTED.search(self.wanted))

    def holds_list(self, folded: str) -> bool:
        """Whether an enumeration in a folded text has as many items as asked for, or three where that isn't said."""
        items = folded.count("、") + 1
        return items == self.how_many if self.how_many else items >= _PLAIN_LIST_ITEMS

    def fitting(self, folded: str) -> list[Span]:
        """Spans of what could be the short answer in a folded text: quantities, people, organisations or lists."""
        if self.asks_quantity:
            # Where words are spaced, what a number counts stands after it as a word that can't be compared.
            is_spaced = not _HAN.search(folded)
            return [
                quantity.span
                for quantity in quantities(folded)
                if self.accepts(quantity) or (is_spaced and self.kind == quantity.kind == "count" and not quantity.unit)
            ]
        if self.asks_list:
            return [match.span() for match in _ITEMS.finditer(folded) if self.holds_list(match.group())]
        if self.kind == "place":
            found = places(folded, self.segmenter)
            return [span for span in found if folded[slice(*span)] not in self.wanted]
        if not self.asks_name:
            return []
        find = people if self.kind == "person" else organisations
        found = find(folded, self.segmenter)
        return [span for span in found if folded[slice(*span)] not in self.wanted]

    def defines(self, folded: str) -> bool:
        """Whether a text says what the thing is that a definition is asked of: it opens with it."""
        subject = self._subject
        return self.kind == "definition" and len(subject) > 1 and folded.lstrip('“"「《').startswith(subject)

    @cached_property
    def _subject(self) -> str:
        return re.sub("^是|的?是?$", "", self.topic)

    def lacks(self, folded: str, fitting: Sequence[Span]) -> bool:
        """Whether a text can't answer because it holds nothing of the kind asked for.

        Names are told only in Chinese text; in another script their absence says nothing.
        """
        return not fitting and (
            self.asks_quantity or ((self.asks_name or self.kind == "place") and bool(_HAN.search(folded)))
        )

    @property
    def asks_name(self) -> bool:
        """Whether only a name answers."""
        return self.kind in ("person", "organisation")

    def accepts(self, quantity: Quantity) -> bool:
        """Whether a quantity is of the kind, and counted in the unit, that the question asks for."""
        if self.kind in ("money", "share", "date", "time", "duration"):
            is_counted_so = not self.unit or quantity.unit in (
                self.unit,
                f"个{self.unit}",
                "日" if self.unit == "天" else "",
            )
            return quantity.kind == self.kind and quantity.text not in self.mentioned and is_counted_so
        if self.kind != "count" or quantity.text in self.mentioned:
            return False
        if quantity.kind in ("share", "money"):
            return self.is_open or self.unit == quantity.unit == "块"
        if quantity.kind == "ordinal":
            return self._asks_ordinal
        return quantity.kind == "count" and (not self.unit or counts_in(self.unit, quantity.unit))

    @cached_property
    def _asks_ordinal(self) -> bool:
        return bool(re.search("第几|前(?:多少|几)", self.wanted))

    @cached_property
    def is_open(self) -> bool:
        """Whether it asks for a figure of whatever kind: 不得低于多少."""
        return not self.unit and bool(re.search("多少(?:呢|啊|了)?$", self.wanted.rstrip("?。. ")))

    @cached_property
    def mentioned(self) -> set[str]:
        """The quantities that the question itself mentions."""
        return {quantity.text for quantity in quantities(self.wanted)}

    def highlights(self, hit: Hit) -> list[Span]:
        """Spans of the document's text where the topic's words stand in the hit, joined where they touch."""
        folded = fold_kept(hit.passage.text)
        spans = [
            folded.span(start, start + len(word))
            for word in {way for term in self.terms for way in self.synonyms.ways(term)}
            for start in _occurrences(word, folded.text)
        ]
        merged: list[Span] = []
        for start, end in sorted(spans):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return [(hit.passage.start + start, hit.passage.start + end) for start, end in merged]


def _occurrences(word: str, text: str) -> Iterator[int]:
    """Where a word stands in a text, as far as it doesn't overlap itself."""
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + len(word))


def _split_exclusion(folded: str, segmenter: Segmenter) -> tuple[str, tuple[str, ...]]:
    """The parts of a question that ask, and the names in the parts that exclude."""
    parts = re.split("(?<=[,，。;；?？])", folded)
    excluding = [part for part in parts if _EXCLUDING.search(part) and not re.search("是不是|要不要", part)]
    asking = [part for part in parts if not (_EXCLUDING.search(part) and not re.search("是不是|要不要", part))]
    if not excluding or not "".join(asking).strip(" ,，"):
        return folded, ()
    names = [word for part in excluding for word, tag in segmenter.tag(part) if tag in _NAME_TAGS and len(word) > 1]
    return "".join(asking).strip(" ,，"), tuple(dict.fromkeys(names))
