"""A model behind an OpenAI-compatible endpoint: `POST {base_url}/embeddings`.

The reply is `{"data": [{"index": 0, "embedding": [0.1, …]}, …]}`, one entry a text. Servers differ in how many texts
and how long ones they take; what one refuses as a whole is sent again in halves.
"""

from __future__ import annotations

import logging
import math
import threading
import time
import weakref
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from index.encoder.base import EncoderOptions, Prompts, Vectors, encode_worded, prompts_of
from index.errors import EncoderError
from index.pauses import pauses

if TYPE_CHECKING:
    from httpx2 import Client, Response

logger = logging.getLogger(__name__)

# What servers that set a limit take by default.
_BATCH_SIZE = 32
_CONNECT_TIMEOUT_S = 5.0
_QUERY_ATTEMPTS = 2
_DOCUMENT_ATTEMPTS = 5
_FIRST_WAIT_S = 0.5
# A server may ask for more patience than this; then a later run is better, which goes on where this one stopped.
_LONGEST_WAIT_S = 30.0
_REMEMBERED_QUERIES = 256
# How much of a reply an error quotes.
_QUOTED_CHARS = 100
# The shortest text that is worth shortening for a server that refuses it.
_SHORTEST_CHARS = 64
_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_TOO_MUCH = frozenset({400, 413, 422})


