"""Which figures of a sentence stand in a source, whatever way either writes them: 1,097, １０９７, 一千零九十七.

Works on folded text (`index.text.fold`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from index.text.dates import DAY_OF_MONTH, ERAS, HAN_YEAR, MONTH_OR_DAY, MONTH_PREFIXES, NUMERIC_DATE, YEAR
from index.text.quantities import Quantity, differ, number, quantities
from index.text.scripts import HAN_NUMERALS_AND_SCALES, ONE_TO_NINE, ONE_TO_TEN

# Numerals that are no quantity with a unit: codes, and Han numerals too long to be a word.
_BARE = re.compile(f"[0-9]+(?:,[0-9]{{3}})*(?:\\.[0-9]+)?|[{ONE_TO_NINE}两][{HAN_NUMERALS_AND_SCALES}]{{2,}}")
# 一个, 一年 and the like are articles more often than figures.
_ARTICLE = re.compile("(?:一|(?:one|an?)\\b)")
_LIST_NUMBER = re.compile(
    f"\\s*(?:[-*•]\\s*)?(?:[(（]?[0-9]{{1,2}}[)）.、](?![0-9])|[(（]?[{ONE_TO_TEN}]{{1,3}}[)）、])"
)
_YEAR = re.compile(f"(?<![0-9])({YEAR})(?![0-9])|({HAN_YEAR})(?=年)")
_HAN_MONTH = re.compile(f"({MONTH_OR_DAY})月")
_HAN_DAY = re.compile(f"月({MONTH_OR_DAY})[日号]?")
_NUMERIC_DATE = re.compile(NUMERIC_DATE)
_DAY = re.compile(f"(?<![0-9])({DAY_OF_MONTH})(?![0-9])")
_DIGITS = "0123456789"
_NUMERALS = frozenset(_DIGITS + HAN_NUMERALS_AND_SCALES)
_DECIMAL = re.compile("[0-9][.,]")
_NO_CALENDAR = re.compile(f"世纪|年代|公元前|{ERAS}")

Figure = tuple[str, Quantity | None]
"""A figure as a sentence writes it, and what it means where that can be told."""


@dataclass(frozen=True, slots=True)
class _Date:
    year: float | None
    month: float | None
    day: float | None


class SourceFigures:
    """The figures of a source."""

    def __init__(self, folded: str) -> None:
        self._text = folded

    def missing(self, told: Iterable[Figure]) -> list[str]:
        """Those of a sentence's figures that don't stand in the source, as the sentence writes them."""
        return [text for text, figure in told if not self._holds(text, figure)]

    def _holds(self, text: str, figure: Quantity | None) -> bool:
        if self._has_same(text):
            return True
        if figure is None:
            value = number(text)
            return value is None or value in self._numerals
        if figure.kind == "date" and (date := _date(text)):
            return self._has_date(date)
        if figure.value is None:
            return all(value in self._numerals for value in _values(text) if value)
        return any(_agree(figure, other) for other in self._quantities)

    def _has_same(self, text: str) -> bool:
        return any(self._is_whole(start, start + len(text)) for start in places(text, self._text))

    def _is_whole(self, start: int, end: int) -> bool:
        """Whether what stands there is no part of a longer numeral."""
        first, last, after = self._text[start], self._text[end - 1], self._text[end : end + 1]
        before = self._text[max(0, start - 2) : start]
        if last.isdigit() and after and after in _DIGITS:
            return False
        return first not in _NUMERALS or not (before[-1:] in _NUMERALS or _DECIMAL.fullmatch(before))

    def _has_date(self, wanted: _Date) -> bool:
        """A day and month may stand apart from their year, as in a text about one year."""
        is_year = wanted.year is None or any(date.year == wanted.year for date in self._dates)
        is_day = wanted.month is None or any(
            (date.month, wanted.day is None or date.day) == (wanted.month, wanted.day is None or wanted.day)
            and (date.year is None or wanted.year is None or date.year == wanted.year)
            for date in self._dates
        )
        return is_year and is_day

    @cached_property
    def _quantities(self) -> Sequence[Quantity]:
        return quantities(self._text)

    @cached_property
    def _dates(self) -> list[_Date]:
        return [date for each in self._quantities if each.kind == "date" and (date := _date(each.text))]

    @cached_property
    def _numerals(self) -> set[float]:
        values = {each.value for each in self._quantities if each.value is not None}
        return values | set(_values(self._text))


def figures(folded: str) -> list[Figure]:
    """The figures of a folded sentence."""
    opening = match.end() if (match := _LIST_NUMBER.match(folded)) else 0
    told: list[Figure] = []
    taken = bytearray(len(folded))
    for quantity in quantities(folded):
        start, end = quantity.span
        taken[start:end] = b"\1" * (end - start)
        is_article = quantity.value == 1 and quantity.kind in ("count", "duration") and _ARTICLE.match(quantity.text)
        if start >= opening and not is_article:
            told.append((quantity.text, quantity))
    bare = (match for match in _BARE.finditer(folded, opening) if not any(taken[slice(*match.span())]))
    return [*told, *((match.group(), None) for match in bare)]


def places(part: str, text: str) -> Iterator[int]:
    """Where a part stands in a text."""
    start = text.find(part)
    while start >= 0:
        yield start
        start = text.find(part, start + 1)


def _values(folded: str) -> Iterator[float]:
    for match in re.finditer(f"[0-9]+(?:,[0-9]{{3}})*(?:\\.[0-9]+)?[万亿]?|[{HAN_NUMERALS_AND_SCALES}]+", folded):
        if (value := number(match.group())) is not None:
            yield value


def _agree(claimed: Quantity, held: Quantity) -> bool:
    """Whether two quantities are the same one; units that only one has, or that mean alike, don't part them."""
    if claimed.value != held.value:
        return False
    special = {"money", "share", "duration"}
    if claimed.kind != held.kind and {claimed.kind, held.kind} & special and claimed.unit and held.unit:
        return False
    if (claimed.kind == "share") != (held.kind == "share"):
        return False
    return not differ(claimed.unit, held.unit)


def _date(text: str) -> _Date | None:
    """The parts of a date, None where it is none by the calendar: a century, a reign."""
    if match := _NUMERIC_DATE.search(text):
        return _Date(*(float(part) for part in match.groups()))
    rest = _YEAR.sub(" ", text, count=1)
    year = number(match[1] or match[2]) if (match := _YEAR.search(text)) else None
    month = number(match[1]) if (match := _HAN_MONTH.search(rest)) else None
    day = number(match[1]) if (match := _HAN_DAY.search(rest)) else None
    if named := next(
        (place for place, name in enumerate(MONTH_PREFIXES, start=1) if re.search(f"\\b{name}", rest)), None
    ):
        month, day = float(named), number(match[1]) if (match := _DAY.search(rest)) else None
    is_calendar = not _NO_CALENDAR.search(text)
    return _Date(year, month, day) if is_calendar and (year or month) else None
