"""Requests and responses as JSON; the same over HTTP and from `qa ask --json`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from index.types import Filters

MAX_QUERY_CHARS = 4000
MAX_TOP_K = 100
DEFAULT_TOP_K = 5
MAX_FILTERS = 1000
MAX_FILTER_CHARS = 1000
MAX_TURNS = 100
MAX_ANSWER_CHARS = 100_000
EXAMPLE_QUESTION = "兰州帮扶中心资助了多少学生"

Reason = Literal["no_hits", "low_confidence", "missing_terms", "no_quantity"]
AnswerKind = Literal["extractive", "generated"]
Doubt = Literal["unknown_source", "no_source", "number_not_in_source", "name_not_in_source"]
Failure = Literal[
    "timeout", "unreachable", "rate_limited", "refused", "server_error", "interrupted", "empty", "filtered", "invalid"
]
SpanPair = tuple[int, int]
FilterText = Annotated[str, StringConstraints(max_length=MAX_FILTER_CHARS)]


class FilterSpec(BaseModel):
    """Limits on where to search; what is absent does not limit."""

    model_config = ConfigDict(extra="forbid")
    collection: list[FilterText] = Field(default=[], max_length=MAX_FILTERS, description="Names of collections")
    document_id: list[FilterText] = Field(default=[], max_length=MAX_FILTERS, description="Ids of documents")
    path: FilterText | None = Field(default=None, description="Glob over document paths, such as seeds/00*")

    def to_filters(self) -> Filters:
        return Filters(tuple(self.collection), tuple(self.document_id), self.path)


class _QueryRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"query": EXAMPLE_QUESTION, "top_k": 5}]})
    query: str = Field(description="The question or keywords, in any language")
    top_k: int = Field(default=DEFAULT_TOP_K, ge=1, le=MAX_TOP_K, description="How many passages to return")
    filters: FilterSpec | None = None
    explain: bool = Field(default=False, description="Add the parts of each score")


class SearchRequest(_QueryRequest):
    """A query for passages."""

    answer: Literal["extractive"] = Field(default="extractive", description="As in a question; passages need none")
    stream: Literal[False] = Field(default=False, description="The passages come in one piece")


class HistoryTurn(BaseModel):
    """An earlier question, with its answer where that is known."""

    model_config = ConfigDict(extra="forbid")
    question: str = Field(max_length=MAX_QUERY_CHARS)
    answer: str = Field(default="", max_length=MAX_ANSWER_CHARS)


HistoryText = Annotated[str, StringConstraints(max_length=MAX_QUERY_CHARS)]
# Told apart by hand, so that an error speaks of the one that was meant.
HistoryItem = Annotated[
    Annotated[HistoryTurn, Tag("turn")] | Annotated[HistoryText, Tag("text")],
    Discriminator(lambda value: "text" if isinstance(value, str) else "turn"),
]


class AskRequest(_QueryRequest):
    """A question to be answered from the documents."""

    answer: AnswerKind | None = Field(
        default=None,
        description="Quoted from the documents, or written by the language model; absent: by the model if there is one",
    )
    stream: bool = Field(default=False, description="Send the answer as server-sent events while it is made")
    history: list[HistoryItem] = Field(
        default=[], max_length=MAX_TURNS, description="Earlier questions of the conversation, oldest first"
    )


class ScoreParts(BaseModel):
    """What a hit's score is made of, and which of the question's words it holds.

    `lexical`, `dense` and `article` are those parts before weighting; `points` is what each part adds to the score.
    Matched words stand in the passage, its title or its headings.
    """

    lexical: float
    dense: float
    article: float
    reranker: float | None = None
    points: dict[str, float] = {}
    matched: list[str] = []
    in_article: list[str] = Field(default=[], description="Words that only other parts of its article hold")
    missing: list[str] = []


class TextPlace(BaseModel):
    """A stretch of a document: `text[start:end]` of the document's text, in code points.

    `read_at` is when the file was last read; `stale` says that it has been changed or removed since.
    """

    document_id: str
    path: str
    title: str
    heading_path: list[str]
    page: int | None
    paragraph: int
    start: int
    end: int
    read_at: str | None = None
    stale: bool = False


class Copy(BaseModel):
    """A near-identical passage that a hit stands for."""

    passage_id: str
    document_id: str
    path: str
    paragraph: int
    start: int
    end: int


class HitOut(TextPlace):
    """A ranked passage. `highlights` are spans of the document's text, like `start` and `end`."""

    rank: int
    score: float
    passage_id: str
    collection: str
    text: str
    highlights: list[SpanPair]
    damaged: list[SpanPair] = Field(
        default=[], description="Spans of the document's text that can't be read as they were meant"
    )
    also_in: list[Copy]
    explain: ScoreParts | None = None


