"""What generated examples are made of: the words of a language (`words/*.yaml`), and values in every notation."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "words"
# Which kind of answer (`examples.KINDS`) a value is.
ANSWER_KINDS = {
    "phone": "code", "mobile": "code", "extension": "code", "code": "code", "email": "code", "address": "place",
    "room": "place", "person": "person", "organisation": "organisation", "date": "date", "weekday": "date",
    "hours": "duration", "clock": "date", "money": "sum", "bigmoney": "sum", "count": "number", "people": "number",
    "area": "number", "measure": "number", "percent": "number", "duration": "duration", "state": "explanation",
    "post": "explanation",
}  # fmt: off
_NAMES_SHARE = 0.3
_DIGITS = "〇一二三四五六七八九"
_FORMAL = "零壹贰叁肆伍陆柒捌玖"


class Vocabulary:
    """The words of one language, and values made of them; all chance comes from `rng`."""

    def __init__(self, words: Mapping[str, Any], language: str, rng: random.Random, names: Sequence[str] = ()) -> None:
        self.words, self.language, self.rng, self.names = words, language, rng, names

    @classmethod
    def of(cls, language: str, rng: random.Random, names: Sequence[str] = ()) -> Vocabulary:
        """The vocabulary that ships for a language; `names`, of any things, are taken for subjects now and then."""
        return cls(_read(language), language, rng, names)

    def pick(self, *path: str) -> str:
        """One of the words under a key, placeholders filled."""
        words: Any = self.words
        for key in path:
            words = words[key]
        return self.fill(self.rng.choice(words))

    def some(self, key: str) -> list[Any]:
        """The list under a key; empty where the language has none."""
        return list(self.words.get(key, ()))

    def fill(self, text: str, **values: str) -> str:
        """`text` with its placeholders replaced: those named, and names, years and numbers by chance."""
        makers: dict[str, Callable[[], str]] = {
            "organisation": self.organisation, "person": self.person, "place": lambda: self.pick("places"),
            "y": lambda: str(self.rng.randint(1998, 2027)), "n": lambda: self.number(self.rng.randint(1, 40)),
        }  # fmt: off
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", value)
        for name, maker in makers.items():
            while f"{{{name}}}" in text:
                text = text.replace(f"{{{name}}}", maker(), 1)
        return text

    def number(self, value: int) -> str:
        """A small number, in Chinese characters now and then where the language has them."""
        is_han = self.language in ("zh", "ja") and value < 100 and self.rng.random() < 0.5
        return han_number(value) if is_han else str(value)

    def person(self) -> str:
        """A full name."""
        choice = self.rng.choice
        if "surnames" not in self.words:
            return f"{choice(self.words['first'])} {choice(self.words['last'])}".strip()
        given = "".join(self.rng.sample(self.words["given"], self.rng.choice((1, 2, 2))))
        is_double = self.language == "ja" or self.rng.random() < 0.08
        return str(choice(self.words["double_surnames" if is_double else "surnames"])) + given

    def organisation(self) -> str:
        """The name of a body that nobody knows."""
        return str(self.words["space"]).join((self.pick("organisations", "heads"), self.pick("organisations", "tails")))

    def code(self) -> str:
        """A part number, a reference, a version."""
        letters = "".join(self.rng.choices("ABCDEFGHJKLMNPQRSTVWXYZ", k=self.rng.randint(1, 3)))
        digits = "".join(self.rng.choices("0123456789", k=self.rng.randint(2, 5)))
        forms = (
            f"{letters}-{digits}",
            f"{letters}{digits}",
            f"{letters}-{digits}{letters[0]}",
            f"v{digits[0]}.{digits[1]}",
        )
        return self.rng.choice((*forms, f"{letters}[{self.rng.randint(2005, 2026)}]{digits}", f"#{digits}"))

    def subject(self, kind: str) -> str:
        """A thing of a kind, now and then with a code."""
        if self.names and kind != "person" and self.rng.random() < _NAMES_SHARE:
            return self.rng.choice(self.names)
        name = self.pick("subjects", kind)
        if kind in ("thing", "project", "paper") and self.rng.random() < 0.4:
            return self.fill(self.rng.choice(self.words["coded"]), s=name, c=self.code())
        return name

    def value(self, kind: str) -> str:
        """A value of a kind, in one of the notations that people use."""
        maker = getattr(self, f"_{kind}", None)
        return maker() if maker else self._with_unit(kind)

    def _digits(self, count: int) -> str:
        return "".join(self.rng.choices("0123456789", k=count))

    def _figure(self) -> str:
        whole = self.rng.choice(
            (self.rng.randint(1, 99), self.rng.randint(100, 9999), self.rng.randint(10_000, 9_000_000))
        )
        form = self.rng.random()
        if self.language == "zh" and form < 0.12 and whole < 10_000:
            return han_number(whole)
        decimals = f".{self.rng.randint(1, 99)}" if form > 0.75 else ""
        comma = {"de": ".", "fr": " ", "ru": " ", "es": "."}.get(self.language, ",")
        grouped = f"{whole:,}".replace(",", comma) if self.rng.random() < 0.6 else str(whole)
        return grouped + (decimals.replace(".", ",") if comma != "," else decimals)

    def _with_unit(self, kind: str) -> str:
        unit = self.rng.choice(self.words["units"][kind])
        small = kind in ("duration", "people", "count")
        figure = self.number(self.rng.randint(1, 90)) if small and self.rng.random() < 0.7 else self._figure()
        return f"{figure}{self.words['space']}{unit}"

    def _money(self) -> str:
        unit, figure = self.rng.choice(self.words["units"]["money"]), self._figure()
        if self.language == "zh" and self.rng.random() < 0.08:
            return formal_sum(self.rng.randint(100, 9_999)) + "元整"
        return f"{unit}{figure}" if unit in "$€£" or unit == "US$" else f"{figure}{self.words['space']}{unit}"

    def _bigmoney(self) -> str:
        sign = self.rng.choice("$€£") if self.language == "en" else ""
        unit = self.rng.choice(self.words["units"]["bigmoney"])
        return f"{sign}{self._figure()}{self.words['space']}{unit}"

    def _percent(self) -> str:
        share = round(self.rng.uniform(0.1, 99.9), self.rng.choice((0, 1, 2)))
        if self.language == "zh" and self.rng.random() < 0.15:
            return f"百分之{han_number(int(share) + 1)}"
        return f"{share:g}{' ' if self.language in ('de', 'fr') else ''}%"

    def _date(self) -> str:
        year, month, day = self.rng.randint(1995, 2027), self.rng.randint(1, 12), self.rng.randint(1, 28)
        plain = (f"{year}-{month:02}-{day:02}", f"{year}/{month}/{day}", f"{year}.{month:02}.{day:02}")
        if self.language in ("zh", "ja"):
            spelled = "".join(_DIGITS[int(d)] for d in str(year))
            era = (f"令和{self.rng.randint(2, 9)}年{month}月{day}日",) if self.language == "ja" else ()
            forms = (
                f"{year}年{month}月{day}日",
                f"{month}月{day}日",
                f"{year}年{month}月",
                f"{spelled}年{han_number(month)}月{han_number(day)}日",
                *era,
            )
        elif self.language == "ko":
            forms = (f"{year}년 {month}월 {day}일", f"{month}월 {day}일")
        else:
            name = self.words["months"][month - 1]
            forms = (
                f"{day} {name} {year}",
                f"{name} {day}, {year}",
                f"{day}. {name} {year}",
                f"{day} {name}",
                f"{day:02}.{month:02}.{year}",
            )
        return str(self.rng.choice((*forms, *forms, self.rng.choice(plain))))

    def _clock(self) -> str:
        hour, minute = self.rng.randint(6, 23), self.rng.choice((0, 0, 15, 30, 45))
        if self.language == "zh" and self.rng.random() < 0.5:
            return f"{han_number(hour) if self.rng.random() < 0.6 else hour}点{'半' if minute == 30 else ''}"
        if self.language == "en" and self.rng.random() < 0.5:
            return f"{(hour - 1) % 12 + 1}{f':{minute:02}' if minute else ''} {'am' if hour < 12 else 'pm'}"
        return f"{hour}:{minute:02}"

    def _hours(self) -> str:
        between = self.rng.choice(("-", "—", "–", "~", "至" if self.language == "zh" else " - "))
        return f"{self._clock()}{between}{self._clock()}"

    def _phone(self) -> str:
        return self.rng.choice(
            (
                f"0{self._digits(3)}-{self._digits(7)}",
                f"400-{self._digits(3)}-{self._digits(4)}",
                f"+{self._digits(2)} {self._digits(3)} {self._digits(6)}",
                self._digits(5),
            )
        )

    def _mobile(self) -> str:
        return "1" + self.rng.choice("35789") + self._digits(9)

    def _extension(self) -> str:
        return self._digits(self.rng.choice((3, 4)))

    def _email(self) -> str:
        name = "".join(self.rng.choices("abcdefghijklmnoprstuvw", k=self.rng.randint(4, 9)))
        return f"{name}@example.{self.rng.choice(('org', 'com', 'net'))}"

    def _room(self) -> str:
        letter = self.rng.choice("ABCDE")
        room = f"{letter}{self.rng.randint(101, 909)}"
        return {"zh": f"{letter}区{self.rng.randint(1, 9)}排", "ja": f"{self.rng.randint(1, 9)}階{room}室"}.get(
            self.language, room
        )

    def _address(self) -> str:
        if self.language in ("zh", "ja"):
            place = self.pick("places")
            return self.rng.choice(
                (
                    f"{place}{self.organisation()}{self._room()}",
                    f"{place}{self.rng.randint(1, 300)}号",
                    f"{self.organisation()}三{'楼会议' if self.language == 'zh' else '階会議'}室",
                )
            )
        return self.rng.choice(
            (
                f"{self.pick('places')}, {self._room()}",
                f"{self.organisation()}, {self.pick('places')}",
                f"{self.rng.randint(1, 300)} {self.pick('places')} St.",
            )
        )

    def _weekday(self) -> str:
        return str(self.rng.choice(self.words["weekdays"]))

    def _state(self) -> str:
        return str(self.rng.choice(self.words["states"]))

    def _post(self) -> str:
        return self.pick("subjects", "post")

    def _person(self) -> str:
        return self.person()

    def _organisation(self) -> str:
        return self.organisation()

    def _code(self) -> str:
        return self.code()


@cache
def _read(language: str) -> Mapping[str, Any]:
    words: Mapping[str, Any] = yaml.safe_load((FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    return words


def han_number(value: int) -> str:
    """A number below 10,000 in Chinese characters: 一千零五."""
    if value < 10:
        return "零一二三四五六七八九"[value]
    written, is_gap = "", False
    for unit, sign in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, value = divmod(value, unit)
        if digit:
            written += ("零" if is_gap and written else "") + "零一二三四五六七八九"[digit] + sign
        is_gap = not digit and bool(written)
    return written.removeprefix("一") if written.startswith("一十") else written


def formal_sum(value: int) -> str:
    """A number below 10,000 as sums are written out in contracts: 叁仟陆佰伍拾."""
    signs = str.maketrans("零一二三四五六七八九十百千", _FORMAL + "拾佰仟")
    return han_number(value).translate(signs)
