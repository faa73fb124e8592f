"""Query parameters, and the responses that only HTTP has."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from qa.schemas import (
    DEFAULT_TOP_K,
    EXAMPLE_QUESTION,
    MAX_TOP_K,
    MAX_TURNS,
    AnswerKind,
    AskRequest,
    FilterSpec,
    HistoryText,
    IndexOut,
)

MAX_PAGE = 1000
DEFAULT_PAGE = 100


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
            query=self.q, top_k=self.top_k, filters=self, explain=self.explain, answer=self.answer,
            history=list(self.history),
        )  # fmt: skip


class DocumentsParams(BaseModel):
    """Which page of the documents."""

    model_config = ConfigDict(extra="forbid")
    limit: int = Field(default=DEFAULT_PAGE, ge=1, le=MAX_PAGE, description="How many documents to return")
    cursor: str = Field(default="", description="`next_cursor` of the page before; absent for the first page")


class SliceParams(BaseModel):
    """A stretch of a document's text, in code points, as in a citation."""

    model_config = ConfigDict(extra="forbid")
    start: int = Field(default=0, ge=0, description="The first character, counted from 0")
    end: int | None = Field(default=None, ge=0, description="One past the last character; absent: to the end")


class Health(BaseModel):
    """The process runs."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Questions can be answered, from this index."""

    status: Literal["ready"] = "ready"
    index: IndexOut
