"""A question with all that was read for it, and the responses that are made of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from index.encoder import Encoder
from index.store import Store
from qa.answering.answer import Answer, NoAnswer, Reading, answer
from qa.answering.explain import explained
from qa.answering.lists import Quote
from qa.answering.render import Source, citations, highlights, hit_out, sources_of
from qa.schemas import AnswerOut, AskResponse, Delta, Fallback, HitOut, IndexOut, SearchResponse, Sources
from qa.understanding.question import Question

Part = Sources | Delta | AskResponse


@dataclass(frozen=True, slots=True)
class Asked:
    """`query` is the question as it was typed, `interpreted` as it was understood; `started` by `perf_counter`."""

    id: str
    query: str
    interpreted: str
    question: Question
    reading: Reading
    store: Store
    encoder: Encoder
    base: Path
    public_url: str
    top_k: int
    explain: bool
    started: float

    def elapsed_ms(self) -> float:
        """The time since the question came."""
        return round((time.perf_counter() - self.started) * 1000, 2)

    def answer(self) -> Answer | NoAnswer:
        """The answer that stands in the passages."""
        return answer(self.question, self.reading, self.store, self.encoder)

    def fresh(self, cited: Sequence[Quote] = ()) -> dict[str, Source]:
        """How fresh the documents are that are shown or cited."""
        places = [*(hit.passage for hit in self.reading.hits[: self.top_k]), *(passage for passage, _ in cited)]
        return sources_of((passage.document_id for passage in places), self.store, self.base)

    def hits(self, fresh: Mapping[str, Source], cited: Sequence[Quote] = ()) -> list[HitOut]:
        """The first `top_k` hits as responses hold them."""
        return [
            hit_out(
                hit,
                highlights(hit, self.question, cited),
                fresh[hit.passage.document_id],
                explained(self.question, hit, self.reading, self.store) if self.explain else None,
            )
            for hit in self.reading.hits[: self.top_k]
        ]

    def index(self) -> IndexOut:
        """Which index answers."""
        return IndexOut(generation=self.store.generation, model=self.store.encoder, passages=self.store.counts()[1])


def whole(parts: Iterable[Part]) -> AskResponse:
    """The response that the parts end with."""
    *_, done = parts
    assert isinstance(done, AskResponse)
    return done


def found(asked: Asked) -> SearchResponse:
    """The passages alone."""
    return SearchResponse(
        id=asked.id,
        query=asked.query,
        hits=asked.hits(asked.fresh()),
        index=asked.index(),
        timings_ms={"total": asked.elapsed_ms()},
    )


def quoted(asked: Asked, found: Answer | NoAnswer | None = None) -> Iterator[Part]:
    """The answer that stands in the passages, or the reason why none does; `found` where that is known already."""
    searched = asked.elapsed_ms()
    found = found or asked.answer()
    sources = quoted_sources(asked, found)
    yield sources
    if isinstance(found, Answer):
        yield Delta(text=found.text)
    yield respond(asked, sources, found, {"search": searched})


def quoted_sources(asked: Asked, found: Answer | NoAnswer) -> Sources:
    """Where each quote of an extractive answer stands, beside the hits."""
    quotes = found.quotes if isinstance(found, Answer) else ()
    fresh = asked.fresh(quotes)
    return Sources(
        id=asked.id,
        query=asked.query,
        citations=list(citations(enumerate(quotes, start=1), fresh, asked.public_url)),
        hits=asked.hits(fresh, quotes),
        index=asked.index(),
    )


def respond(
    asked: Asked,
    sources: Sources,
    found: AnswerOut | Answer | NoAnswer,
    timings_ms: Mapping[str, float],
    fallback: Fallback | None = None,
) -> AskResponse:
    """The whole response; `sources` hold its citations and hits."""
    if isinstance(found, Answer):
        found = AnswerOut(text=found.text, value=found.value, confidence=rounded(found.confidence), fallback=fallback)
    is_refusal = isinstance(found, NoAnswer)
    return AskResponse(
        **dict(sources),
        interpreted_as=asked.interpreted if asked.interpreted != asked.query else None,
        status="no_answer" if is_refusal else "answered",
        reason=found.reason if isinstance(found, NoAnswer) else None,
        missing_terms=list(found.missing_terms) if isinstance(found, NoAnswer) else [],
        answer=None if isinstance(found, NoAnswer) else found,
        timings_ms={**timings_ms, "total": asked.elapsed_ms()},
    )


def rounded(confidence: float) -> float:
    """A confidence as responses hold it."""
    return round(confidence, 4)
