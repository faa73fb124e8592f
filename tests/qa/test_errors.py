"""Every error means something, to a shell and to an HTTP client; the rooms keep to themselves."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from index import errors
from qa.errors import EXIT_ANSWERED, EXIT_FAILURE, EXIT_INDEX, EXIT_NO_ANSWER, EXIT_USAGE, MEANINGS, meaning
from tests.conftest import ROOT

CLASSES = [found for _, found in inspect.getmembers(errors, inspect.isclass)]


def test_every_class_is_in_the_table_once():
    assert set(MEANINGS) == set(CLASSES)
    source = (ROOT / "qa" / "errors.py").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^ +errors\.(\w+): Meaning", source, re.MULTILINE)) == sorted(
        found.__name__ for found in CLASSES
    )
    assert len({found.type for found in MEANINGS.values()}) == len(MEANINGS)


def test_every_class_is_drawn_in_the_tree():
    drawn = re.findall(r"\b(\w+Error)\b", errors.__doc__ or "")
    assert sorted(drawn) == sorted(found.__name__ for found in CLASSES)


@pytest.mark.parametrize(
    ("error", "status", "exit_code"),
    [
        (errors.ConfigError, 500, EXIT_USAGE),
        (errors.QueryError, 422, EXIT_USAGE),
        (errors.ReadError, 422, EXIT_FAILURE),
        (errors.DocumentNotFoundError, 404, EXIT_FAILURE),
        (errors.JobNotFoundError, 404, EXIT_FAILURE),
        (errors.ConflictError, 409, EXIT_FAILURE),
        (errors.FileTypeError, 415, EXIT_USAGE),
        (errors.DiskError, 503, EXIT_FAILURE),
        (errors.DiskFullError, 507, EXIT_FAILURE),
        (errors.ClusterError, 503, EXIT_FAILURE),
        (errors.EncoderError, 503, EXIT_USAGE),
        (errors.IndexBusyError, 503, EXIT_FAILURE),
        (errors.IndexUnusableError, 503, EXIT_INDEX),
        (errors.IndexMissingError, 503, EXIT_INDEX),
        (errors.IndexMismatchError, 503, EXIT_INDEX),
        (errors.IndexDamagedError, 503, EXIT_INDEX),
        (errors.CitedQAError, 500, EXIT_FAILURE),
    ],
)
def test_meaning(error, status, exit_code):
    found = meaning(error("x"))
    assert (found.status, found.exit_code) == (status, exit_code)
    assert re.fullmatch("[a-z]+(-[a-z]+)*", found.type)
    assert found.title


def test_a_class_that_is_not_listed_means_what_its_parent_means():
    class NewError(errors.IndexDamagedError):
        pass

    assert meaning(NewError("x")) == MEANINGS[errors.IndexDamagedError]


def test_exit_codes_are_the_contract():
    assert (EXIT_ANSWERED, EXIT_NO_ANSWER, EXIT_USAGE, EXIT_INDEX, EXIT_FAILURE) == (0, 1, 2, 3, 4)


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: write the whole name"
            yield node.module or ""


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("file", modules("index"), ids=lambda file: str(file.relative_to(ROOT)))
def test_index_knows_nothing_of_questions(file):
    roots = {name.partition(".")[0] for name in imports(file)}
    assert not roots & {"qa", "tests", "training", "benchmarks", "fastapi", "typer", "rich", "pydantic"}


@pytest.mark.parametrize("name", ["errors", "types"])
def test_nouns_import_nothing_of_ours(name):
    assert not {"index", "qa"} & {found.partition(".")[0] for found in imports(ROOT / "index" / f"{name}.py")}


SKINS = ("qa.api", "qa.cli", "qa.chat", "qa.serving", "qa.web")
ROOMS = ("answering", "archives", "configuration", "editing", "evaluation", "exploring", "llm", "understanding")
CORE = [file for room in ("", *ROOMS) for file in sorted((ROOT / "qa" / room).glob("*.py")) if file.stem != "__main__"]


@pytest.mark.parametrize("file", CORE, ids=lambda file: file.stem)
def test_the_engine_knows_no_skin(file):
    assert not [name for name in imports(file) if name.startswith(SKINS) or name in ("fastapi", "typer")]


def test_importing_the_engine_is_light_and_does_nothing(tmp_path):
    script = "import sys, qa.engine, qa.cli.main; print(sorted({'torch', 'sentence_transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert list(tmp_path.iterdir()) == []
