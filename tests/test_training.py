"""Training stays apart from measuring and from running."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from training.sources import EvaluationFileError, guard


@pytest.mark.parametrize("name", ["xquad.zh.json", "xquad.en.json", "union_questions.jsonl"])
def test_evaluation_files_are_refused(name: str) -> None:
    with pytest.raises(EvaluationFileError, match=name):
        guard(Path("data") / name)


def test_training_files_are_let_through() -> None:
    assert guard(Path("data/laws_cn.jsonl.xz")).name == "laws_cn.jsonl.xz"


def test_nothing_of_training_is_imported_at_run_time() -> None:
    code = "import sys, qa.cli, qa.engine, qa.api.server; sys.exit(any(m.startswith('training') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, check=False).returncode == 0
