"""A corpus of any size: sentences of the seeds, put together anew, with other figures and places, and planted facts.

Half of a sentence's parts come from other sentences, so that few are alike; each document has one place of jieba's word
list in its title, and figures are drawn anew. A planted fact stands in one document, whose place no other has.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

SEEDS = Path(__file__).parents[1] / "seeds"
PASSAGE_CHARS = 300
PASSAGES_PER_DOCUMENT = 12
PLANTED = 100
# What a passage's text is filled up to, so that it stays one passage of about PASSAGE_CHARS.
_FULL_CHARS = 290
_KEPT_SHARE = 0.5
_COPIED_SHARE = 0.02
_FOLDER_DOCUMENTS = 1000
_FIGURE = re.compile("[0-9]+(?:[.][0-9]+)?")
_SENTENCE = re.compile("[^。!！?？\n]{8,120}[。]")
# A question, the sentence that answers it, and the answer; the words of the two differ as people's do.
_FACTS = (
    ("{place}帮扶中心资助了多少学生", "困难职工帮扶中心多方筹集资金,帮助{n}名困难家庭子女圆了大学梦。", "{n}名"),
    ("{place}建了多少家职工书屋", "各级工会共建成职工书屋{n}家,方便职工在班后读书学习。", "{n}家"),
    ("{place}春节期间发放了多少慰问金", "元旦春节期间走访慰问困难职工,发放慰问金{n}万元。", "{n}万元"),
    ("{place}举办了多少期技能培训班", "围绕产业升级举办职业技能培训班{n}期,职工踊跃参加。", "{n}期"),
    ("{place}有多少名劳动模范", "全市现有各级劳动模范{n}名,他们在各自岗位上发挥了骨干作用。", "{n}名"),
)


@dataclass(frozen=True, slots=True)
class Planted:
    """A question whose answer stands in one document alone."""

    question: str
    evidence: str
    answer: str


class Recombined:
    """Documents and the questions planted in them; the same for the same size."""

    def __init__(self, passages: int) -> None:
        self.documents = max(PLANTED, passages // PASSAGES_PER_DOCUMENT)
        self._chance = random.Random(1)
        self._sentences = [
            re.split("(?<=[,，、;；:：])", sentence)
            for seed in sorted(SEEDS.glob("*.txt"))
            for sentence in _SENTENCE.findall(seed.read_text(encoding="utf-8"))
        ]
        self._parts = [part for sentence in self._sentences for part in sentence[:-1]]
        places = _places()
        self._chance.shuffle(places)
        self._places, reserved = places[PLANTED:], places[:PLANTED]
        step = self.documents // PLANTED
        self._planted = {number * step: self._fact(number, place) for number, place in enumerate(reserved)}

    @property
    def questions(self) -> list[Planted]:
        return [planted for _, planted in self._planted.values()]

    def _fact(self, number: int, place: str) -> tuple[str, Planted]:
        question, sentence, answer = _FACTS[number % len(_FACTS)]
        values = {"place": place.rstrip("市县区"), "n": 100 + 7 * number}
        return place, Planted(*(text.format(**values) for text in (question, sentence, answer)))

    def write(self, folder: Path) -> None:
        """Write the documents, a thousand a folder."""
        for number, text in enumerate(self.texts()):
            path = folder / f"{number // _FOLDER_DOCUMENTS:03}" / f"{number:06}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def texts(self) -> Iterator[str]:
        """The text of each document."""
        paragraphs: list[str] = []
        for number in range(self.documents):
            place, planted = self._planted.get(number, ("", None))
            place = place or self._chance.choice(self._places)
            title = f"{place}总工会{self._chance.randint(2003, 2025)}年工作情况"
            body = [self._paragraph(paragraphs) for _ in range(PASSAGES_PER_DOCUMENT)]
            if planted:
                at = self._chance.randrange(len(body))
                first, end, rest = body[at].partition("。")
                body[at] = f"{first}{end}{planted.evidence}{rest}"[: PASSAGE_CHARS - 1].rpartition("。")[0] + "。"
            paragraphs = body
            yield "\n\n".join([title, *body]) + "\n"

    def _paragraph(self, above: list[str]) -> str:
        if above and self._chance.random() < _COPIED_SHARE:
            return self._chance.choice(above)
        text = ""
        while True:
            sentence = self._sentence()
            if len(text) + len(sentence) > _FULL_CHARS:
                return text or sentence
            text += sentence

    def _sentence(self) -> str:
        *first, last = self._chance.choice(self._sentences)
        parts = [part if self._chance.random() < _KEPT_SHARE else self._chance.choice(self._parts) for part in first]
        return _FIGURE.sub(lambda _: str(self._chance.randint(2, 9999)), "".join([*parts, last]))


def _places() -> list[str]:
    """Cities, counties and districts of jieba's word list."""
    with (files("jieba") / "dict.txt").open(encoding="utf-8") as lines:
        words = (line.split() for line in lines)
        return [word for word, _, tag in words if tag == "ns" and len(word) == 3 and word[-1] in "市县区"]
