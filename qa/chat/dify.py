"""Dify's external knowledge API: https://docs.dify.ai/en/use-dify/knowledge/external-knowledge-api."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Annotated, Literal

from fastapi import APIRouter, Body
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from index.errors import QueryError
from index.types import DocumentInfo, Filters
from qa.answering.responses import passage_link
from qa.api.problems import documented, problem
from qa.api.startup import ENGINE_PROBLEMS, BaseUrl, Configured, ReadyEngine
from qa.chat.errors import KNOWLEDGE_NOT_FOUND, quoted
from qa.configuration.config import Config
from qa.engine import Engine
from qa.errors import EXIT_USAGE, Meaning
from qa.schemas import EXAMPLE_QUESTION, MAX_TOP_K, HitOut

router = APIRouter(tags=["chat"])

ALL_KNOWLEDGE = "cited-qa"
Values = tuple[str, ...]
Fits = Callable[[str], bool]
# Values that are tried one by one multiply with names, conditions and documents.
_MAX_TRIED = 100
_MAX_NAMES, _MAX_VALUES = 100, 10_000
# More can't be given to SQLite at once.
_MAX_DOCUMENTS = 30_000
# A hit's score is about 1 to 11. On our own questions nine in ten of the passages that hold the evidence have 5 or
# more, which becomes 0.5, Dify's own threshold, and half of the others less.
_MIDDLE, _SCALE = 5.0, 1.5

_NO_KNOWLEDGE = Meaning(404, EXIT_USAGE, KNOWLEDGE_NOT_FOUND, "There is no such knowledge")
_FIELDS: dict[str, Callable[[DocumentInfo], str]] = {
    "document_id": lambda info: info.id,
    "path": lambda info: info.path,
    "title": lambda info: info.title,
    "collection": lambda info: info.collection,
    "read_at": lambda info: info.read_at,
}


def _equals(values: Values) -> Fits:
    return frozenset(values).__contains__


def _contains(values: Values) -> Fits:
    return lambda held: any(value in held for value in values)


def _before(values: Values) -> Fits:
    last = max(values)
    return lambda held: held < last


def _after(values: Values) -> Fits:
    return lambda held: any(held[: len(value)] > value for value in values)


# Whether a text fits one of a condition's values; in one step for all of them where it can be.
_OPERATORS: dict[str, Callable[[Values], Fits]] = {
    "contains": _contains,
    "start with": lambda values: lambda held: held.startswith(values),
    "end with": lambda values: lambda held: held.endswith(values),
    "is": _equals,
    "=": _equals,
    "in": _equals,
    "empty": lambda values: lambda held: not held,
    "before": _before,
    "after": _after,
}
_OPPOSITES = {"not contains": "contains", "is not": "is", "≠": "=", "not in": "in", "not empty": "empty"}
_ALL_OPERATORS = (*_OPERATORS, *_OPPOSITES)
_DATES = ("before", "after")
_TRIED = ("contains", "after")


class RetrievalSetting(BaseModel):
    """How many records are wanted, and how good ones."""

    top_k: int = Field(ge=1, description=f"How many records at most; more than {MAX_TOP_K} never come")
    score_threshold: float | None = Field(default=None, ge=0, le=1, description="Records below this are left out")


class Condition(BaseModel):
    """A condition on a document."""

    name: str | Annotated[list[str], Field(max_length=_MAX_NAMES)] = Field(
        description=f"One of {', '.join(_FIELDS)}, or several, one of which has to fit"
    )
    comparison_operator: str = Field(description=f"One of {', '.join(_ALL_OPERATORS)}")
    value: str | Annotated[list[str], Field(max_length=_MAX_VALUES)] | None = None


class MetadataCondition(BaseModel):
    """Which documents to search."""

    logical_operator: Literal["and", "or"] | None = "and"
    conditions: list[Condition] | None = Field(default=None, max_length=100)


class RetrievalRequest(BaseModel):
    """A query to a knowledge: a collection, or `cited-qa` for all documents."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "knowledge_id": ALL_KNOWLEDGE,
                    "query": EXAMPLE_QUESTION,
                    "retrieval_setting": {"top_k": 3, "score_threshold": 0.5},
                }
            ]
        },
    )
    knowledge_id: str
    query: str
    retrieval_setting: RetrievalSetting
    metadata_condition: MetadataCondition | None = None


class DifyRecord(BaseModel):
    """A passage; `score` is 0 to 1, and `metadata` says where it stands."""

    content: str
    score: float
    title: str
    metadata: dict[str, str | int | float | bool | list[str]]


class Retrieval(BaseModel):
    """The passages that fit, best first."""

    records: list[DifyRecord]


