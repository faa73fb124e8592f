"""What the code imports is declared, with a version that was tested."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Rooms that may import what an extra brings; all others run on the core.
EXTRAS = {
    "index/parsing/ocr.py": "ocr",
    "index/indexing/ray/": "ray",
    "index/store/milvus/": "milvus",
    "qa/api/sinks.py": "otel",
    "qa/chat/bots/dingtalk": "dingtalk",
    "qa/chat/bots/feishu": "feishu",
    "qa/chat/bots/slack": "slack",
    "qa/chat/bots/wecom": "wecom",
    "qa/chat/bots/": "dingtalk",  # what every bot's extra brings
}


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


CORE = names(PROJECT["dependencies"])


def imports(file: Path) -> Iterator[str]:
    """The packages that a module imports wherever in it, those for the type checker alone included."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("package", ["index", "qa"])
def test_every_import_is_declared(package: str) -> None:
    distributions = packages_distributions()
    undeclared = []
    for file in sorted((ROOT / package).rglob("*.py")):
        path = file.relative_to(ROOT).as_posix()
        extras = [extra for start, extra in EXTRAS.items() if path.startswith(start)]
        declared = CORE.union(*(names(PROJECT["optional-dependencies"][extra]) for extra in extras))
        for name in sorted(set(imports(file)) - sys.stdlib_module_names - {"index", "qa"}):
            # A package that is not installed is known by its own name.
            if not declared & {canonicalize_name(distribution) for distribution in distributions.get(name, [name])}:
                undeclared.append(f"{path}: {name}")
    assert undeclared == []


def test_all_that_is_declared_has_a_tested_version() -> None:
    pinned = names((ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:])
    declared = CORE.union(*map(names, PROJECT["optional-dependencies"].values())) - {canonicalize_name(PROJECT["name"])}
    assert declared - pinned == set()
