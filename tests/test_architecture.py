"""The house as CONTRIBUTING.md has it: rooms without circles, files of a few screens, one name for a thing."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.architecture import circles, imports, modules, rooms
from tests.conftest import ROOT

MAX_LINES = 355  # about 350
MAX_LOOSE = 12
FILES = modules()
GRAPH = imports(FILES)
CODE = ("benchmarks", "docs", "index", "qa", "tests", "training")


def test_index_knows_nothing_of_qa() -> None:
    assert [
        name for name, others in GRAPH.items() if name.startswith("index") and any(o[:2] == "qa" for o in others)
    ] == []


@pytest.mark.parametrize("graph", [GRAPH, rooms(GRAPH, FILES)], ids=["files", "rooms"])
def test_nothing_imports_in_circles(graph: dict[str, set[str]]) -> None:
    assert circles(graph) == []


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d", "a"}}) == [["b", "c"], ["d"]]


def test_few_modules_lie_loose_at_the_roots() -> None:
    loose = [file for file in FILES.values() if file.parent.parent == ROOT and file.name != "__init__.py"]
    assert len(loose) <= MAX_LOOSE, loose


def test_no_file_is_long() -> None:
    lines = {name: file.read_text("utf-8").count("\n") for name, file in FILES.items()}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


def classes(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text("utf-8"))
    yield from (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def test_a_class_name_stands_once() -> None:
    count = Counter(name for file in FILES.values() for name in classes(file))
    assert [name for name, times in count.items() if times > 1] == []


def test_the_formatter_has_the_last_word() -> None:
    files = (file for folder in CODE for file in (ROOT / folder).rglob("*.py"))
    mark = "fmt: " + "skip"
    assert [file for file in files if mark in file.read_text("utf-8")] == []
