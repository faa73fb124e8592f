"""docs/python.md: its code runs, prints what it says, and is typed for whoever installs the package."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from qa.archives.wheel import build_wheel
from tests.conftest import ROOT, SEEDS

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(encoding="utf-8"), re.DOTALL)
CODE = "\n".join(BLOCKS)


def test_the_code_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(SEEDS, tmp_path / "seeds")
    (tmp_path / "config.yaml").write_text("corpus: [seeds]\n")
    monkeypatch.chdir(tmp_path)
    exec(compile(CODE, "python.md", "exec"), {})
    promised = re.findall(r"print\(.*\)  # (.*)$", CODE, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == promised


def test_the_code_is_typed_from_outside(tmp_path: Path) -> None:
    """In an environment that has the package as users get it, mypy knows what every call returns."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    with zipfile.ZipFile(build_wheel(tmp_path)) as wheel:
        wheel.extractall(site)
    places = [place for place in sys.path if place.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join(places) + "\n")
    (tmp_path / "program.py").write_text(CODE + "\nreveal_type(engine.ask(''))\nreveal_type(engine.documents())\n")
    # No name of ours is of these, and reading them takes most of the time.
    (tmp_path / "mypy.ini").write_text("[mypy]\n[mypy-numpy.*,openai.*]\nfollow_imports = skip\n")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--config-file",
            "mypy.ini",
            "--cache-dir",
            ROOT / ".mypy_cache/outside",
            "--python-executable",
            tmp_path / "venv/bin/python",
            "program.py",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )
    said = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'Revealed type is "qa.schemas.AskResponse"' in said[0]
    assert 'Revealed type is "list[index.types.DocumentInfo]"' in said[1]