@router.post(
    "/retrieval",
    summary="Retrieve for Dify",
    response_model=Retrieval,
    responses=documented("malformed-json", "not-found", "body-too-large", "invalid-request", *ENGINE_PROBLEMS),
)
def retrieve(
    request: Annotated[RetrievalRequest, Body()], engine: ReadyEngine, config: Configured, base_url: BaseUrl
) -> Retrieval | JSONResponse:
    """Return the passages that fit a query, as Dify's external knowledge API defines it.

    `score` is the hit's own score brought between 0 and 1 by a logistic function, or the reranker's where one is
    configured.
    """
    filters = _filters(request.knowledge_id, config)
    if filters is None:
        known = ", ".join([ALL_KNOWLEDGE, *config.corpus])
        return problem(
            _NO_KNOWLEDGE, f"the knowledge {quoted(request.knowledge_id)} does not exist; there are: {known}"
        )
    if request.metadata_condition and request.metadata_condition.conditions:
        fitting = _fitting(engine, request.metadata_condition)
        if not fitting:
            return Retrieval(records=[])
        filters = Filters(filters.collection, fitting)
    setting = request.retrieval_setting
    response = engine.search(request.query, top_k=min(setting.top_k, MAX_TOP_K), filters=filters)
    records = [_record(hit, _relevance(hit, engine), base_url) for hit in response.hits]
    return Retrieval(records=[record for record in records if record.score >= (setting.score_threshold or 0.0)])


def _filters(knowledge_id: str, config: Config) -> Filters | None:
    if knowledge_id in config.corpus:
        return Filters(collection=(knowledge_id,))
    return Filters() if knowledge_id == ALL_KNOWLEDGE else None


def _relevance(hit: HitOut, engine: Engine) -> float:
    if engine.reranker is not None:
        return round(min(1.0, max(0.0, hit.score)), 4)
    return round(1 / (1 + math.exp((_MIDDLE - hit.score) / _SCALE)), 4)


def _record(hit: HitOut, score: float, base_url: str) -> DifyRecord:
    place = {
        "path": hit.path,
        "collection": hit.collection,
        "document_id": hit.document_id,
        "passage_id": hit.passage_id,
        "heading_path": hit.heading_path,
        "page": hit.page,
        "paragraph": hit.paragraph,
        "start": hit.start,
        "end": hit.end,
        "url": passage_link(hit.document_id, hit.start, hit.end, base_url),
        "read_at": hit.read_at,
        "stale": hit.stale,
    }
    known = {name: value for name, value in place.items() if value is not None}
    return DifyRecord(content=hit.text, score=score, title=hit.title, metadata=known)


def _fitting(engine: Engine, wanted: MetadataCondition) -> tuple[str, ...]:
    """The ids of the documents that fit; raises QueryError for a condition that can't be tested."""
    assert wanted.conditions
    tests = [_test(condition, f"metadata_condition.conditions.{n}") for n, condition in enumerate(wanted.conditions)]
    together = any if wanted.logical_operator == "or" else all
    fitting = tuple(info.id for info in engine.documents() if together(test(info) for test in tests))
    if len(fitting) > _MAX_DOCUMENTS:
        raise QueryError(f"metadata_condition: fits {len(fitting)} documents; ask for {_MAX_DOCUMENTS} at most")
    return fitting


def _test(condition: Condition, place: str) -> Callable[[DocumentInfo], bool]:
    """A condition as a function of a document."""
    names = list(dict.fromkeys(condition.name if isinstance(condition.name, list) else [condition.name]))
    operator, value = condition.comparison_operator, condition.value
    for name in names:
        _check(name in _FIELDS, f"{place}.name", name, _FIELDS)
    _check(operator in _ALL_OPERATORS, f"{place}.comparison_operator", operator, _ALL_OPERATORS)
    if operator in _DATES and names != ["read_at"]:
        raise QueryError(f"{place}.name: {operator!r} compares dates; only read_at is one, as in 2026-11-21")
    affirmed = _OPPOSITES.get(operator, operator)
    if value is None and affirmed != "empty":
        raise QueryError(f"{place}.value: is missing; add it")
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")] if affirmed == "in" else [value]
    values = tuple(dict.fromkeys(value or [""]))
    if len(values) > _MAX_TRIED and affirmed in _TRIED:
        raise QueryError(f"{place}.value: has {len(values)} values; {operator!r} takes {_MAX_TRIED} at most")
    holds = _OPERATORS[affirmed](values)

    def test(info: DocumentInfo) -> bool:
        return any(holds(_FIELDS[name](info)) for name in names) == (operator == affirmed)

    return test


def _check(is_known: bool, place: str, name: str, known: Iterable[str]) -> None:
    if not is_known:
        raise QueryError(f"{place}: {quoted(name)} is not known here; there are: {', '.join(known)}")