class EndpointEncoder:
    """A model that a server runs. Its prompts are those published for its name, unless given."""

    is_slow = True

    def __init__(self, model: str, base_url: str, options: EncoderOptions = EncoderOptions()) -> None:  # noqa: B008
        self._name = model
        self._url = f"{base_url.rstrip('/')}/embeddings"
        self._options = options
        self._learning = threading.Lock()
        self._dim: int | None = None
        self.prompts: Prompts = prompts_of(model, {}, options.query_prompt, options.document_prompt)
        self.encode_query = lru_cache(_REMEMBERED_QUERIES)(self._encode_query)

    def __reduce__(self) -> tuple[type[EndpointEncoder], tuple[str, str, EncoderOptions]]:
        """For another process, which reaches the server itself."""
        return EndpointEncoder, (self._name, self._url.removesuffix("/embeddings"), self._options)

    @property
    def batch_size(self) -> int:
        return self._options.batch_size or _BATCH_SIZE

    @property
    def fingerprint(self) -> str:
        # A server does not say which weights it runs, but other ones often give another dimension.
        prompt = self.prompts.document.text
        return f"{self._name}@{self._url.removesuffix('/embeddings')}:{self.dim}{f':{prompt!r}' if prompt else ''}"

    @property
    def dim(self) -> int:
        with self._learning:
            if self._dim is None:
                self._dim = self._request(["1"], _QUERY_ATTEMPTS).shape[1]
            return self._dim

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        prompt = self.prompts.document.text
        return encode_worded(texts, self.dim, lambda worded: self._encode(worded, prompt, _DOCUMENT_ATTEMPTS))

    def _encode_query(self, text: str) -> Vectors:
        prompt = self.prompts.query.text
        encoded: Vectors = encode_worded([text], self.dim, lambda worded: self._encode(worded, prompt, _QUERY_ATTEMPTS))
        encoded.setflags(write=False)
        vector: Vectors = encoded[0]
        return vector

    def _encode(self, texts: list[str], prompt: str, attempts: int) -> Vectors:
        """Vectors `(len(texts), dim)`, batch by batch."""
        parts = [
            self._encode_batch([f"{prompt}{text}" for text in texts[start : start + self.batch_size]], attempts)
            for start in range(0, len(texts), self.batch_size)
        ]
        vectors: Vectors = np.concatenate(parts)
        if vectors.shape[1] != self.dim:
            raise self._error(f"gave vectors of {vectors.shape[1]} dimensions where it gave {self.dim} before")
        return vectors

    def _encode_batch(self, texts: list[str], attempts: int) -> Vectors:
        try:
            return self._request(texts, attempts)
        except _TooMuchError as exc:
            if len(texts) > 1:
                half = len(texts) // 2
                parts = [self._encode_batch(part, attempts) for part in (texts[:half], texts[half:])]
                return self._stack(parts)
            if len(texts[0]) <= _SHORTEST_CHARS:
                raise
            # Longer than the model reads; what comes first says most, as with models that cut by themselves.
            logger.info("%s: shortening a text of %d characters: %s", self._url, len(texts[0]), exc)
            return self._encode_batch([texts[0][: len(texts[0]) // 2]], attempts)

    def _request(self, texts: list[str], attempts: int) -> Vectors:
        return self._vectors(self._post(texts, attempts), len(texts))

    def _post(self, texts: list[str], attempts: int) -> Response:
        """The server's reply, after as many attempts as it takes and is allowed."""
        import httpx2

        body = {"model": self._name, "input": texts, "encoding_format": "float"}
        for left, wait_s in zip(reversed(range(attempts)), pauses(_FIRST_WAIT_S, _LONGEST_WAIT_S), strict=False):
            try:
                response = self._client.post(self._url, json=body)
            except httpx2.TimeoutException as exc:
                if not left:
                    hint = "raise encoder.timeout_s or lower encoder.batch_size"
                    raise self._error(f"no answer within {self._options.timeout_s:g} s", hint) from exc
            except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
                if not left or isinstance(exc, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
                    raise self._error(f"can't be reached ({exc})", "check encoder.base_url, and that it runs") from exc
            else:
                if response.status_code not in _BUSY or not left:
                    return response
                wait_s = min(_retry_after(response) or wait_s, _LONGEST_WAIT_S)
            time.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def _vectors(self, response: Response, count: int) -> Vectors:
        """The vectors of a reply, in the order of the texts."""
        if not response.is_success:
            raise self._refusal(response)
        try:
            data = response.json()["data"]
            numbers = [item.get("index", place) for place, item in enumerate(data)]
            rows = [item["embedding"] for item in data]
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise self._error(f"gave no embeddings but {_short(response.text)!r}", "check encoder.base_url") from exc
        if sorted(numbers, key=str) != sorted(range(count), key=str):
            raise self._error(f"gave {len(rows)} vectors, numbered {_short(str(numbers))}, for {count} texts")
        return self._stack([self._row(rows[place]) for place in np.argsort(numbers)])

    def _row(self, numbers: Any) -> Vectors:  # noqa: ANN401 - whatever the server sent
        try:
            row = np.asarray(numbers, dtype=np.float32)
        except (TypeError, ValueError) as exc:
            raise self._error(f"gave a vector that holds no numbers: {_short(str(numbers))!r}") from exc
        if row.ndim != 1 or not row.size or not np.isfinite(row).all():
            raise self._error(f"gave a vector that is not a row of finite numbers: {_short(str(numbers))!r}")
        return row[None, :]

    def _stack(self, parts: list[Vectors]) -> Vectors:
        dims = sorted({part.shape[1] for part in parts})
        if len(dims) > 1:
            raise self._error(f"gave vectors of different dimensions {dims}")
        vectors: Vectors = np.concatenate(parts)
        return vectors

    def _refusal(self, response: Response) -> EncoderError:
        said = f"{response.status_code} {response.reason_phrase}: {_short(_message(response))}"
        if response.status_code in _TOO_MUCH:
            return _TooMuchError(str(self._error(f"refused the text with {said}")))
        hints = {
            401: "set QA_ENCODER_API_KEY",
            403: "check QA_ENCODER_API_KEY",
            429: "wait, then run it again",
            404: "check encoder.model and encoder.base_url, which usually ends in /v1",
        }
        return self._error(f"answered {said}", hints.get(response.status_code, "look at the server's log"))

    def _error(self, problem: str, hint: str = "use a server and a model that keep to OpenAI's API") -> EncoderError:
        return EncoderError(f"encoder.base_url: {self._url} {' '.join(problem.split())}; {hint}")

    @cached_property
    def _client(self) -> Client:
        import httpx2

        key = self._options.api_key
        client = httpx2.Client(
            timeout=httpx2.Timeout(self._options.timeout_s, connect=min(_CONNECT_TIMEOUT_S, self._options.timeout_s)),
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )
        weakref.finalize(self, client.close)
        return client


class _TooMuchError(EncoderError):
    """The server refuses these texts; it may take fewer or shorter ones."""


def _retry_after(response: Response) -> float | None:
    """Seconds that the server asks for; None where it asks for none, or gives a date."""
    try:
        wait_s = float(response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return wait_s if math.isfinite(wait_s) and wait_s >= 0 else None


def _message(response: Response) -> str:
    """What the server says is wrong: OpenAI's `error.message`, or the whole body."""
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return response.text


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _QUOTED_CHARS else f"{line[:_QUOTED_CHARS]}…"
