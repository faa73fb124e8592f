"""The real `qa` command as a process."""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

from tests.conftest import ROOT

SCRIPT = Path(sys.executable).with_name("qa")
_PATIENCE_S = 120
COMMAND = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-c", "from qa.cli.main import main; main()"]


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without settings of cited-qa, and with `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QA_")}
    return kept | {"COLUMNS": "80"} | variables


def run_qa(*arguments: str | bytes | Path, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `qa` in `folder` with these variables in its environment; output is captured and never holds a traceback.

    What is asked of the interpreter or a library needs one that starts with it; all else is forked.
    """
    is_ours = all(name.startswith("QA_") for name in variables)
    done = (_forked if is_ours else _started)(arguments, folder, environment(**variables))
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done


def _started(
    arguments: Sequence[str | bytes | Path], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=_PATIENCE_S,
    )


def _forked(
    arguments: Sequence[str | bytes | Path], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    with TemporaryDirectory() as at, socket.socket(socket.AF_UNIX) as connection:
        streams = [os.devnull, f"{at}/stdout", f"{at}/stderr"]
        for name in streams[1:]:
            Path(name).touch()
        request: dict[str, Any] = {
            "arguments": [os.fsdecode(argument) for argument in arguments],
            "folder": str(folder),
            "environment": environment,
            "streams": streams,
        }
        connection.settimeout(_PATIENCE_S)
        connection.connect(_prepared())
        connection.sendall(json.dumps(request).encode() + b"\n")
        code = int(connection.recv(16))
        out, err = (Path(name).read_text("utf-8") for name in streams[1:])
    return subprocess.CompletedProcess(request["arguments"], code, out, err)


@cache
def _prepared() -> str:
    """The address of a process that has imported `qa`; it ends with this one."""
    address = f"{mkdtemp(prefix='qa')}/commands"
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from tests.qa.prepared import serve; serve(sys.argv[1])", address],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    atexit.register(process.communicate)
    assert process.stdout and process.stdout.readline() == b"ready\n"
    return address


def assert_fails(done: subprocess.CompletedProcess[str], code: int, words: str) -> None:
    """One line on stderr that begins with `qa: ` and holds `words`; nothing on stdout."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("qa: ")
    assert done.stderr.count("\n") == 1 and done.stderr.endswith("\n"), done.stderr
    assert words in done.stderr
