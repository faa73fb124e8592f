"""Query parameters, and the responses that only HTTP has."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from qa.editing.jobs import Kind, Status
from qa.schemas import (
    DEFAULT_TOP_K,
    EXAMPLE_QUESTION,
    MAX_FILTER_CHARS,
    MAX_TOP_K,
    MAX_TURNS,
    AnswerKind,
    AskRequest,
    FilterSpec,
    FilterText,
    HistoryText,
    IndexOut,
    SpanPair,
)

MAX_PAGE = 1000
DEFAULT_PAGE = 100
_JOB: dict[str, JsonValue] = {
    "id": "0c1f5e0a5b6d4a6f9d7e3c2b1a098765",
    "kind": "upload",
    "status": "done",
    "progress": 1.0,
    "message": "1 documents",
    "paths": ["seeds/2024/report.pdf"],
    "document_ids": ["08a5526a5db351bb"],
    "skipped": [],
    "created_at": "2026-11-21T08:00:00+00:00",
    "finished_at": "2026-11-21T08:00:02+00:00",
    "generation": 6,
}


class _QuestionParams(BaseModel):
    q: str = Field(description="The question, in any language", json_schema_extra={"example": EXAMPLE_QUESTION})
    top_k: int = Field(default=DEFAULT_TOP_K, ge=1, le=MAX_TOP_K, description="How many passages to return")
    explain: bool = Field(default=False, description="Add the parts of each score")
    answer: AnswerKind | None = Field(default=None, description="As in the body of `POST /v1/ask`")
    history: list[HistoryText] = Field(
        default=[], max_length=MAX_TURNS, description="Earlier questions of the conversation, oldest first"
    )


class AskParams(FilterSpec, _QuestionParams):
    """A question in the address: an `AskRequest` without nesting. The fields of the last base come first."""

    model_config = ConfigDict(extra="forbid")

    def to_request(self) -> AskRequest:
        return AskRequest(
            query=self.q,
            top_k=self.top_k,
            filters=self,
            explain=self.explain,
            answer=self.answer,
            history=list(self.history),
        )


class PageParams(BaseModel):
    """Which page of a list."""

    model_config = ConfigDict(extra="forbid")
    limit: int = Field(default=DEFAULT_PAGE, ge=1, le=MAX_PAGE, description="How many to return")
    cursor: str = Field(default="", description="`next_cursor` of the page before; absent for the first page")


class DocumentsParams(PageParams):
    """Which page of the documents."""

    q: str = Field(
        default="", max_length=MAX_FILTER_CHARS, description="Only documents with this in their title or path"
    )


class SliceParams(BaseModel):
    """A stretch of a document's text, in code points, as in a citation."""

    model_config = ConfigDict(extra="forbid")
    start: int = Field(default=0, ge=0, description="The first character, counted from 0")
    end: int | None = Field(default=None, ge=0, description="One past the last character; absent: to the end")


class IndexRequest(BaseModel):
    """How to bring the index in step with the corpus."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"rebuild": False}]})
    rebuild: bool = Field(default=False, description="Start afresh beside the old index, then switch")
    allow_empty: bool = Field(
        default=False, description="Let documents go whose folder is empty, or another one than was indexed"
    )


class SkippedOut(BaseModel):
    """A file, or a member of an archive, that could not be read."""

    path: str
    reason: str


class JobOut(BaseModel):
    """A change to the corpus on its way into the index.

    `paths` are the files that it is about; `document_ids` what was read from them. `failed` means that nothing was;
    `skipped` says why, of each file that was not. `generation` is the index's first that shows the change.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_JOB]})
    id: str
    kind: Kind
    status: Status
    progress: float = Field(ge=0, le=1)
    message: str
    paths: list[str]
    document_ids: list[str]
    skipped: list[SkippedOut]
    created_at: str
    finished_at: str | None
    generation: int | None


class JobPage(BaseModel):
    """Jobs, the newest first; pass `next_cursor` as `cursor` for those before them."""

    jobs: list[JobOut]
    next_cursor: str | None


class PassageOut(BaseModel):
    """A passage of a document; `text` is the document's `text[start:end]`. `damaged` are spans of that text."""

    passage_id: str
    title: str
    heading_path: list[str]
    page: int | None
    paragraph: int
    start: int
    end: int
    text: str
    damaged: list[SpanPair]


class PassagePage(BaseModel):
    """Passages in reading order; pass `next_cursor` as `cursor` for those after them."""

    passages: list[PassageOut]
    next_cursor: str | None


class Health(BaseModel):
    """The process runs."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Questions can be answered, from this index."""

    status: Literal["ready"] = "ready"
    index: IndexOut


class Examples(BaseModel):
    """Questions that the documents answer."""

    questions: list[str]


class WhyNotRequest(BaseModel):
    """A question, and the document that was expected."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"query": EXAMPLE_QUESTION, "document": "seeds/002.txt"}]}
    )
    query: str = Field(description="The question, in any language")
    document: str = Field(min_length=1, max_length=MAX_FILTER_CHARS, description="An id, a path, or a file name")


class HeadingOut(BaseModel):
    """A heading. `level` is 0 for an article's title; `start` is its offset in the document's text, in code points."""

    title: str
    level: int
    start: int
    page: int | None


class PageStart(BaseModel):
    """Where a page begins."""

    page: int
    start: int


class Outline(BaseModel):
    """What a document is made of. `characters` is the length of its text; `passages` are spans of it."""

    document_id: str
    characters: int
    headings: list[HeadingOut]
    pages: list[PageStart]
    passages: list[SpanPair]


class MapParams(BaseModel):
    """What must be on the map."""

    model_config = ConfigDict(extra="forbid")
    passage_id: list[FilterText] = Field(
        default=[], max_length=MAX_TOP_K, description="`passage_id` of hits that are to be on the map in any case"
    )


class MapDocument(BaseModel):
    """A document on the map."""

    id: str
    title: str
    path: str
    collection: str


class MapPoint(BaseModel):
    """A dot on the map, `x` and `y` within -1 to 1: a document, or a passage of it where one is given.

    `document` is a place in `documents`, from 0; `heading` and `text` are the passage's nearest heading and beginning.
    """

    x: float
    y: float
    document: int
    passage_id: str | None = None
    start: int | None = None
    end: int | None = None
    heading: str | None = None
    text: str | None = None


class MapOut(BaseModel):
    """The map. `total` documents or passages are in the index; where there are more than `points`, it is a sample."""

    generation: int
    total: int
    documents: list[MapDocument]
    points: list[MapPoint]
