"""Generated examples of another build than a record: lists, ranges, whole and part, opening and closing, talk, FAQs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from training.reader.examples import Example, Span
from training.reader.forms import Page
from training.reader.vocabulary import Vocabulary


def examples(language: str, rng: random.Random) -> Iterator[Example]:
    """Examples in a language without end."""
    words = Vocabulary.of(language, rng)
    makers: list[Callable[[Vocabulary], Sequence[Example]]] = [
        maker
        for key, maker in (
            ("lists", _list), ("ranges", _range), ("elided_ask", _elided), ("parts", _parts), ("minutes", _minutes),
        )
        if words.some(key)
    ]  # fmt: off
    while makers:
        yield from rng.choice(makers)(words)


def talk(language: str, passages: Iterator[Example], rng: random.Random) -> Iterator[Example]:
    """Talk that asks for nothing, before passages that do not answer it."""
    words = Vocabulary.of(language, rng)
    for passage in passages:
        said = rng.choice(words.words["talk"]) + rng.choice(("", "!", "。", "~"))
        yield Example(said, passage.title, passage.passage, (), "none", language)


def faq(questions: Sequence[Example], rng: random.Random) -> Example | None:
    """Questions about one paragraph as an FAQ, each above the sentence that answers it; one of them is asked."""
    asked = rng.randrange(len(questions))
    page = Page()
    answers: tuple[Span, ...] = ()
    signs = rng.choice((("Q: ", "A: "), ("问：", "答："), ("", ""), ("### ", ""), ("", "答："), ("Q：", "A：")))
    for place, example in enumerate(questions):
        start, end = sentence_around(example.passage, *example.answers[0])
        page.add(("\n" if page.text else "") + signs[0] + example.question + "\n" + signs[1])
        offset = len(page.text) - start
        page.add(example.passage[start:end])
        if place == asked:
            answers = tuple((a + offset, b + offset) for a, b in example.answers[:1])
    chosen = questions[asked]
    return Example(chosen.question, chosen.title, page.text, answers, chosen.kind, chosen.language)


def sentence_around(text: str, start: int, end: int) -> tuple[int, int]:
    """The sentence of `text` that holds a span."""
    first = max((text.rfind(mark, 0, start) for mark in ("。", "！", "？", "\n", ". ", "! ", "? ")), default=-1) + 1
    ends = [
        place
        for mark in ("。", "！", "？", "\n", ". ", "! ", "? ")
        if (place := text.find(mark, max(end - 1, start))) >= 0
    ]
    return first, min(ends) + 1 if ends else len(text)


def _list(words: Vocabulary) -> list[Example]:
    """A lead-in and its items, all of which answer; beside it, now and then, the list of what is not allowed."""
    rng, choice = words.rng, words.rng.choice
    form, subject = choice(words.words["lists"]), words.subject(choice(("paper", "fund", "event")))
    items = rng.sample(words.words["list_items"], min(9, len(words.words["list_items"])))
    cut = rng.randint(2, 6)
    page, asks, spans = Page(), [form["ask"]], []
    groups = [(form["lead"], items[:cut])] + ([(form["against"], items[cut:])] if "against" in form else [])
    if "against" in form:
        asks.append(form["against_ask"])
    joint = choice((words.words["items"], "\n", "；"))
    for lead, some in groups:
        page.add(("\n" if page.text else "") + words.fill(lead, s=subject) + ("\n" if joint == "\n" else ""))
        start = len(page.text)
        marks = [f"{n}. " if joint == "\n" else "" for n in range(1, len(some) + 1)]
        page.add(joint.join(mark + item for mark, item in zip(marks, some, strict=True)))
        spans.append((start, len(page.text)))
        page.add(words.words["stop"].rstrip())
    return [
        Example(
            words.fill(choice(ask), s=subject),
            words.pick("titles").replace("{s}", subject),
            page.text,
            (span,),
            "list",
            words.language,
        )
        for ask, span in zip(asks, spans, strict=True)
    ]


def _range(words: Vocabulary) -> list[Example]:
    """Steps of a scale; what is asked lies within one of them."""
    rng, form = words.rng, words.rng.choice(words.words["ranges"])
    low, high = form["scale"]
    bounds = sorted({rng.randint(low, high) for _ in range(5)})
    if len(bounds) < 3:
        return []
    row, page = rng.choice(form["rows"]), Page()
    kind = "percent" if form["unit"] == "percent" else "money" if form["unit"] in ("元",) else "duration"
    for step, (start, end) in enumerate(pairwise(bounds)):
        value = words.value(kind)
        before, _, after = row.replace("{a}", str(start)).replace("{b}", str(end)).partition("{v}")
        page.add(("" if not page.text else rng.choice(("；", "\n", "; "))) + before)
        page.add(value, (step, 0))
        page.add(after)
    step = rng.randrange(len(page.spans))
    inside = rng.randint(bounds[step], max(bounds[step], bounds[step + 1] - 1))
    question = rng.choice(form["ask"]).replace("{x}", str(inside))
    return [
        Example(
            question, words.fill(words.pick("titles"), s=""), page.text, (page.spans[step, 0],), None, words.language
        )
    ]


def _elided(words: Vocabulary) -> list[Example]:
    """Two values in one sentence, the second with its subject left out: 早上八点开放，晚上十点关闭."""
    rng, places = words.rng, rng_sample(words, "place", 3)
    page = Page()
    for row, place in enumerate(places):
        before, _, rest = rng.choice(words.words["clauses_elided"]).partition("{v1}")
        between, _, after = rest.partition("{v2}")
        page.add(place + words.words["space"] + before)
        for which, tail in ((0, between), (1, after)):
            page.add(words.value("clock"), (row, which))
            page.add(tail)
        page.add(words.words["stop"])
    chosen, which = rng.choice(places), rng.randrange(2)
    question = words.fill(rng.choice(words.words["elided_ask"][which]), s=chosen)
    title = words.fill(words.pick("titles"), s=chosen)
    return [Example(question, title, page.text, (page.spans[places.index(chosen), which],), "date", words.language)]


def rng_sample(words: Vocabulary, kind: str, count: int) -> list[str]:
    """Different things of a kind."""
    names = words.words["subjects"][kind]
    return words.rng.sample(names, min(count, len(names)))


def _parts(words: Vocabulary) -> list[Example]:
    """A whole and its parts: 共96人，其中男性40人."""
    rng, subject = words.rng, words.subject("event")
    labels = rng.choice(words.words["part_labels"])
    values = {"v": words.value("people"), "v1": words.value("people"), "v2": words.value("people")}
    text = words.fill(rng.choice(words.words["parts"]), s=subject, l1=labels[0], l2=labels[1])
    page, spans = Page(), {}
    while "{v" in text:
        before, _, rest = text.partition("{")
        name, _, text = rest.partition("}")
        page.add(before)
        spans[name] = (len(page.text), len(page.text) + len(values[name]))
        page.add(values[name])
    page.add(text + words.words["stop"].rstrip())
    which = rng.randrange(3)
    question = words.fill(words.words["parts_ask"][which], s=subject, l1=labels[0], l2=labels[1])
    title = words.fill(words.pick("titles"), s=subject)
    return [Example(question, title, page.text, (spans[("v", "v1", "v2")[which]],), "number", words.language)]


def _minutes(words: Vocabulary) -> list[Example]:
    """Who said what; asked for the speaker."""
    rng, page, spans = words.rng, Page(), []
    told = []
    for _ in range(rng.randint(2, 4)):
        kind = rng.choice(("event", "project", "place", "fund"))
        possible = [a for a in words.words["attributes"] if kind in a["of"]]
        if not possible:
            return []
        chosen = rng.choice(possible)
        value = words.value(chosen["value"])
        text = words.fill(
            rng.choice(chosen["tell"]), s=words.subject(kind), l=words.fill(rng.choice(chosen["labels"])), v=value
        )
        speaker = words.person()
        before, _, rest = rng.choice(words.words["minutes"]).partition("{p}")
        page.add(("\n" if page.text else "") + before)
        spans.append((len(page.text), len(page.text) + len(speaker)))
        page.add(
            speaker + words.fill(rest, t=text, l=words.value("post") if words.words["subjects"].get("post") else "")
        )
        told.append(text)
    which = rng.randrange(len(told))
    question = words.fill(rng.choice(words.words["minutes_ask"]), t=told[which])
    return [
        Example(question, words.fill(words.pick("titles"), s=""), page.text, (spans[which],), "person", words.language)
    ]
