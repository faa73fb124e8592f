"""Examples that no public set has: forms, tables, notices, schedules, clauses, FAQs, made of a language's words.

Each page holds records, a thing with values under labels, written in one of the layouts that people use. A question
asks for one value, or for a thing, label, year or number that the page does not have: then nothing answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from training.reader.examples import Example, Span
from training.reader.vocabulary import ANSWER_KINDS, Vocabulary

UNANSWERABLE_SHARE = 0.33
_KINDS_OF_THINGS = ("thing", "post", "place", "event", "paper", "project", "fund", "company", "person")
Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a record: `attribute` as words/*.yaml has it, the label chosen for it, and the value."""

    attribute: Mapping[str, Any]
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A thing and its values."""

    subject: str
    kind: str
    cells: tuple[Cell, ...]


@dataclass(slots=True)
class Page:
    """Text that is being written; `spans` says where the value of each entry's cell stands."""

    text: str = ""
    spans: dict[Key, Span] = field(default_factory=dict)

    def add(self, text: str, key: Key | None = None) -> None:
        """Write on; with a `key`, remember where."""
        if key is not None:
            self.spans[key] = (len(self.text), len(self.text) + len(text))
        self.text += text


def examples(language: str, rng: random.Random, names: Sequence[str] = ()) -> Iterator[Example]:
    """Examples in a language without end; `names` as for `Vocabulary.of`."""
    vocabulary = Vocabulary.of(language, rng, names)
    while True:
        yield from page_examples(vocabulary)


def page_examples(words: Vocabulary) -> list[Example]:
    """The examples of one new page."""
    rng = words.rng
    kind = rng.choice([kind for kind in _KINDS_OF_THINGS if words.words["subjects"].get(kind)])
    possible = [a for a in words.words["attributes"] if kind in a["of"]]
    if not possible:
        return []
    columns = rng.sample(possible, min(len(possible), rng.randint(1, 5)))
    layout = rng.choice(LAYOUTS)
    labels = [words.fill(rng.choice(column["labels"])) for column in columns]
    entries = _entries(words, kind, columns, labels, 1 if layout is _form else rng.randint(1, 6))
    page = Page()
    layout(page, words, entries)
    title = words.fill(words.pick("titles"), s=entries[0].subject)
    headings: tuple[str, ...] = ()
    if layout is _form:
        title = rng.choice((entries[0].subject, f"{title}{words.words['space']}{entries[0].subject}"))
    elif rng.random() < 0.4:
        headings = (words.fill(words.pick("headings"), s=entries[0].subject),)
    return [
        Example(
            words.fill(rng.choice(words.words["polite"]), q=question),
            title,
            page.text,
            spans,
            kind,
            words.language,
            headings,
        )
        for question, spans, kind in _questions(words, entries, page, possible)
    ]


def _entries(
    words: Vocabulary, kind: str, columns: list[Mapping[str, Any]], labels: list[str], count: int
) -> list[Entry]:
    """Records that differ in their names, often by a code or a number alone, as near misses do."""
    entries: dict[str, Entry] = {}
    while len(entries) < count:
        subject = _sibling(words, next(iter(entries))) if entries and words.rng.random() < 0.35 else words.subject(kind)
        cells = tuple(Cell(a, label, words.value(a["value"])) for a, label in zip(columns, labels, strict=True))
        entries.setdefault(subject, Entry(subject, kind, cells))
    return list(entries.values())


def _sibling(words: Vocabulary, subject: str) -> str:
    """A thing that is called almost as another is."""
    digits = [place for place, char in enumerate(subject) if char.isascii() and char.isdigit()]
    if digits:
        place = words.rng.choice(digits)
        return subject[:place] + words.rng.choice("0123456789") + subject[place + 1 :]
    ordinal = words.fill(words.rng.choice([*words.words["ordinals"], "{n}"]))
    return str(words.words["space"]).join((ordinal, subject) if words.language in ("zh", "ja") else (subject, ordinal))


def _questions(
    words: Vocabulary, entries: list[Entry], page: Page, possible: list[Mapping[str, Any]]
) -> Iterator[tuple[str, tuple[Span, ...], str]]:
    """Questions about a page, some of which it does not answer."""
    rng = words.rng
    for row, column in rng.sample(sorted(page.spans), min(3, len(page.spans))):
        entry, cell = entries[row], entries[row].cells[column]
        ask = rng.choice(cell.attribute["ask"])
        kind = ANSWER_KINDS[cell.attribute["value"]]
        if rng.random() > UNANSWERABLE_SHARE:
            yield words.fill(ask, s=entry.subject, l=cell.label), (page.spans[row, column],), kind
            continue
        asked = {c.attribute["value"] for c in entry.cells}
        others = [a for a in possible if a["value"] not in asked and entry.kind in a["of"]]
        if others and rng.random() < 0.5:
            other = rng.choice(others)
            question = words.fill(rng.choice(other["ask"]), s=entry.subject, l=words.fill(rng.choice(other["labels"])))
            yield question, (), ANSWER_KINDS[other["value"]]
            continue
        stranger = _sibling(words, entry.subject) if rng.random() < 0.6 else words.subject(entry.kind)
        if all(stranger not in other.subject for other in entries):
            yield words.fill(ask, s=stranger, l=cell.label), (), kind


