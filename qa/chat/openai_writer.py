"""Chat completions written out: in one piece, or as a stream of chunks."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from functools import cache
from threading import Event
from time import time
from typing import Any
from uuid import uuid4

from fastapi.responses import StreamingResponse

from index.errors import CitedQAError
from qa.api.problems import INTERNAL, problem_body
from qa.api.sse import HEARTBEAT, MEDIA_TYPE, EventStream, in_thread
from qa.chat.errors import openai_error
from qa.chat.openai_models import Annotation, AssistantMessage, ChatRequest, Choice, Completion, UrlCitation, Usage
from qa.chat.reply import Reply
from qa.errors import MEANINGS, meaning

logger = logging.getLogger(__name__)

EVENTS_CONTENT: dict[str, Any] = {
    MEDIA_TYPE: {
        "schema": {
            "type": "object",
            "description": "With `stream`: chunks of the completion as JSON, then `[DONE]`",
            "properties": {"data": {"type": "string"}},
            "required": ["data"],
        },
        "example": 'data: {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "…"}}]}\n\n'
        "data: [DONE]\n\n",
    }
}
_DONE = b"data: [DONE]\n\n"


@cache
def started_at() -> int:
    """When this server began to be asked, in seconds since 1970; a model has no other date."""
    return int(time())


class Writer:
    """Writes the answer to one request."""

    def __init__(self, request: ChatRequest) -> None:
        self._model = request.model
        self._prompt_tokens = sum(len(message.text) for message in request.messages)
        self._has_usage = bool(request.stream_options and request.stream_options.include_usage)
        self._id = f"chatcmpl-{uuid4().hex}"
        self._created = int(time())

    def completion(self, reply: Reply) -> Completion:
        """The answer in one piece."""
        message = AssistantMessage(content=reply.content, annotations=_annotations(reply))
        return Completion(
            id=self._id,
            created=self._created,
            model=self._model,
            choices=[Choice(message=message)],
            usage=self._usage(reply.content),
            **_native(reply),
        )

    def stream(self, parts: Iterator[str | Reply], stop: Event) -> StreamingResponse:
        """The answer as it comes; `stop` is set when nobody reads it any more."""
        return EventStream(self._events(parts, stop), stop)

    async def _events(self, parts: Iterator[str | Reply], stop: Event) -> AsyncIterator[bytes]:
        yield self._chunk({"role": "assistant", "content": ""})
        try:
            async for part in in_thread(parts, stop):
                if part is None:
                    yield HEARTBEAT
                elif isinstance(part, str):
                    yield self._chunk({"content": part})
                else:
                    for event in self._end(part):
                        yield event
        except CitedQAError as exc:
            yield _event(openai_error(problem_body(meaning(exc), str(exc))).model_dump())
        except Exception:
            logger.exception("a streamed answer failed")
            yield _event(openai_error(problem_body(MEANINGS[CitedQAError], INTERNAL)).model_dump())

    def _end(self, reply: Reply) -> Iterator[bytes]:
        if annotations := _annotations(reply):
            yield self._chunk({"annotations": [found.model_dump() for found in annotations]}, **_native(reply))
        yield self._chunk({}, finish_reason="stop", **({} if annotations else _native(reply)))
        if self._has_usage:
            yield self._chunk(None, usage=self._usage(reply.content).model_dump())
        yield _DONE

    def _chunk(self, delta: dict[str, Any] | None, finish_reason: str | None = None, **more: Any) -> bytes:  # noqa: ANN401
        """One event. Only the last one, which has no choice, says what was used."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if self._has_usage else {}
        return _event(
            {
                "id": self._id,
                "object": "chat.completion.chunk",
                "created": self._created,
                "model": self._model,
                "choices": [] if delta is None else [choice],
                **usage,
                **more,
            }
        )

    def _usage(self, content: str) -> Usage:
        asked, said = self._prompt_tokens, len(content)
        return Usage(prompt_tokens=asked, completion_tokens=said, total_tokens=asked + said)


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _annotations(reply: Reply) -> list[Annotation]:
    return [
        Annotation(
            url_citation=UrlCitation(
                url=place.citation.url, title=place.citation.title, start_index=place.start, end_index=place.end
            )
        )
        for place in reply.places
    ]


def _native(reply: Reply) -> dict[str, Any]:
    """What only this server has, as fields beside OpenAI's."""
    if reply.response is None:
        return {}
    response = reply.response.model_dump(mode="json")
    return {"citations": response["citations"], "cited_qa": response}
