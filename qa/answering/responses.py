"""A question with all that was read for it, and the responses that are made of it: places, links, freshness."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from index.chunking.passages import within
from index.encoder import Encoder
from index.store import DocumentLookup, Store
from index.text.fold import fold_kept
from index.types import DocumentInfo, Hit, Span
from qa.answering.answer import Answer, NoAnswer, answer
from qa.answering.lists import Quote
from qa.answering.ranking import ReadPassages
from qa.answering.why_not import explained
from qa.configuration.settings import ServerConfig
from qa.schemas import (
    AnswerOut,
    AskResponse,
    Citation,
    Copy,
    Delta,
    Fallback,
    HitOut,
    IndexOut,
    ScoreParts,
    SearchResponse,
    Sources,
)
from qa.understanding.question import Question

Part = Sources | Delta | AskResponse
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - shown to people, not bound


@dataclass(frozen=True, slots=True)
class Freshness:
    """When a document was last read (ISO 8601, UTC), and whether its file has changed or gone since."""

    read_at: str | None
    stale: bool


@dataclass(frozen=True, slots=True)
class QueryContext:
    """A question and all that was read for it.

    `query` is the question as it was typed, `interpreted` as it was understood; `started` by
    `perf_counter`.
    """

    id: str
    query: str
    interpreted: str
    question: Question
    passages: ReadPassages
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
        return answer(self.question, self.passages, self.store, self.encoder)

    def fresh(self, cited: Sequence[Quote] = ()) -> dict[str, Freshness]:
        """How fresh the documents are that are shown or cited."""
        places = [*(hit.passage for hit in self.passages.hits[: self.top_k]), *(passage for passage, _ in cited)]
        return freshness((passage.document_id for passage in places), self.store, self.base)

    def hits(self, fresh: Mapping[str, Freshness], cited: Sequence[Quote] = ()) -> list[HitOut]:
        """The first `top_k` hits as responses hold them."""
        shown = self.passages.hits[: self.top_k]
        parts = explained(self.question, shown, self.passages, self.store) if self.explain else [None] * len(shown)
        return [
            hit_out(hit, highlights(hit, self.question, cited), fresh[hit.passage.document_id], part)
            for hit, part in zip(shown, parts, strict=True)
        ]

    def index(self) -> IndexOut:
        """Which index answers."""
        return IndexOut(generation=self.store.generation, model=self.store.encoder, passages=self.store.counts()[1])


def whole(parts: Iterable[Part]) -> AskResponse:
    """The response that the parts end with."""
    *_, done = parts
    assert isinstance(done, AskResponse)
    return done


def passages_response(asked: QueryContext) -> SearchResponse:
    """The passages alone."""
    return SearchResponse(
        id=asked.id,
        query=asked.query,
        hits=asked.hits(asked.fresh()),
        index=asked.index(),
        timings_ms={"total": asked.elapsed_ms()},
    )


def quoted(asked: QueryContext, given: Answer | NoAnswer | None = None) -> Iterator[Part]:
    """The answer that stands in the passages, or the reason why none does; `given` where that is known already."""
    searched = asked.elapsed_ms()
    given = given or asked.answer()
    sources = quoted_sources(asked, given)
    yield sources
    if isinstance(given, Answer):
        yield Delta(text=given.text)
    yield respond(asked, sources, given, {"search": searched})


def quoted_sources(asked: QueryContext, given: Answer | NoAnswer) -> Sources:
    """Where each quote of an extractive answer stands, beside the hits."""
    quotes = given.quotes if isinstance(given, Answer) else ()
    fresh = asked.fresh(quotes)
    return Sources(
        id=asked.id,
        query=asked.query,
        citations=list(citations(enumerate(quotes, start=1), fresh, asked.public_url)),
        hits=asked.hits(fresh, quotes),
        index=asked.index(),
    )


def respond(
    asked: QueryContext,
    sources: Sources,
    given: AnswerOut | Answer | NoAnswer,
    timings_ms: Mapping[str, float],
    fallback: Fallback | None = None,
) -> AskResponse:
    """The whole response; `sources` hold its citations and hits."""
    if isinstance(given, Answer):
        given = AnswerOut(text=given.text, value=given.value, confidence=rounded(given.confidence), fallback=fallback)
    is_refusal = isinstance(given, NoAnswer)
    return AskResponse(
        **dict(sources),
        interpreted_as=asked.interpreted if asked.interpreted != asked.query else None,
        status="no_answer" if is_refusal else "answered",
        reason=given.reason if isinstance(given, NoAnswer) else None,
        missing_terms=list(given.missing_terms) if isinstance(given, NoAnswer) else [],
        answer=None if isinstance(given, NoAnswer) else given,
        timings_ms={**timings_ms, "total": asked.elapsed_ms()},
    )


def rounded(confidence: float) -> float:
    """A confidence as responses hold it."""
    return round(confidence, 4)


def freshness(document_ids: Iterable[str], store: DocumentLookup, base: Path) -> dict[str, Freshness]:
    """The freshness of documents, by id. `base` is the folder that their paths count from."""
    fresh = {}
    for document_id in dict.fromkeys(document_ids):
        info = store.document_info(document_id)
        # Between the search and now another process may have removed it.
        fresh[document_id] = Freshness(info.read_at, has_changed(info, base)) if info else Freshness(None, True)
    return fresh


def has_changed(info: DocumentInfo, base: Path) -> bool:
    """Whether the file of a document, or the archive that holds it, is another one than was read, or gone."""
    path = base / info.path
    while True:
        try:
            status = path.stat()
            return (status.st_size, status.st_mtime_ns) != (info.size, info.mtime_ns)
        except NotADirectoryError:
            path = path.parent  # a member of an archive has its archive's size and time
        except OSError:
            return True


def hit_out(hit: Hit, highlights: list[Span], source: Freshness, parts: ScoreParts | None = None) -> HitOut:
    """A hit as the API shows it. `highlights` are spans of the document's text."""
    passage = hit.passage
    return HitOut(
        rank=hit.rank,
        score=round(hit.score, 4),
        passage_id=passage.id,
        document_id=passage.document_id,
        collection=passage.collection,
        path=passage.path,
        title=passage.title,
        heading_path=list(passage.heading_path),
        page=passage.page,
        paragraph=passage.paragraph,
        start=passage.start,
        end=passage.end,
        text=passage.text,
        read_at=source.read_at,
        stale=source.stale,
        highlights=highlights,
        damaged=list(passage.damaged),
        explain=parts,
        also_in=[
            Copy(
                passage_id=copy.id,
                document_id=copy.document_id,
                path=copy.path,
                paragraph=copy.paragraph,
                start=copy.start,
                end=copy.end,
            )
            for copy in hit.also_in
        ],
    )


