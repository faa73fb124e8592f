"""A question that leans on earlier ones, made to stand alone: 那武威呢, "what about 2020?", 它什么时候成立的.

By rules over the words of both, without a language model. What the rules don't recognise is left as it was typed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from index.encoder import Vectors
from index.text.fold import fold_text
from index.text.names import people
from index.types import Span
from qa.understanding.phrases import ASPECT, DATE, NUMERAL, Phrase, Utterance
from qa.understanding.question import Question

Encode = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier question, and what was answered if that is known."""

    question: str
    answer: str = ""


# What a follow-up puts around the one thing that is new in it.
_ABOUT = re.compile(
    "(?:那么?|而|还有|换成|换做|如果是|要是|至于|再说|同样)?[,， ]{0,9}(?P<new>[^,，。?？!！]{1,40}?)"
    "的?(?:情况|方面)?(?:又|也)?(?:呢|怎么样|怎样|如何)[?？。!！ ]*"
    "|(?:那么?|换成|换做|如果是|要是|至于)[,， ]{0,9}(?P<bare>[^,，。?？!！]{1,20}?)的?[?？。!！ ]*"
    "|(?:(?:and|so|then|but|ok|okay),? )?(?:what|how) about (?P<about>[^?]{1,80}?)\\s*\\??"
    "|and (?P<and>[^?]{1,40}?)\\s*\\?"
)
_FRAME = re.compile("(?:(?:in|for|of|at|by|with|from|the|a|an|during|在|对|关于|对于) ?)*")
_ASKS = re.compile("多少|几|谁|什么|啥|哪|吗|怎|如何|何时|为何|是不是|有没有|是否|how|who|when|where|why")
_PERSON = re.compile("(?<![其吉维])[他她](?!们|人|乡|国|日|方|山)|\\b(?:he|she|him|her|his)\\b")
_THING = re.compile(
    "(?<![其吉维])[它他她]们?(?![人乡国日方山])|(?:这|那)个(?=[是有的叫怎在为])|^这(?=[是有])|^其(?![中他它次余实])"
    "|\\b(?:it|its|they|them|their)\\b"
)
_THERE = re.compile(
    "那里|这里|那儿|这儿|那边|这边|当地|(?<!is )(?<!are )(?<!was )(?<!were )\\bthere\\b(?! (?:is|are|was|were))"
)
_THEN = re.compile("当时|那时候?|(?:那一?|同|当)年|那个时候|\\b(?:that year|at that time)\\b")
_THIS = re.compile("(?:(?<![应不就也都只活])该|此|[这那][个家座所条项位名种]|\\bthis )(?=[^是有的叫怎在为了吗呢?？ ])")
# How a question begins that says nothing of what it is about.
_ADVERBS = re.compile("(?:一?共|总共|又|也|还|都|现在|目前|最后|后来|主要)*")
_SUBJECTLESS = re.compile("什么时候|何时|几时|哪一?年|在哪|是(?!不是|否)|有(?:多少|几|哪|什么|没有|谁)")
_MANNER = re.compile("为什么|为何|怎么|怎样|如何")
# A question longer than this says what it is about; one that long is not taken apart either, which takes time that
# grows with the square of it. Who or when is told at the beginning of an answer.
_MAX_CHARS = 200
_MAX_ANSWER_CHARS = 2000
# A question in English of more words than this says what it is about.
_MAX_IT_WORDS = 9
_PLACE_KIND = re.compile("[省市县区州镇乡村]")
_ONE_LETTER = re.compile("[省市县区州镇乡村校院馆厂店局会所站厅桥楼园寺湖江河山]")
# How much two phrases are alike beside their nearness in meaning: what they are, how they begin and end.
_SAME_KIND, _SAME_START, _SAME_END, _ASKED_FOR, _LEFT_OVER = 1.0, 0.3, 0.3, 0.1, -0.3
_LETTER_MORE, _WORD_MORE = -0.05, -0.1


def interpret(question: str, history: Sequence[Turn], encode: Encode) -> str:
    """The question as it would be asked alone; as it was typed where it leans on nothing in `history`, oldest first."""
    told: Turn | None = None
    for turn in history:
        if turn.question.strip():
            told = Turn(_alone(turn.question, told, encode), turn.answer)
    return _alone(question, told, encode)


def _alone(text: str, before: Turn | None, encode: Encode) -> str:
    if before is None or max(len(text), len(before.question)) > _MAX_CHARS:
        return text
    previous = Utterance.of(before.question)
    folded = fold_text(text).strip()
    if new := _new(folded, previous):
        return _substituted(previous, _as_typed(text, new), encode)
    if (referring := _resolved(text, previous, before)) != text:
        return referring
    return _with_subject(text, previous)


