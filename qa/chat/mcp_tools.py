"""What a model can do over MCP: ask, search, fetch; and the documents as resources.

`search` and `fetch` have the shapes that ChatGPT's connectors expect (https://platform.openai.com/docs/mcp).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from index.errors import DocumentNotFoundError, QueryError
from index.types import Document, DocumentInfo, Filters
from qa.answering.responses import absolute, passage_link
from qa.chat.card import card_of, plain
from qa.chat.errors import quoted
from qa.engine import Engine
from qa.schemas import EXAMPLE_QUESTION, MAX_QUERY_CHARS, MAX_TURNS, Citation, HitOut, Reason
from qa.understanding.conversation import Turn

# About what fits a model's context beside the rest; longer documents are read piece by piece.
MAX_FETCHED_CHARS = 20_000
_NEAREST = 3
_ID = re.compile(r"(?P<document>.+?)(?::(?P<start>\d{1,12})-(?P<end>\d{1,12}))?")

Collection = Annotated[
    str | None, Field(default=None, max_length=1000, description="Only documents of this collection; absent: of all")
]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AskArguments(_Arguments):
    """A question to be answered."""

    question: str = Field(
        description="One whole question in the user's own words and language, with the names, places and years it is "
        f"about, such as {EXAMPLE_QUESTION}"
    )
    history: list[Annotated[str, StringConstraints(max_length=MAX_QUERY_CHARS)]] = Field(
        default=[],
        max_length=MAX_TURNS,
        description="The user's earlier questions, oldest first, where the question leans on them (那武威呢)",
    )
    collection: Collection


class SearchArguments(_Arguments):
    """A query for passages."""

    query: str = Field(description="A question or keywords, in any language, such as 困难职工 帮扶 资金")
    top_k: int = Field(default=10, ge=1, le=50, description="How many passages to return")
    collection: Collection


class FetchArguments(_Arguments):
    """A passage or a document to be read."""

    id: str = Field(description="`id` of a search result or citation, or a `document_id`")
    start: int | None = Field(
        default=None, ge=0, description="Where to go on in a long document: `metadata.next_start` of the piece before"
    )


class FoundPassage(BaseModel):
    """A passage. `id` can be fetched; `url` opens the document there; `start` and `end` are code points of its text."""

    id: str
    title: str
    url: str
    text: str
    document_id: str
    collection: str
    path: str
    page: int | None
    paragraph: int
    start: int
    end: int


class SearchResult(BaseModel):
    """Passages, best first."""

    results: list[FoundPassage]


class CitedQuote(BaseModel):
    """A source of the answer: `quote` is exactly the document's text from `start` to `end`, in code points."""

    n: int
    id: str
    title: str
    url: str
    quote: str
    document_id: str
    path: str
    page: int | None
    paragraph: int
    start: int
    end: int
    stale: bool


class AskResult(BaseModel):
    """An answer with its sources, or why there is none and the nearest passages."""

    status: Literal["answered", "no_answer"]
    answer: str | None
    value: str | None = Field(description="The short answer where one is asked for: a number with its unit, a name")
    kind: Literal["extractive", "generated"] | None
    confidence: float | None
    unsupported: list[str] = Field(description="Sentences of a generated answer that its sources don't bear out")
    reason: Reason | None
    missing_terms: list[str]
    interpreted_as: str | None
    citations: list[CitedQuote]
    nearest: list[FoundPassage] = Field(description="Where there is no answer: the passages that come nearest")


class FetchResult(BaseModel):
    """A document's text, or the piece of it that `metadata` tells."""

    id: str
    title: str
    text: str
    url: str
    metadata: dict[str, str | int | None]


def ask(engine: Engine, given: AskArguments, base_url: str) -> tuple[AskResult, str]:
    """The answer, and the same to be read."""
    response = engine.ask(
        given.question,
        filters=_filters(engine, given.collection),
        history=[Turn(question) for question in given.history if question.strip()],
    )
    answer = response.answer
    result = AskResult(
        status=response.status,
        answer=answer.text if answer else None,
        value=answer.value if answer else None,
        kind=answer.kind if answer else None,
        confidence=answer.confidence if answer else None,
        unsupported=[doubt.text for doubt in answer.unsupported] if answer else [],
        reason=response.reason,
        missing_terms=response.missing_terms,
        interpreted_as=response.interpreted_as,
        citations=[_cited(citation, base_url) for citation in response.citations],
        nearest=[] if answer else [_found_passage(hit, base_url) for hit in response.hits[:_NEAREST]],
    )
    return result, plain(card_of(response, base_url))


