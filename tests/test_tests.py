"""Every test can fail: it asserts, itself or through what it calls."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.conftest import ROOT

_ASSERTING = {"raises", "fail", "warns", "expect"}


def test_every_test_asserts() -> None:
    asserting: set[str] = set(_ASSERTING)
    calls: defaultdict[str, set[str]] = defaultdict(set)
    for file in (ROOT / "tests").rglob("*.py"):
        for function in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.Assert):
                        asserting.add(function.name)
                    elif isinstance(node, ast.Call):
                        calls[function.name].add(ast.unparse(node.func).rpartition(".")[2])
    while more := {name for name, called in calls.items() if name not in asserting and called & asserting}:
        asserting |= more
    assert [name for name in calls if name.startswith("test_") and name not in asserting] == []
