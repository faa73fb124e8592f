"""OpenAI's chat completions over the engine, for clients that speak nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from threading import Event
from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import JSONResponse, StreamingResponse

from index.errors import QueryError
from index.types import Filters
from qa.api.deps import ENGINE_PROBLEMS, BaseUrl, Configured, ServerStartup
from qa.api.problems import Responses, documented, problem
from qa.chat.card import without_sources
from qa.chat.client_tasks import task_answer, user_question
from qa.chat.errors import MODEL_NOT_FOUND
from qa.chat.openai_models import PLAIN_MODEL, ChatRequest, Completion, Message, Model, ModelList
from qa.chat.openai_writer import EVENTS_CONTENT, Writer, started_at
from qa.chat.reply import Reply, reply_parts
from qa.configuration.config import Config
from qa.errors import EXIT_USAGE, Meaning
from qa.schemas import MAX_ANSWER_CHARS, MAX_QUERY_CHARS, MAX_TURNS
from qa.understanding.conversation import Turn

router = APIRouter(prefix="/v1", tags=["chat"])

_NO_MODEL = Meaning(404, EXIT_USAGE, MODEL_NOT_FOUND, "There is no such model")
_ANSWERED: Responses = {
    200: {"description": "The answer as a chat completion", "content": {"application/json": {}, **EVENTS_CONTENT}}
}


@router.get("/models", summary="List the models")
async def list_models(config: Configured) -> ModelList:
    """List the models: `cited-qa` answers from all documents, `cited-qa/<collection>` from one collection."""
    return ModelList(data=[Model(id=name, created=started_at()) for name in _models(config)])


@router.get("/models/{model:path}", summary="Describe a model", response_model=Model, responses=documented("not-found"))
async def get_model(model: str, config: Configured) -> Model | JSONResponse:
    """Describe a model, or say that there is none of this name."""
    return Model(id=model, created=started_at()) if model in _models(config) else _unknown(model, config)


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
    made = task_answer(request.messages)
    if made is not None:
        parts = iter((made, Reply(made)))
    else:
        question, history = _asked(request.messages)
        found = startup.engine.stream(question, filters=models[request.model], history=history, stop=stop)
        # The first part is asked for here, so that an error is still an ordinary response.
        parts = reply_parts(chain([next(found)], found), base_url)
    writer = Writer(request)
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
    return problem(_NO_MODEL, f"the model {model!r} does not exist; there are: {', '.join(_models(config))}")


def _asked(messages: Sequence[Message]) -> tuple[str, list[Turn]]:
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


def _turns(messages: Sequence[Message]) -> list[Turn]:
    """Earlier questions with what was answered; what is too long to be one is left out."""
    turns: list[Turn] = []
    for message in messages:
        if message.role == "user":
            turns.append(Turn(user_question(message.text)))
        elif message.role == "assistant" and turns:
            turns[-1] = Turn(turns[-1].question, without_sources(message.text)[:MAX_ANSWER_CHARS])
    return [turn for turn in turns if 0 < len(turn.question.strip()) <= MAX_QUERY_CHARS][-MAX_TURNS:]
