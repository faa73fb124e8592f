"""An answer written by a language model from passages that were chosen before, each sentence checked against them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from index.text.fold import fold, fold_text
from index.types import Passage
from qa.answering.answer import Answer, NoAnswer
from qa.answering.clauses import fitting
from qa.answering.lists import Quote
from qa.answering.responses import (
    Freshness,
    Part,
    QueryContext,
    citations,
    quoted,
    quoted_sources,
    respond,
    rounded,
)
from qa.llm.check import Checker, SourcePassage
from qa.llm.figures import SourceFigures, figures
from qa.llm.marks import CitationStream, Sentence, without_marks
from qa.llm.model import LanguageModel, ModelError
from qa.llm.prompt import SENTINEL, messages
from qa.schemas import AnswerOut, AskResponse, Delta, Fallback, Sources
from qa.understanding.conversation import Turn

# Reasoning models may think aloud first, between these.
_THINKING, _THOUGHT = "<think>", "</think>"
_THOUGHTS = re.compile(f"\\A(?:\\s*+{_THINKING}.*?{_THOUGHT})*+\\s*+", re.DOTALL)
# What models put around a word that they are told to write.
_WRAPPING = " \t\r\n`*_\"'“‘「【["
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class _NothingFoundError(Exception):
    """The model says that the passages don't answer."""


@dataclass(frozen=True, slots=True)
class Writing:
    """Which model writes from how many passages, what was said before, and what is set when nobody waits any more."""

    model: LanguageModel
    passages: int
    history: Sequence[Turn] = ()
    stop: threading.Event | None = None


def generated(asked: QueryContext, how: Writing) -> Iterator[Part]:
    """The answer as the model writes it, a remark behind each sentence that its sources don't bear out.

    Where the passages hold no answer the model is not asked. Where it fails, the answer is quoted instead.
    """
    searched = asked.elapsed_ms()
    extract = asked.answer()
    if isinstance(extract, NoAnswer):
        yield from quoted(asked, extract)
        return
    draft = _Draft(asked, extract, how.passages)
    parts = how.model.ask(messages(asked.interpreted, draft.numbered, how.history), how.stop)
    # From here on the request is under way, and what is ours to do costs no time.
    with closing(parts):
        yield draft.sources
        draft.checker.prepare()
        timings = {"search": searched}
        try:
            for text in _visible(parts):
                if shown := draft.writer.feed(text):
                    timings.setdefault("first_text", asked.elapsed_ms())
                    yield Delta(text=shown)
            if how.stop is not None and how.stop.is_set():
                return
            if rest := draft.finish():
                yield Delta(text=rest)
        except _NothingFoundError:
            refusal = NoAnswer("low_confidence", confidence=extract.confidence)
            yield respond(asked, quoted_sources(asked, refusal), refusal, timings)
        except ModelError as exc:
            yield Delta(text=extract.text, replace=bool(draft.writer.text))
            fallback = Fallback(reason=exc.reason, detail=exc.detail)
            yield respond(asked, quoted_sources(asked, extract), extract, timings, fallback)
        else:
            yield draft.response(timings)


