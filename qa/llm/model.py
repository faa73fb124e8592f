"""The language model behind an OpenAI-compatible endpoint, with limits on its time and one name for each failure.

The official SDK is imported when the model is first asked. It runs in an event loop of its own thread: there every
wait can be cut short, whatever the server does or leaves undone, and a caller in any thread can give up.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections.abc import Coroutine, Generator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from qa.schemas import MAX_ANSWER_CHARS, Failure

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream
    from openai.types.chat import ChatCompletionChunk

    from qa.configuration.settings import LlmConfig

logger = logging.getLogger(__name__)

# How often a call looks whether anyone still waits for it.
_POLL_S = 0.1
_CLOSING_S = 5.0
_PROBE_TIMEOUT_S = 3.0
# How long a server may take to end a reply once the answer is whole.
_DRAINING_S = 1.0
# How much of a server's reply the log quotes.
_QUOTED_CHARS = 200
_TOO_MANY, _SERVER_ERROR = 429, 500

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """A part of the conversation with a model; `role` is system or user."""

    role: str
    content: str


class ModelError(Exception):
    """The model gave no whole answer. `detail` may be shown to anyone: it says nothing of addresses and keys.

    `status` is that of the server's reply where it was an error, else 0.
    """

    def __init__(self, reason: Failure, detail: str, status: int = 0) -> None:
        super().__init__(detail)
        self.reason: Failure = reason
        self.detail = detail
        self.status = status


class LanguageModel:
    """A model that can be asked from many threads at once. Connections are kept between questions."""

    def __init__(self, options: LlmConfig) -> None:
        self._options = options
        self._connecting = threading.Lock()
        self._made: _Connection | None = None

    def prepare(self) -> None:
        """Import the SDK and make its client, which takes half a second; no request is made."""
        _ = self._connection

    @property
    def _connection(self) -> _Connection:
        with self._connecting:
            if self._made is None:
                self._made = _Connection(self._options)
                weakref.finalize(self, self._made.close)
            return self._made

    def models(self) -> list[str]:
        """The names of the models that the endpoint has.

        Raises:
            ModelError: it can't be reached or doesn't say.
        """
        return self._connection.start(self._connection.models()).result()

    def ask(self, messages: Sequence[PromptMessage], stop: threading.Event | None = None) -> Generator[str]:
        """The answer in parts as they come. The request is on its way when this returns.

        It ends when `stop` is set, or when the iterator is closed; then the request is cancelled.

        Raises:
            ModelError: while iterating, where the answer fails or breaks off.
        """
        received: _Received = SimpleQueue()
        connection = self._connection
        return _parts(received, connection.start(connection.answer(messages, received, stop)))


_Received = SimpleQueue[str | ModelError | None]


@dataclass(slots=True)
class _Progress:
    chars: int = 0
    is_over: bool = False


def _parts(received: _Received, call: Future[None]) -> Generator[str]:
    is_over = False
    try:
        while (part := received.get()) is not None:
            if isinstance(part, ModelError):
                raise part
            yield part
        is_over = True
    finally:
        if not is_over:
            call.cancel()


class _Connection:
    """The SDK's client and the event loop that it lives in."""

    def __init__(self, options: LlmConfig) -> None:
        from openai import AsyncOpenAI, AsyncStream
        from openai.types.chat import ChatCompletionChunk

        self._chunk, self._chunks = ChatCompletionChunk, AsyncStream[ChatCompletionChunk]
        self._options = options
        self._key = options.api_key.get_secret_value() if options.api_key else ""
        # Without a key the SDK would look for one of its own in the environment.
        self._client: AsyncOpenAI = AsyncOpenAI(
            base_url=options.base_url, api_key=self._key or "none", max_retries=0, timeout=options.timeout_s
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="qa-model", daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin some work; cancelling the future ends it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        with suppress(TimeoutError):
            self.start(self._finish()).result(_CLOSING_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _finish(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.close()

    async def models(self) -> list[str]:
        """The names of the models that the endpoint lists; raises ModelError."""
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                return [model.id async for model in self._client.models.list()]
        except Exception as exc:
            raise self._failure(exc, False) from exc

    async def answer(
        self, messages: Sequence[PromptMessage], received: _Received, stop: threading.Event | None
    ) -> None:
        """Put the parts of the answer into a queue, or what went wrong, and None however it ends."""
        progress = _Progress()
        watching = asyncio.create_task(_cancel_when_set(stop, asyncio.current_task())) if stop else None
        try:
            await self._read(messages, received, progress)
        except ModelError as exc:
            logger.info("%s", exc)
            received.put(exc)
        # Whatever a server can make the SDK raise is a failure of the model, never one of the question.
        except Exception as exc:
            if not progress.is_over:
                received.put(self._failure(exc, progress.chars > 0))
        finally:
            received.put(None)
            if watching:
                watching.cancel()

    async def _read(self, messages: Sequence[PromptMessage], received: _Received, progress: _Progress) -> None:
        options, clock = self._options, asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(options.timeout_s), asyncio.timeout(options.idle_timeout_s) as idle:
                async with await self._request(messages) as chunks:
                    async for chunk in chunks:
                        text, finish = _content(chunk)
                        if finish == "content_filter":
                            raise ModelError("filtered", "the language model's provider withheld the answer")
                        progress.chars += len(text)
                        if progress.chars > MAX_ANSWER_CHARS:
                            raise ModelError("invalid", f"the language model wrote over {MAX_ANSWER_CHARS} characters")
                        if text:
                            received.put(text)
                        if finish and not progress.is_over:
                            # The answer is whole; the rest is read only so that the connection can be used again.
                            progress.is_over = True
                            received.put(None)
                        idle.reschedule(clock() + (_DRAINING_S if progress.is_over else options.idle_timeout_s))
        except TimeoutError as exc:
            if not progress.is_over:
                raise self._too_slow(idle.expired()) from exc
        if not progress.is_over:
            raise ModelError("interrupted", "the language model's answer broke off")

    def _too_slow(self, is_idle: bool) -> ModelError:
        limit, key, what = (
            (self._options.idle_timeout_s, "llm.idle_timeout_s", "sent nothing")
            if is_idle
            else (self._options.timeout_s, "llm.timeout_s", "did not finish")
        )
        return ModelError("timeout", f"the language model {what} within {limit:g} s ({key})")

    async def _request(self, messages: Sequence[PromptMessage]) -> AsyncStream[ChatCompletionChunk]:
        given = {"max_tokens": self._options.max_tokens, "temperature": self._options.temperature}
        body = {
            "model": self._options.model,
            "stream": True,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            **{name: value for name, value in given.items() if value is not None},
        }
        # As chat.completions.create sends it, which first looks through all messages for what it might convert.
        return await self._client.post(
            "/chat/completions", body=body, stream=True, cast_to=self._chunk, stream_cls=self._chunks
        )

    def _failure(self, error: Exception, has_begun: bool) -> ModelError:
        """What an error of the SDK, or of what is below it, comes to. The log has more than the caller is told."""
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        said = " ".join(str(error).split())
        said = said.replace(self._key, "…") if self._key else said
        logger.info("the language model at %s failed: %s", self._options.base_url, said[:_QUOTED_CHARS])
        status = error.status_code if isinstance(error, APIStatusError) else 0
        if isinstance(error, TimeoutError | APITimeoutError):
            return ModelError("timeout", "the language model did not answer in time")
        if status == _TOO_MANY:
            return ModelError("rate_limited", "the language model's server takes no more requests for now (429)")
        if status:
            return ModelError(
                "server_error" if status >= _SERVER_ERROR else "refused",
                f"the language model's server answered with status {status}",
                status,
            )
        if has_begun:
            return ModelError("interrupted", "the language model's answer broke off")
        if isinstance(error, APIConnectionError):
            return ModelError("unreachable", "the language model's server can't be reached")
        return ModelError("invalid", "the language model's server sent what can't be read as an answer")


async def _cancel_when_set(stop: threading.Event, task: asyncio.Task[None] | None) -> None:
    """End a task when nobody waits for it any more, whatever its caller is doing."""
    while not stop.is_set():  # noqa: ASYNC110 - an event of threads can't be awaited
        await asyncio.sleep(_POLL_S)
    if task:
        task.cancel()


def _content(chunk: ChatCompletionChunk) -> tuple[str, str]:
    """The text in a chunk, and why the answer ends there, both empty where there is none."""
    if not chunk.choices:
        return "", ""  # usage figures come without a choice
    choice = chunk.choices[0]
    text = choice.delta.content if choice.delta else None
    if text is not None and not isinstance(text, str):
        raise ValueError(f"content is no text: {text!r}")
    return text or "", choice.finish_reason or ""
