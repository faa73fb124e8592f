"""What a test starts marks it, so that `just fast` can leave it out: a server, a browser, a process."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import pytest

# Who uses a name on the left, itself or over helpers and fixtures, has the mark on the right.
STARTERS = {
    "subprocess": "server",
    "make_server": "server",
    "sync_playwright": "browser",
    "milvus": "milvus",
    "ray_cluster": "ray",
}


def marks(item: pytest.Function) -> set[str]:
    """The marks that a test has for what it starts."""
    todo: list[Any] = [item.function]
    todo += [fixture.func for fixtures in item._fixtureinfo.name2fixturedefs.values() for fixture in fixtures]
    seen: set[int] = set()
    used: set[str] = set()
    while todo:
        thing = inspect.unwrap(todo.pop())
        if id(thing) not in seen:
            seen.add(id(thing))
            for name, value in _uses(thing):
                todo.append(value)
                used |= {name} if value is not None else set()
    params = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return {mark for name, mark in STARTERS.items() if name in used} | {
        str(p) for p in params if p in ("milvus", "ray")
    }


def _uses(thing: Any) -> Iterator[tuple[str, Any]]:
    """The names that a function of the tests uses, with what they stand for; those of a class are its methods'."""
    if not getattr(thing, "__module__", "").startswith("tests."):
        return
    if isinstance(thing, type):
        yield from ((name, value) for name, value in vars(thing).items() if isinstance(value, FunctionType))
    elif isinstance(thing, FunctionType):
        yield from ((name, thing.__globals__.get(name)) for name in _names(thing.__code__))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)