class _Draft:
    """An answer that is being written, and the numbered sources that it is written from."""

    def __init__(self, asked: QueryContext, extract: Answer, passages: int) -> None:
        self._asked, self._extract = asked, extract
        chosen = _chosen(asked, extract, passages)
        self.numbered = {
            n: SourcePassage(passage, asked.question.segmenter) for n, passage in enumerate(chosen, start=1)
        }
        self.checker = Checker(asked.question, self.numbered)
        self.writer = CitationStream(self.numbered, self.checker.judge)

    @cached_property
    def _fresh(self) -> dict[str, Freshness]:
        return self._asked.fresh([(source.passage, (0, 0)) for source in self.numbered.values()])

    @property
    def sources(self) -> Sources:
        """All that the model is given; each is a whole passage."""
        whole = [(n, (source.passage, (0, len(source.passage.text)))) for n, source in self.numbered.items()]
        asked = self._asked
        return Sources(
            id=asked.id,
            query=asked.query,
            citations=list(citations(whole, self._fresh, asked.public_url)),
            hits=asked.hits(self._fresh, self._extract.quotes),
            index=asked.index(),
        )

    def finish(self) -> str:
        """What is still to be shown when the model has ended; raises ModelError where it wrote nothing."""
        rest = self.writer.end()
        if not self.writer.text.strip():
            raise ModelError("empty", "the language model wrote nothing")
        return rest

    def response(self, timings_ms: dict[str, float]) -> AskResponse:
        """The finished answer with the sources that it cites, each narrowed to what bears the text out."""
        cited = dict(self._quotes())
        asked = self._asked
        sources = Sources(
            id=asked.id,
            query=asked.query,
            citations=list(citations(cited.items(), self._fresh, asked.public_url)),
            hits=asked.hits(self._fresh, list(cited.values())),
            index=asked.index(),
        )
        answer = AnswerOut(
            text=self.writer.text,
            kind="generated",
            value=self._value(),
            confidence=rounded(self._extract.confidence),
            unsupported=self.checker.unsupported,
        )
        return respond(asked, sources, answer, timings_ms)

    def _quotes(self) -> Iterator[tuple[int, Quote]]:
        for n, source in self.numbered.items():
            citing = [text for sentence, text in self._told if n in sentence.cited]
            spans = [span for text in citing if (span := source.supporting(text))]
            if spans:
                yield n, (source.passage, (min(spans)[0], max(end for _, end in spans)))
            elif citing:
                yield n, (source.passage, (0, len(source.passage.text)))

    @cached_property
    def _told(self) -> list[tuple[Sentence, str]]:
        """The sentences of the finished text, each without its marks."""
        text = self.writer.text
        return [(sentence, without_marks(text[slice(*sentence.span)])) for sentence in self.writer.sentences]

    def _value(self) -> str | None:
        """The short answer in a sentence that is borne out: the one that the passages give, else the first fitting."""
        question, wanted = self._asked.question, self._extract.value
        if question.asks_list or question.kind == "place":
            return None
        doubtful = {(doubt.start, doubt.end) for doubt in self.checker.unsupported}
        sure = [text for sentence, text in self._told if sentence.span not in doubtful]
        candidates = []
        for text in sure:
            folded = fold(text)
            candidates += [text[slice(*folded.span(*span))] for span in fitting(question, folded.text)]
        if wanted is not None:
            asked = figures(fold_text(wanted))
            same = [text for text in candidates if not SourceFigures(fold_text(text)).missing(asked)]
            candidates = [text for text in same if question.asks_quantity or fold_text(text) == fold_text(wanted)] or (
                [wanted] if any(wanted in text for text in sure) else candidates
            )
        return candidates[0] if candidates else None


def _chosen(asked: QueryContext, extract: Answer, count: int) -> list[Passage]:
    """The passages that the model is given: those of the extractive answer, then the best of the others."""
    best = [*(passage for passage, _ in extract.quotes), *(hit.passage for hit in asked.passages.hits)]
    return list({passage.row: passage for passage in best}.values())[:count]


def _whole(parts: Iterable[str]) -> Iterator[str]:
    """Parts of a text made of whole characters, without controls: a server may cut a pair of surrogates in two."""
    half = ""
    for part in parts:
        text = half + part
        half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        text = text[: len(text) - len(half)]
        yield _CONTROL.sub("", text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


def _visible(parts: Iterable[str]) -> Iterator[str]:
    """What a model writes, without what it only thinks.

    Raises:
        _NothingFoundError: it writes that the passages don't answer.
    """
    whole = _whole(parts)
    begun = _begun("", whole)
    while begun.startswith(_THINKING):
        begun = _begun(_after_thoughts(chain([begun], whole)), whole)
    yield from _unless_sentinel(chain([begun], whole))


def _begun(text: str, parts: Iterator[str]) -> str:
    """A text without the thoughts before it, with as many parts more as it takes to see whether others begin it."""
    text = _THOUGHTS.sub("", text, count=1)
    while len(text) < len(_THINKING) and _THINKING.startswith(text) and (part := next(parts, None)) is not None:
        text = _THOUGHTS.sub("", text + part, count=1)
    return text


def _after_thoughts(parts: Iterator[str]) -> str:
    """What comes in the part that ends a model's thoughts, behind them; empty where they never end."""
    tail = ""
    for part in parts:
        tail += part
        if _THOUGHT in tail:
            return tail.partition(_THOUGHT)[2]
        tail = tail[-len(_THOUGHT) :]
    return ""


def _unless_sentinel(parts: Iterable[str]) -> Iterator[str]:
    """A text from its first word on; raises _NothingFoundError where that is the sentinel."""
    held: list[str] = []
    said = ""
    for part in parts:
        held.append(part)
        said = (said + part).lstrip(_WRAPPING)
        if said.startswith(SENTINEL):
            raise _NothingFoundError
        if not SENTINEL.startswith(said):
            break
    yield "".join(held).lstrip()
    yield from parts
