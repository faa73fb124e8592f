"""The real `qa` command as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(sys.executable).with_name("qa")
COMMAND = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-c", "from qa.cli.main import main; main()"]


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without settings of cited-qa, and with `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QA_")}
    return kept | {"COLUMNS": "80"} | variables


def run_qa(*arguments: str | bytes | Path, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `qa` in `folder` with these variables in its environment; output is captured and never holds a traceback."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done


def assert_fails(done: subprocess.CompletedProcess[str], code: int, words: str) -> None:
    """One line on stderr that begins with `qa: ` and holds `words`; nothing on stdout."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("qa: ")
    assert done.stderr.count("\n") == 1 and done.stderr.endswith("\n"), done.stderr
    assert words in done.stderr
