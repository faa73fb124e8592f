"""No pattern of ours stalls on what a stranger sends: each reads twice as much in about twice the time."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import index
import qa
from tests.growth import FLOODS, assert_linear

# What these read has a bound of its own, or is none of a stranger's: where it is, and why.
BOUNDED = {
    "qa.chat.bots.dispatcher._RUN": "looks for marks that our own writing sets, and takes out of what others write",
}
_CALLS = frozenset({"search", "match", "fullmatch", "sub", "split", "findall", "finditer"})
_SMALL, _LARGE = 300, 1_200
# Four times the text takes four times as long, sixteen times where the work is quadratic.
_SUSPECT, _NOTHING_S = 7.0, 0.001


def modules() -> Iterator[ModuleType]:
    for package in (index, qa):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not info.name.endswith("__main__"):
                yield importlib.import_module(info.name)


def held(value: object) -> Iterator[re.Pattern[str]]:
    """The patterns for text that a value is or holds."""
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        yield value
    elif isinstance(value, (tuple, list, set, frozenset)):
        for one in value:
            yield from held(one)
    elif isinstance(value, dict):
        yield from held([*value, *value.values()])


def written(module: ModuleType) -> Iterator[tuple[str, str]]:
    """The patterns that a module hands to functions of `re` as they are written, and to which."""
    for node in ast.walk(ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CALLS:
            first = node.args[0] if node.args else None
            if ast.unparse(node.func.value) == "re" and isinstance(first, ast.Constant):
                yield node.func.attr, str(first.value)


def patterns() -> dict[str, re.Pattern[str]]:
    """All patterns, each by the module and name under which it is met first."""
    named: dict[str, re.Pattern[str]] = {}
    for module in modules():
        own = [(name, pattern) for name, value in vars(module).items() for pattern in held(value)]
        own += [(f"re.{method}: {text}", re.compile(text)) for method, text in written(module)]
        for name, pattern in own:
            if pattern not in named.values():
                count = sum(key.startswith(f"{module.__name__}.{name}") for key in named)
                named[f"{module.__name__}.{name}" + (f" {count + 1}" if count else "")] = pattern
    return named


def units(pattern: re.Pattern[str]) -> list[str]:
    """Floods, and what the pattern itself looks for, alone and with what may stand between."""
    words = re.findall("[^\\W\\d_]+|[^\\w\\s\\\\]", pattern.pattern)[:40]
    return list(dict.fromkeys([*FLOODS, *words, *(f"{word} " for word in words), *(f"{word}1" for word in words)]))


def is_anchored(name: str) -> bool:
    """Whether a pattern is only ever held against the beginning of a text, or all of it."""
    if ".re." in name:
        return ".re.match:" in name or ".re.fullmatch:" in name
    uses = set(re.findall(rf"\b{re.escape(name.rpartition('.')[2])}\.(\w+)\(", SOURCE)) & _CALLS
    return bool(uses) and uses <= {"match", "fullmatch"}


def read(pattern: re.Pattern[str], text: str, *, anchored: bool) -> None:
    for _ in () if anchored else pattern.finditer(text):
        pass
    pattern.match(text)
    pattern.fullmatch(text)


def cost(pattern: re.Pattern[str], text: str, *, anchored: bool) -> float:
    start = time.thread_time()
    read(pattern, text, anchored=anchored)
    return time.thread_time() - start


ALL = patterns()
SOURCE = "\n".join(Path(module.__file__ or "").read_text(encoding="utf-8") for module in modules())


def test_all_are_met() -> None:
    assert len(ALL) > 100
    assert set(BOUNDED) <= set(ALL)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ALL if name not in BOUNDED], ids=ascii)
def test_reads_twice_as_much_in_twice_the_time(name: str) -> None:
    pattern, anchored = ALL[name], is_anchored(name)
    for unit in units(pattern):
        small, large = (unit * (chars // len(unit)) + "\0" for chars in (_SMALL, _LARGE))
        if (spent := cost(pattern, large, anchored=anchored)) < _NOTHING_S:
            continue
        if spent > _SUSPECT * cost(pattern, small, anchored=anchored):
            assert_linear(lambda text: read(pattern, text, anchored=anchored), [(unit, "\0")], largest=4_000)