class Citation(TextPlace):
    """Where a part of the answer stands; `quote` is exactly the document's `text[start:end]`."""

    n: int
    quote: str
    damaged: list[SpanPair] = Field(
        default=[], description="What of the quote can't be read as it was meant; look at the original"
    )
    url: str


class Unsupported(BaseModel):
    """A sentence of a generated answer that its sources don't bear out: `answer.text[start:end] == text`.

    `what` are the marks, numbers or names in it that stand in no passage it cites; empty with `no_source`.
    """

    start: int
    end: int
    text: str
    reason: Doubt
    what: list[str] = []


class Fallback(BaseModel):
    """Why the language model's answer could not be had, so that the answer is quoted from the documents instead."""

    reason: Failure
    detail: str


class AnswerOut(BaseModel):
    """The answer, and the short value where the question asks for one.

    An extractive answer is verbatim. A generated one holds marks such as [2] for the citation with that `n`, and after
    each unsupported sentence a plain remark that says so.
    """

    text: str
    kind: AnswerKind = "extractive"
    value: str | None
    confidence: float = Field(description="Chance, 0 to 1, that the best passage answers the question")
    unsupported: list[Unsupported] = Field(
        default=[], exclude_if=lambda sentences: not sentences, description="Absent where there is none"
    )
    fallback: Fallback | None = Field(default=None, exclude_if=lambda fallback: fallback is None)


class IndexOut(BaseModel):
    """Which index answered."""

    generation: int
    model: str
    passages: int


class SearchResponse(BaseModel):
    """Ranked passages."""

    id: str
    query: str
    hits: list[HitOut]
    index: IndexOut
    timings_ms: dict[str, float]


class AskResponse(BaseModel):
    """An answer with its citations, or the reason why there is none; the hits come either way."""

    id: str
    query: str
    status: Literal["answered", "no_answer"]
    reason: Reason | None
    interpreted_as: str | None = Field(
        default=None, description="The question that was answered, where earlier ones were needed to understand it"
    )
    missing_terms: list[str] = Field(default=[], description="With reason missing_terms: what no document mentions")
    answer: AnswerOut | None
    citations: list[Citation]
    hits: list[HitOut]
    index: IndexOut
    timings_ms: dict[str, float] = Field(
        description="Until the passages were read (search), a model's first words came (first_text), all was done"
    )


class Sources(BaseModel):
    """The first part of a streamed answer: what it is drawn from, chosen before a word of it is written."""

    id: str
    query: str
    citations: list[Citation]
    hits: list[HitOut]
    index: IndexOut


class Delta(BaseModel):
    """A further part of a streamed answer's text; with `replace` it takes the place of all that came before."""

    text: str
    replace: bool = False


class Standing(TextPlace):
    """A passage compared with another. `score` is what it would have if it were read for an answer."""

    rank: int | None
    score: float
    passage_id: str
    text: str
    explain: ScoreParts


class WhyNotResponse(BaseModel):
    """Why a document is not first: its best passage beside the first hit, and what makes the difference.

    `rank` is None when the document was not among the passages that were ranked.
    """

    query: str
    document_id: str
    path: str
    rank: int | None
    first: Standing | None
    best: Standing | None
    reasons: list[str]


class DocumentWarning(BaseModel):
    """Something to be wary of in a document, with its place as far as it is known; pages and paragraphs from 1."""

    kind: str
    text: str
    page: int | None
    paragraph: int | None
    start: int | None
    end: int | None


class DocumentOut(BaseModel):
    """A document in the index."""

    id: str
    collection: str
    path: str
    title: str
    sha256: str
    size: int
    read_at: str
    encoding: str | None
    warnings: list[DocumentWarning]
    passages: int


class DocumentPage(BaseModel):
    """Documents in order of their ids; pass `next_cursor` as `cursor` for those after them."""

    documents: list[DocumentOut]
    next_cursor: str | None


class Problem(BaseModel):
    """An error, as RFC 9457 problem+json. `type` is stable; `detail` says what to do."""

    type: str
    title: str
    status: int
    detail: str