def highlights(hit: Hit, question: Question, cited: Sequence[Quote]) -> list[Span]:
    """What the answer quotes from this hit, or else the words it shares with the question."""
    quoted = [(p.start + start, p.start + end) for p, (start, end) in cited if p.id == hit.passage.id]
    return quoted or _shared_words(hit, question)


def _shared_words(hit: Hit, question: Question) -> list[Span]:
    """Spans of the document's text where the topic's words stand in the hit, joined where they touch."""
    folded = fold_kept(hit.passage.text)
    spans = [(start, start + len(word)) for word in question.query.ways for start in _occurrences(word, folded.text)]
    merged: list[Span] = []
    for start, end in sorted(folded.spans(spans)):
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


def citations(
    numbered: Iterable[tuple[int, Quote]], fresh: Mapping[str, Freshness], base_url: str
) -> Iterator[Citation]:
    """Where each quote stands; with the number that each citation is to have.

    Its address begins with `base_url`, where the server is reached from outside; empty counts from its root.
    """
    for n, (passage, (start, end)) in numbered:
        first, last = passage.start + start, passage.start + end
        source = fresh[passage.document_id]
        yield Citation(
            n=n,
            document_id=passage.document_id,
            path=passage.path,
            title=passage.title,
            heading_path=list(passage.heading_path),
            page=passage.page_at(first),
            paragraph=passage.paragraph,
            start=first,
            end=last,
            quote=passage.text[start:end],
            damaged=within(passage.damaged, first, last),
            read_at=source.read_at,
            stale=source.stale,
            url=passage_link(passage.document_id, first, last, base_url),
        )


def server_url(server: ServerConfig) -> str:
    """The address that people know the server by: the public one, or where `qa serve` listens."""
    return server.public_url or address(server.host, server.port)


def address(host: str, port: int) -> str:
    """The address of a host and port; of every address of this machine its loopback one."""
    host = _WILDCARDS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def passage_link(document_id: str, start: int, end: int, base_url: str = "") -> str:
    """The address that opens a document at `text[start:end]`; without `base_url` it counts from the server's root."""
    return f"{base_url.rstrip('/')}/documents/{document_id}?start={start}&end={end}"


def absolute(link: str, base_url: str) -> str:
    """A link of ours as one that works outside the server's own pages; one that is absolute already stays."""
    return f"{base_url.rstrip('/')}{link}" if link.startswith("/") else link
