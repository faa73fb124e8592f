"""What CONTRIBUTING.md and docs/architecture.md say is so: files, commands, the picture."""

from __future__ import annotations

import re

import pytest

from docs import architecture
from tests.conftest import ROOT

TEXTS = {name: (ROOT / name).read_text("utf-8") for name in ("CONTRIBUTING.md", "docs/architecture.md")}
RECIPES = re.findall(r"^(\w+):\n((?:    .+\n)+)", (ROOT / "justfile").read_text("utf-8"), re.MULTILINE)
HINT = "run: python docs/architecture.py"


@pytest.mark.parametrize("name", TEXTS)
def test_files_that_are_named_exist(name: str) -> None:
    paths = re.findall(r"`((?:qa|index|tests|docs|benchmarks)/[\w./-]*)`", TEXTS[name])
    links = re.findall(r"\]\(([^)#:]+)\)", TEXTS[name])
    assert paths and links
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []


def test_the_commands_without_just_are_those_of_the_justfile() -> None:
    rows = re.findall(r"^\| `just (\w+)` \| (.+?) \| [^|`]+ \|$", TEXTS["CONTRIBUTING.md"], re.MULTILINE)
    commands = [(recipe, [line.strip() for line in lines.splitlines()]) for recipe, lines in RECIPES]
    assert commands == [(recipe, re.findall("`([^`]+)`", cell)) for recipe, cell in rows]
    assert [recipe for recipe, _ in RECIPES] == ["fast", "test", "lint", "eval", "bench", "serve"]


def test_the_workflow_and_ci_run_the_same_and_nothing_twice() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert ".ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    (lint,) = [lines for recipe, lines in RECIPES if recipe == "lint"]
    assert all(line.strip() in script for line in lint.splitlines())
    assert script.count("pytest") == 1 and "--last-failed" not in script


def test_the_picture_and_the_table_of_rooms_are_current() -> None:
    files = architecture.modules()
    graph = architecture.rooms(architecture.imports(files), files)
    assert architecture.draw(graph) == architecture.PICTURE.read_text("utf-8"), HINT
    text = TEXTS["docs/architecture.md"]
    assert architecture.with_table(text, architecture.table(graph, files)) == text, HINT