def _new(folded: str, previous: Utterance) -> str:
    """The one thing that is new in an elliptical follow-up; empty when the question is not one."""
    if match := _ABOUT.fullmatch(folded):
        (said,) = (part for part in match.groups() if part is not None)
        new = _FRAME.sub("", said, count=1).strip()
        if not any(pattern.search(new) for pattern in (_ASKS, _THIS, _PERSON, _THING)):
            return new
    utterance = Utterance.of(folded)
    if re.search(f"(?:{_ASKS.pattern})[个名家位次人]?[呢?？ ]*$", folded) and len(folded) < len(previous.folded.text):
        # A question that breaks off (武威资助了多少) repeats the one before but for a name or a date.
        fresh = [word for word in utterance.words if word.text not in previous.folded.text]
        fresh = [word for word in fresh if word.kind in ("name", "date", "noun", "verb")]
        if len(fresh) == 1 and fresh[0].kind in ("name", "date"):
            return fresh[0].text
    runs = utterance.runs()
    bare = folded.rstrip("?？。 ")
    return bare if len(runs) == 1 and runs[0].text == bare and (runs[0].is_name or runs[0].is_date) else ""


def _substituted(previous: Utterance, new: str, encode: Encode) -> str:
    """The previous question with `new` in the place of what it is an alternative to, or in front."""
    if (parts := _date_and_rest(new)) is not None:
        date, rest = parts
        return _substituted(Utterance.of(_substituted(previous, date, encode)), rest, encode)
    if (numbered := _same_shape(previous.folded.text, fold_text(new))) is not None:
        return previous.replaced(numbered, new)
    target = _counterpart(previous, Utterance.of(new), encode)
    if target is not None:
        return previous.replaced(target.span, new)
    return f"{new} {previous.text}" if new.isascii() else f"{new}{previous.text}"


def _same_shape(text: str, new: str) -> Span | None:
    """Where a text holds `new` with another number or letter: 第一期 for 第二期, A座 for B座."""
    shape = re.escape(new)
    for number in (NUMERAL, "(?<![a-z])[a-z](?![a-z])"):
        if re.search(number, new):
            shape = re.sub(number, lambda _, number=number: number, re.escape(new))  # type: ignore[misc]
            break
    match = re.search(shape, text) if shape != re.escape(new) else None
    return match.span() if match else None


def _date_and_rest(new: str) -> tuple[str, str] | None:
    """The date that a text begins or ends with and what is beside it, None when it is not made of these two."""
    for pattern in (f"(?P<date>{DATE})的? ?(?P<rest>.*)", f"(?P<rest>.*?) ?(?:在|in )?(?P<date>{DATE})"):
        if match := re.fullmatch(pattern, fold_text(new)):
            return (match["date"], match["rest"]) if match["rest"] else None
    return None


def _counterpart(previous: Utterance, new: Utterance, encode: Encode) -> Phrase | None:
    """The phrase of the previous question that is of the same kind as the new one, and nearest to it."""
    words = [word for word in new.words if word.text.strip()]
    wanted = Phrase(tuple(words), new.folded.text)
    is_place = all(word.tag == "ns" for word in words)
    phrases = [
        phrase for phrase in previous.phrases() if phrase.is_date == wanted.is_date and (phrase.is_name or not is_place)
    ]
    if wanted.words and all(word.kind == "verb" for word in words):
        verbs = [word for word in previous.words if word.kind == "verb" and _ends_alike(word.text, words[-1].text)]
        phrases = [Phrase((word,), word.text) for word in verbs] or phrases
    if not words or not phrases:
        return None
    if new.text.isascii() and (determined := [phrase for phrase in phrases if previous.is_determined(phrase)]):
        phrases = determined
    vectors = encode([new.text, *(previous.original(phrase) for phrase in phrases)])
    asked_for = previous.asked_for()
    scores = [
        float(vectors[0] @ vector)
        + _likeness(wanted, phrase)
        + _ASKED_FOR * (not wanted.is_name and bool(asked_for & set(phrase.span)))
        + _LEFT_OVER * previous.is_cut(phrase)
        for phrase, vector in zip(phrases, vectors[1:], strict=True)
    ]
    return phrases[max(range(len(phrases)), key=lambda number: (scores[number], -number))]


def _likeness(wanted: Phrase, phrase: Phrase) -> float:
    first, last = wanted.words[0], wanted.words[-1]
    longer = abs(len(wanted.text) - len(phrase.text)) * _LETTER_MORE
    if wanted.text.isascii():
        longer = abs(len(wanted.words) - len(phrase.words)) * _WORD_MORE
    return (
        _SAME_KIND * (wanted.is_name == phrase.is_name)
        + _SAME_START * (1 + (first.kind == "name")) * ((first.kind or "noun") == phrase.words[0].kind)
        + _SAME_END * _ends_alike(last.text, phrase.words[-1].text)
        + longer
    )


def _ends_alike(one: str, other: str) -> bool:
    if one.isascii():
        return one == other or (one[-1:] == other[-1:] == "s")  # two plurals
    return one[-1:] == other[-1:]


