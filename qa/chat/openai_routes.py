"""OpenAI's chat completions over the engine, for clients that speak nothing else: in one piece, or as a stream."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cache
from itertools import chain
from threading import Event
from time import time
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Body
from fastapi.responses import JSONResponse, StreamingResponse

from index.errors import CitedQAError, QueryError
from index.types import Filters
from qa.api.problems import INTERNAL, Responses, documented, problem, problem_body
from qa.api.sse import HEARTBEAT, MEDIA_TYPE, EventStream, in_thread
from qa.api.startup import ENGINE_PROBLEMS, BaseUrl, Configured, ServerStartup
from qa.chat.card import without_sources
from qa.chat.client_tasks import task_answer, user_question
from qa.chat.errors import MODEL_NOT_FOUND, openai_error, quoted
from qa.chat.openai_models import (
    PLAIN_MODEL,
    Annotation,
    AssistantMessage,
    ChatMessage,
    ChatRequest,
    Choice,
    Completion,
    ModelEntry,
    ModelList,
    UrlCitation,
    Usage,
)
from qa.chat.reply import Reply, reply_parts
from qa.configuration.config import Config
from qa.errors import EXIT_USAGE, MEANINGS, Meaning, meaning
from qa.schemas import MAX_ANSWER_CHARS, MAX_QUERY_CHARS, MAX_TURNS
from qa.understanding.conversation import Turn

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/v1", tags=["chat"])

_NO_MODEL = Meaning(404, EXIT_USAGE, MODEL_NOT_FOUND, "There is no such model")
_EVENTS_CONTENT: dict[str, Any] = {
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
_ANSWERED: Responses = {
    200: {"description": "The answer as a chat completion", "content": {"application/json": {}, **_EVENTS_CONTENT}}
}


@router.get("/models", summary="List the models")
async def list_models(config: Configured) -> ModelList:
    """List the models: `cited-qa` answers from all documents, `cited-qa/<collection>` from one collection."""
    return ModelList(data=[ModelEntry(id=name, created=_started_at()) for name in _models(config)])


@router.get(
    "/models/{model:path}", summary="Describe a model", response_model=ModelEntry, responses=documented("not-found")
)
async def get_model(model: str, config: Configured) -> ModelEntry | JSONResponse:
    """Describe a model, or say that there is none of this name."""
    return ModelEntry(id=model, created=_started_at()) if model in _models(config) else _unknown(model, config)


@router.post(
    "/chat/completions",
    summary="Answer a chat",
    response_model=Completion,
    responses={
        **_ANSWERED,
        **documented("malformed-json", "not-found", "body-too-large", "invalid-request", *ENGINE_PROBLEMS),
    },
)
def complete(
    request: Annotated[ChatRequest, Body()], config: Configured, startup: ServerStartup, base_url: BaseUrl
) -> Completion | JSONResponse | StreamingResponse:
    """Answer the last message of a chat from the documents, as OpenAI's API would.

    Earlier messages make a follow-up understood; those of the system are not read. The answer is Markdown with its
    sources as a list at the end, as `annotations` of the message, and natively as `citations` and `cited_qa`. When the
    documents hold no answer, the message says so. Titles, tags and the like that clients ask for by themselves are
    made from the conversation alone.
    """
    models = _models(config)
    if request.model not in models:
        return _unknown(request.model, config)
    stop = Event()
    own = task_answer(request.messages)
    if own is not None:
        # What a conversation holds may be half of a surrogate pair.
        own = own.encode("utf-8", "replace").decode()
        parts = iter((own, Reply(own)))
    else:
        question, history = _asked(request.messages)
        answer = startup.engine.stream(question, filters=models[request.model], history=history, stop=stop)
        # The first part is asked for here, so that an error is still an ordinary response.
        parts = reply_parts(chain([next(answer)], answer), base_url)
    writer = CompletionWriter(request)
    if request.stream:
        return writer.stream(parts, stop)
    *_, reply = parts
    assert isinstance(reply, Reply)
    return writer.completion(reply)


def _models(config: Config) -> dict[str, Filters]:
    """The names of the models, and what each limits the search to."""
    collections = {f"{PLAIN_MODEL}/{name}": Filters(collection=(name,)) for name in config.corpus}
    return {PLAIN_MODEL: Filters(), **collections}


def _unknown(model: str, config: Config) -> JSONResponse:
    return problem(_NO_MODEL, f"the model {quoted(model)} does not exist; there are: {', '.join(_models(config))}")


def _asked(messages: Sequence[ChatMessage]) -> tuple[str, list[Turn]]:
    """The question that ends a chat, and the turns before it.

    Raises:
        QueryError: there is no question, or more than text.
    """
    last = next((number for number in reversed(range(len(messages))) if messages[number].role == "user"), None)
    if last is None:
        raise QueryError("messages: hold no message of the user; add one with the question")
    field = f"messages.{last}.content"
    if kind := messages[last].unreadable:
        raise QueryError(f"{field}: holds {kind}; only text is read, so ask in words")
    question = user_question(messages[last].text).strip()
    if not question:
        raise QueryError(f"{field}: is empty; ask a question")
    if len(question) > MAX_QUERY_CHARS:
        raise QueryError(f"{field}: has {len(question)} characters; at most {MAX_QUERY_CHARS} are accepted")
    return question, _turns(messages[:last])


def _turns(messages: Sequence[ChatMessage]) -> list[Turn]:
    """Earlier questions with what was answered; what is too long to be one is left out."""
    turns: list[Turn] = []
    for message in messages:
        if message.role == "user":
            turns.append(Turn(user_question(message.text)))
        elif message.role == "assistant" and turns:
            turns[-1] = Turn(turns[-1].question, without_sources(message.text)[:MAX_ANSWER_CHARS])
    return [turn for turn in turns if 0 < len(turn.question.strip()) <= MAX_QUERY_CHARS][-MAX_TURNS:]


@cache
def _started_at() -> int:
    """When this server began to be asked, in seconds since 1970; a model has no other date."""
    return int(time())


class CompletionWriter:
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
            yield self._chunk({"annotations": [each.model_dump() for each in annotations]}, **_native(reply))
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