def search(engine: Engine, given: SearchArguments, base_url: str) -> SearchResult:
    """The passages that fit a query."""
    response = engine.search(given.query, top_k=given.top_k, filters=_filters(engine, given.collection))
    return SearchResult(results=[_found_passage(hit, base_url) for hit in response.hits])


def fetch(engine: Engine, given: FetchArguments, base_url: str) -> FetchResult:
    """A document, or of a long one the piece around a passage or from `start` on.

    Raises:
        QueryError: there is no such document, or it ends before that.
    """
    match = _ID.fullmatch(given.id.strip())
    document = _document(engine, match["document"] if match else given.id)
    span = (int(match["start"]), int(match["end"])) if match and match["start"] else (0, 0)
    total = len(document.text)
    wanted = span[0] if given.start is None else given.start
    if wanted > total or span[1] > total:
        raise QueryError(f"id: the document has {total} characters; take a place from a newer search")
    start, end = _window(total, span, given.start)
    return FetchResult(
        id=given.id,
        title=document.title,
        text=document.text[start:end],
        url=passage_link(document.id, *(span if span[1] else (start, end)), base_url),
        metadata={
            "document_id": document.id,
            "collection": document.collection,
            "path": document.path,
            "start": start,
            "end": end,
            "total_chars": total,
            "next_start": end if end < total else None,
        },
    )


def list_documents(engine: Engine, cursor: str, limit: int) -> tuple[list[DocumentInfo], str | None]:
    """A page of documents by id, and the cursor of the next one."""
    following = engine.documents(limit + 1, cursor)
    page = following[:limit]
    return page, page[-1].id if len(following) > limit else None


def read_document(engine: Engine, document_id: str) -> str:
    """A document's whole text; raises QueryError."""
    return _document(engine, document_id).text


def _filters(engine: Engine, collection: str | None) -> Filters | None:
    known = engine.config.corpus
    if collection and collection not in known:
        raise QueryError(f"collection: there is no {quoted(collection)}; there are: {', '.join(known)}")
    return Filters(collection=(collection,)) if collection else None


def _document(engine: Engine, document_id: str) -> Document:
    try:
        return engine.document(document_id)
    except DocumentNotFoundError as exc:
        raise QueryError(f"id: no document has the id {quoted(document_id)}; use one that a search returned") from exc


def _window(total: int, span: tuple[int, int], start: int | None) -> tuple[int, int]:
    """The whole, or what fits of it from `start` on, or else around a span."""
    if start is None:
        spare = MAX_FETCHED_CHARS - (span[1] - span[0])
        start = max(0, min(span[0] - max(0, spare // 2), total - MAX_FETCHED_CHARS))
    return start, min(total, start + MAX_FETCHED_CHARS)


def _found_passage(hit: HitOut, base_url: str) -> FoundPassage:
    return FoundPassage(
        id=_id(hit),
        title=hit.title,
        url=passage_link(hit.document_id, hit.start, hit.end, base_url),
        text=hit.text,
        document_id=hit.document_id,
        collection=hit.collection,
        path=hit.path,
        page=hit.page,
        paragraph=hit.paragraph,
        start=hit.start,
        end=hit.end,
    )


def _cited(citation: Citation, base_url: str) -> CitedQuote:
    return CitedQuote(
        n=citation.n,
        id=_id(citation),
        title=citation.title,
        url=absolute(citation.url, base_url),
        quote=citation.quote,
        document_id=citation.document_id,
        path=citation.path,
        page=citation.page,
        paragraph=citation.paragraph,
        start=citation.start,
        end=citation.end,
        stale=citation.stale,
    )


def _id(place: HitOut | Citation) -> str:
    """A name for a passage that says where it stands; one made from the index would change with it."""
    return f"{place.document_id}:{place.start}-{place.end}"