def _resolved(text: str, previous: Utterance, before: Turn) -> str:
    """The question with its first pronoun replaced by what it stands for."""
    utterance = Utterance.of(text)
    for pattern, referents in (
        (_THIS, _these),
        (_PERSON, _persons),
        (_THING, _things),
        (_THERE, _places),
        (_THEN, _dates),
    ):
        match = pattern.search(utterance.folded.text)
        # What stands before a pronoun in the same question is what it means.
        if match is None or any(_is_before(run, match.start()) for run in utterance.runs()):
            continue
        for referent, span in referents(previous, before, utterance, match):
            return utterance.replaced(span, referent)
    return text


def _is_before(run: Phrase, position: int) -> bool:
    # English adjectives (how long is it) can't be told from nouns.
    return run.span[0] < position and (not run.text.isascii() or any(word.kind == "name" for word in run.words))


Referents = Iterator[tuple[str, Span]]


def _these(previous: Utterance, before: Turn, utterance: Utterance, match: re.Match[str]) -> Referents:
    """该中心, "this centre": the phrase of the previous question that ends so."""
    rest = utterance.folded.text[match.end() :]
    known = {run.text[: word.end - run.span[0]]: word for run in previous.runs() for word in run.words}
    # Compared by letters: the segmenter may see other words behind 该 and 这个.
    alike = {whole: _common(whole, rest) for whole in known}
    if alike and (best := max(alike, key=lambda whole: (alike[whole], len(whole)))) and alike[best]:
        run = next(run for run in previous.runs() if known[best] in run.words)
        whole = Phrase(run.words[: run.words.index(known[best]) + 1], "")
        yield previous.original(whole), (match.start(), match.end() + alike[best])
    subject = previous.subject()
    if subject is None or subject.words[0].kind != "name" or rest.isascii():
        return
    if kind := _PLACE_KIND.match(rest):
        # 该市 after 兰州帮扶中心 is 兰州市.
        yield previous.original(Phrase(subject.words[:1], "")) + kind[0], (match.start(), match.end() + 1)
    noun = next((word for word in utterance.words if word.start == match.end()), None)
    if noun is not None and noun.kind == "noun":
        yield previous.original(subject), (match.start(), noun.end)


def _common(whole: str, rest: str) -> int:
    """How many letters at the end of a phrase begin the rest of a question."""
    if rest.isascii():
        word = re.split("[^a-z0-9]", rest)[0]
        return len(word) if word and word == re.split("[^a-z0-9]", whole)[-1] else 0
    lengths = range(min(len(whole), len(rest)), 0, -1)
    common = next((length for length in lengths if whole[-length:] == rest[:length]), 0)
    return common if common > 1 or _ONE_LETTER.match(rest) else 0


def _persons(previous: Utterance, before: Turn, utterance: Utterance, match: re.Match[str]) -> Referents:
    for text in (before.answer[:_MAX_ANSWER_CHARS], before.question):
        folded = fold_text(text)
        for span in people(folded):
            yield folded[slice(*span)], match.span()
    if (described := previous.described()) is not None:
        yield previous.original(described), match.span()
    yield from _things(previous, before, utterance, match)


def _things(previous: Utterance, before: Turn, utterance: Utterance, match: re.Match[str]) -> Referents:
    subject = previous.subject()
    is_long = utterance.text.isascii() and len(utterance.text.split()) > _MAX_IT_WORDS
    if subject is not None and not is_long:
        possessive = "'s" if match.group() in ("its", "their", "his", "her") else ""
        yield previous.original(subject) + possessive, match.span()


def _places(previous: Utterance, before: Turn, utterance: Utterance, match: re.Match[str]) -> Referents:
    for word in previous.words:
        if word.kind == "name":
            yield previous.original(Phrase((word,), "")), match.span()


def _dates(previous: Utterance, before: Turn, utterance: Utterance, match: re.Match[str]) -> Referents:
    for text in (before.answer[:_MAX_ANSWER_CHARS], before.question):
        if date := re.search(DATE, fold_text(text)):
            yield date.group(), match.span()


def _with_subject(text: str, previous: Utterance) -> str:
    """The question with the previous one's subject in front where it names nothing and begins with what it asks."""
    question = Question.of(text)
    subject = previous.subject()
    if subject is None or question.names:
        return text
    if not question.terms and _ASKS.search(question.wanted):
        return f"{Question.of(previous.text).topic} {text}"
    begun = Utterance.of(_ADVERBS.sub("", question.wanted, count=1))
    leans = _SUBJECTLESS.match(begun.folded.text) or _is_predicate(begun)
    if _MANNER.match(begun.folded.text):
        leans = not begun.runs()
    return f"{previous.original(subject)}{text}" if leans else text


def _is_predicate(utterance: Utterance) -> bool:
    """Whether a question begins with what was done (发放了多少助学金) and describes nothing with 的."""
    first = utterance.words[:2]
    has_verb = len(first) == 2 and first[0].kind == "verb" and first[1].text in ASPECT
    return has_verb and "的" not in utterance.folded.text


def _as_typed(text: str, folded: str) -> str:
    """A part of the folded text as it stands in the text."""
    utterance = Utterance.of(text)
    start = utterance.folded.text.find(folded)
    return text[slice(*utterance.folded.span(start, start + len(folded)))] if start >= 0 else folded
