"""A request that pydantic refuses, explained in one line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError

from qa.api.models import AskParams, DocumentsParams, IndexRequest, SliceParams
from qa.schemas import AskRequest, FilterSpec

_MAX_SHOWN_CHARS = 40
_FIELDS = {
    "body": {
        **{name: name for model in (AskRequest, IndexRequest) for name in model.model_fields},
        **{n: f"filters.{n}" for n in FilterSpec.model_fields},
    },
    "query": {name: name for model in (AskParams, DocumentsParams, SliceParams) for name in model.model_fields},
}


def is_malformed_json(error: RequestValidationError) -> bool:
    """Whether the body could not even be parsed."""
    return any(found["type"] == "json_invalid" for found in error.errors())


def explain(error: RequestValidationError, example: str) -> str:
    """What is wrong with which field, and what to do; one clause a field. `example` is a body that would do."""
    return "; ".join(dict.fromkeys(_explain_one(found, example) for found in error.errors()))


def _explain_one(found: Mapping[str, Any], example: str) -> str:
    place, *path = found["loc"]
    kind, field = found["type"], ".".join(str(part) for part in path)
    if kind == "json_invalid":
        return f"body: is not valid JSON: {found['ctx']['error']} at character {path[0]}; send one JSON object in UTF-8"
    if kind == "string_unicode":
        return f"{field or 'body'}: holds half of a surrogate pair; send whole Unicode characters"
    if not field:
        return f"body: must be a JSON object such as {example}, sent as Content-Type: application/json"
    if kind == "missing":
        return f"{field}: is missing; add it"
    if kind == "extra_forbidden":
        return f"{field}: {_hint(str(place), str(path[-1]))}"
    message = str(found["msg"])
    return f"{field}: {message[0].lower()}{message[1:]}{_shown(found.get('input'))}"


def _hint(place: str, name: str) -> str:
    fields = _FIELDS.get(place, {})
    near = difflib.get_close_matches(name, fields, n=1)
    return f"is not a known field; did you mean {fields[near[0]]!r}?" if near else "is not a known field; remove it"


def _shown(value: object) -> str:
    is_short = isinstance(value, str | int | float) and 0 < len(str(value)) <= _MAX_SHOWN_CHARS
    return f" (got {value})" if is_short else ""
