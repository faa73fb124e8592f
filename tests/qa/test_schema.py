"""The OpenAPI document and the server agree, as schemathesis sees it; `benchmarks/fuzz_api.py` does more of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.qa.commands import environment


def test_every_operation_keeps_to_its_description(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "benchmarks/fuzz_api.py",
            "--cases",
            "150",
            "--phases",
            "examples,coverage,fuzzing",
            "--seed",
            "1",
            "--output",
            figures,
        ],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert found["operations"]["tested"] == found["operations"]["total"] >= 8
    assert found["failures"] == found["errors"] == []
