"""Reading server-sent events in tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx


def events(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and data of the events of a streamed response, as they come; comments are left out."""
    name = ""
    for line in response.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def text_of(deltas: list[dict[str, Any]]) -> str:
    """What a client that follows the deltas shows in the end."""
    shown = ""
    for delta in deltas:
        shown = delta["text"] if delta["replace"] else shown + delta["text"]
    return shown