def _form(page: Page, words: Vocabulary, entries: list[Entry]) -> None:
    """Labelled lines about one thing: 联系人：王伟."""
    colon, separator = words.rng.choice(words.words["colons"]), words.rng.choice(words.words["separators"])
    if words.rng.random() < 0.3:
        page.add(entries[0].subject + "\n")
    for column, cell in enumerate(entries[0].cells):
        page.add(separator if column else "")
        page.add(cell.label + colon)
        page.add(cell.value, (0, column))


def _rows(page: Page, words: Vocabulary, entries: list[Entry]) -> None:
    """A table as rows that name their columns: 名称：离心泵；单价：900元."""
    name, colon = words.rng.choice(("名称", "项目", "Name", "Item", "")), words.rng.choice(words.words["colons"])
    separator = words.rng.choice(("；", "; ", " | ", "\t"))
    for row, entry in enumerate(entries):
        page.add(("\n" if row else "") + (f"{name}{colon}" if name else "") + entry.subject)
        for column, cell in enumerate(entry.cells):
            page.add(f"{separator}{cell.label}{colon}")
            page.add(cell.value, (row, column))


def _grid(page: Page, words: Vocabulary, entries: list[Entry]) -> None:
    """A table with one header row, its cells parted by pipes, tabs or blanks."""
    before, between, after = words.rng.choice((("| ", " | ", " |"), ("", "\t", ""), ("", "  ", ""), ("", ",", "")))
    labels = [cell.label for cell in entries[0].cells]
    page.add(before + between.join(["", *labels]) + after)
    if before:
        page.add("\n|" + " --- |" * (len(labels) + 1))
    for row, entry in enumerate(entries):
        page.add(f"\n{before}{entry.subject}")
        for column, cell in enumerate(entry.cells):
            page.add(between)
            page.add(cell.value, (row, column))
        page.add(after)


def _prose(page: Page, words: Vocabulary, entries: list[Entry]) -> None:
    """Sentences, one after another, with what people write around them."""
    stop, sentences = words.words["stop"], 0
    for row, entry in enumerate(entries):
        for column, cell in enumerate(entry.cells):
            if words.rng.random() < 0.2 and words.some("fillers"):
                page.add(words.rng.choice(words.words["fillers"]) + stop)
            told = words.fill(words.rng.choice(cell.attribute["tell"]), s=entry.subject, l=cell.label)
            before, _, after = told.partition("{v}")
            page.add(before[:1].upper() + before[1:])
            page.add(cell.value, (row, column))
            sentences += 1
            is_last = column == len(entry.cells) - 1
            page.add(after + (stop if is_last or words.rng.random() < 0.5 else words.words["comma"]))


def _clauses(page: Page, words: Vocabulary, entries: list[Entry]) -> None:
    """Numbered clauses, one value each."""
    style, number = words.rng.choice(words.words["clause"]), words.rng.randint(1, 20)
    is_han = words.language in ("zh", "ja") and words.rng.random() < 0.6
    for row, entry in enumerate(entries):
        for column, cell in enumerate(entry.cells):
            sign = words.number(number) if is_han else str(number)
            told = words.fill(words.rng.choice(cell.attribute["tell"]), s=entry.subject, l=cell.label)
            before, _, after = told.partition("{v}")
            page.add(("\n" if page.text else "") + style.replace("{n}", sign) + before)
            page.add(cell.value, (row, column))
            page.add(after + words.words["stop"].rstrip())
            number += 1


def _faq(page: Page, words: Vocabulary, entries: list[Entry]) -> None:
    """Questions as headings, each with its answer under it; what answers is never the heading."""
    sign = words.rng.choice((("Q：", "A："), ("问：", "答："), ("", ""), ("## ", ""), ("**", "")))
    for row, entry in enumerate(entries[:3]):
        for column, cell in enumerate(entry.cells[:2]):
            question = words.fill(words.rng.choice(cell.attribute["ask"]), s=entry.subject, l=cell.label)
            told = words.fill(words.rng.choice(cell.attribute["tell"]), s=entry.subject, l=cell.label)
            before, _, after = told.partition("{v}")
            page.add(("\n" if page.text else "") + sign[0] + question + "\n" + sign[1] + before)
            page.add(cell.value, (row, column))
            page.add(after + words.words["stop"].rstrip())


def _label_lines(page: Page, words: Vocabulary, entries: list[Entry]) -> None:
    """Things as headings or list marks, each with its labels under it."""
    colon, mark = words.rng.choice(words.words["colons"]), words.rng.choice(("- ", "* ", "", "• ", "  "))
    for row, entry in enumerate(entries):
        page.add(("\n" if row else "") + words.rng.choice(("## ", "", "**", "■ ")) + entry.subject)
        for column, cell in enumerate(entry.cells):
            page.add(f"\n{mark}{cell.label}{colon}")
            page.add(cell.value, (row, column))


LAYOUTS: tuple[Callable[[Page, Vocabulary, list[Entry]], None], ...] = (
    _form,
    _rows,
    _rows,
    _grid,
    _prose,
    _prose,
    _clauses,
    _faq,
    _label_lines,
)
