"""What every encoder gives, and how one that is not bundled is set up: its options, and the prompts that it wants.

A prompt is put before a question or a document. Most models that want any have them in their configuration, under names
of their own. Some well-known families state them only on their model cards, and a server that gives embeddings adds
none; without them such a model finds less.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from index.errors import EncoderError

Vectors = NDArray[np.float32]

_SHORTEST = 1e-9

_E5 = ("query: ", "passage: ")
_BGE_ZH = ("为这个句子生成表示以用于检索相关文章：", "")
_BGE_EN = ("Represent this sentence for searching relevant passages: ", "")
_INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
# As the model cards say, by the last part of the model's name; the first that fits counts.
_PUBLISHED = (
    (r"(multilingual-)?e5-.*instruct", (f"{_INSTRUCT} ", "")),
    (r"(multilingual-)?e5-", _E5),
    (r"bge-(small|base|large)-zh", _BGE_ZH),
    (r"bge-(small|base|large)-en|mxbai-embed-large", _BGE_EN),
    (r"qwen3-embedding", (_INSTRUCT, "")),
    (r"nomic-embed-text", ("search_query: ", "search_document: ")),
    (r"embeddinggemma", ("task: search result | query: ", "title: none | text: ")),
)
# The names that models give to their prompts, the first that is there counts.
_QUERY_NAMES = ("query", "retrieval.query", "Retrieval-query", "search_query", "s2p_query")
_DOCUMENT_NAMES = (
    "document",
    "passage",
    "corpus",
    "retrieval.passage",
    "retrieval.document",
    "Retrieval-document",
    "search_document",
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Text before every text of a kind, and the name that the model has for it, if it has one."""

    text: str = ""
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Prompts:
    """What is put before a question and before document text."""

    query: Prompt = Prompt()
    document: Prompt = Prompt()


class Encoder(Protocol):
    """Anything that turns text into vectors which can be compared by dot product."""

    @property
    def fingerprint(self) -> str:
        """Name and version of the model: vectors with different fingerprints must not be compared."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def prompts(self) -> Prompts:
        """What is put before a question and before document text."""

    @property
    def batch_size(self) -> int:
        """How many texts are best given to one call of `encode_documents`."""

    @property
    def is_slow(self) -> bool:
        """Whether a vector is quicker read from disk than made again."""

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Vectors of document text: float32 `(len(texts), dim)`, unit length, all zero for text without words."""

    def encode_query(self, text: str) -> Vectors:
        """The vector of one question: float32 `(dim,)`, unit length, all zero for text without words."""


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """How a model other than the bundled one is reached and run; None leaves it to the model.

    `base_url` makes it an OpenAI-compatible endpoint. A prompt is put before each text; "" is none at all.
    """

    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 60.0
    batch_size: int | None = None
    device: str | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    trust_remote_code: bool = False


def unit_length(vectors: Vectors) -> Vectors:
    """Rows at unit length; rows of no length become zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    divisors = np.where(lengths > _SHORTEST, lengths, np.inf).astype(np.float32)
    scaled: Vectors = vectors / divisors
    return scaled


def row_sums(rows: Vectors, chosen: NDArray[np.int64], counts: NDArray[np.int64]) -> Vectors:
    """For each count the sum of so many rows, as `chosen` names them, one run after the other."""
    # All first rows, all second ones, ... in a tenth of the time that numpy.add.reduceat takes.
    longest_first = np.argsort(-counts, kind="stable")
    firsts = (np.cumsum(counts) - counts)[longest_first]
    having = np.searchsorted(-counts[longest_first], -np.arange(counts.max(initial=0)))
    sums = np.zeros((len(counts), rows.shape[1]), dtype=np.float32)
    for number, runs in enumerate(having.tolist()):
        sums[:runs] += rows.take(chosen[firsts[:runs] + number], axis=0)
    ordered = np.empty_like(sums)
    ordered[longest_first] = sums
    return ordered


def encode_worded(texts: Sequence[str], dim: int, encode: Callable[[list[str]], Vectors]) -> Vectors:
    """Unit vectors of texts; `encode` sees those that hold a letter or digit, the others are zero.

    A model gives punctuation a vector too, which is near to anything, and an endpoint may refuse empty text.

    Raises:
        EncoderError: `encode` gave vectors that are not finite.
    """
    worded = [row for row, text in enumerate(texts) if any(map(str.isalnum, text))]
    vectors = np.zeros((len(texts), dim), dtype=np.float32)
    if worded:
        encoded = encode([texts[row] for row in worded])
        if not np.isfinite(encoded).all():
            raise EncoderError("encoder.model: gave a vector that is not finite; choose another model or precision")
        vectors[worded] = unit_length(encoded)
    return vectors


def prompts_of(model: str, own: Mapping[str, str], query: str | None, document: str | None) -> Prompts:
    """The prompts to use: `query` and `document` where given, else the model's `own`, else the published ones.

    The published ones are for a model that holds no prompt of its own.
    """
    if any(own.values()):
        chosen = Prompts(_first(own, _QUERY_NAMES), _first(own, _DOCUMENT_NAMES))
    else:
        chosen = _published(model)
    return Prompts(
        chosen.query if query is None else Prompt(query), chosen.document if document is None else Prompt(document)
    )


def _first(own: Mapping[str, str], names: tuple[str, ...]) -> Prompt:
    # A model that has a prompt called "passage" gets an empty "document" from sentence-transformers: pass it over.
    return next((Prompt(own[name], name) for name in names if own.get(name)), Prompt())


def _published(model: str) -> Prompts:
    # A server may add a tag, as in `bge-large-zh-v1.5:latest`.
    name = re.split(r"[/\\]", model.rstrip("/\\"))[-1].lower()
    for pattern, (query, document) in _PUBLISHED:
        if re.match(pattern, name):
            return Prompts(Prompt(query), Prompt(document))
    return Prompts()
