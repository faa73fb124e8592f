"""Requests and responses of OpenAI's chat completions, as far as they mean something here.

Shapes: https://platform.openai.com/docs/api-reference/chat. A token is counted as one character (code point). What
clients send beside what is known here is accepted and has no effect.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from qa.schemas import EXAMPLE_QUESTION, AskResponse, Citation

PLAIN_MODEL = "cited-qa"
MAX_MESSAGES = 1000
# A list that is too long is refused as a whole; one of 450,000 wrong parts took 2.5 s to explain.
MAX_PARTS = 1000

_TEXT_PARTS = ("text", "input_text", "output_text")


class ContentPart(BaseModel):
    """A part of a message; only text is read."""

    type: str
    text: str | None = None


class ChatMessage(BaseModel):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[ContentPart], Field(max_length=MAX_PARTS)] | None = None

    @property
    def text(self) -> str:
        """The text of the message, its parts on lines of their own."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text and part.type in _TEXT_PARTS)
        return self.content or ""

    @property
    def unreadable(self) -> str | None:
        """The kind of the first part that is not text: image_url, input_audio, file."""
        parts = self.content if isinstance(self.content, list) else ()
        return next((part.type for part in parts if part.type not in _TEXT_PARTS), None)


class StreamOptions(BaseModel):
    """What a stream is to hold beside the text."""

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """A conversation whose last message asks. Parameters such as temperature, tools or max_tokens have no effect."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": PLAIN_MODEL, "messages": [{"role": "user", "content": EXAMPLE_QUESTION}]}]
        },
    )
    model: str = Field(default=PLAIN_MODEL, description="`cited-qa`, or `cited-qa/<collection>` for one collection")
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    stream: bool | None = Field(default=None, description="Send the answer as server-sent events while it is made")
    stream_options: StreamOptions | None = None


class UrlCitation(BaseModel):
    """A source: `content[start_index:end_index]`, in code points, is what it is cited for, with its mark."""

    url: str
    title: str
    start_index: int
    end_index: int


class Annotation(BaseModel):
    """A citation in OpenAI's shape."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation


class Usage(BaseModel):
    """Characters of the messages and of the answer; nothing is charged here."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AssistantMessage(BaseModel):
    """The answer as Markdown, its sources as a list at the end and as annotations."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: list[Annotation] = []


class Choice(BaseModel):
    """The only choice: an answer from documents has no variants."""

    index: Literal[0] = 0
    message: AssistantMessage
    logprobs: None = None
    finish_reason: Literal["stop"] = "stop"


class Completion(BaseModel):
    """A chat completion. `citations`, each with its exact place, and `cited_qa`, as of `/v1/ask`, are ours alone."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    citations: list[Citation] = []
    cited_qa: AskResponse | None = None


class ModelEntry(BaseModel):
    """A model: all documents, or one collection."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["cited-qa"] = "cited-qa"


class ModelList(BaseModel):
    """The models there are."""

    object: Literal["list"] = "list"
    data: list[ModelEntry]
