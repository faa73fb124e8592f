"""The words that a model wants before a question or a document.

Most models that want any have them in their configuration, under names of their own. Some well-known families state
them only on their model cards, and a server that gives embeddings adds none; without them such a model finds less.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

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


def prompts_of(model: str, own: Mapping[str, str], query: str | None, document: str | None) -> Prompts:
    """The prompts to use: `query` and `document` where given, else the model's `own`, else the published ones.

    The published ones are for a model that holds no prompt of its own.
    """
    if any(own.values()):
        found = Prompts(_first(own, _QUERY_NAMES), _first(own, _DOCUMENT_NAMES))
    else:
        found = _published(model)
    return Prompts(
        found.query if query is None else Prompt(query), found.document if document is None else Prompt(document)
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
