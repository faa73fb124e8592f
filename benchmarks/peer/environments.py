"""A virtual environment for each peer: what is installed into it, and how large that is.

PyTorch is installed first and of one version, so that no peer's range takes the newest build with its CUDA packages;
pip's own plan is read before anything is installed, and a plan with CUDA packages is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import asdict, dataclass
from pathlib import Path

TORCH = "torch==2.13.0"
ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
_CUDA = ("nvidia", "triton", "cuda", "torch")
_VERSIONS = (
    "import json, importlib.metadata as m; "
    "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a peer's environment took: MB and packages beyond Python, pip and PyTorch, and the versions of all."""

    megabytes: int
    packages: int
    versions: dict[str, str]


class SetupError(Exception):
    """An environment that could not be made; the message says why."""


def prepare(folder: Path, packages: tuple[str, ...], with_torch: bool) -> Setup:
    """Make the environment in `folder`/venv, or take the one that is there when the same was asked of it.

    Raises:
        SetupError: pip could not install it, or would have installed CUDA packages.
    """
    kept, is_ours = folder / "setup.json", "-e" in packages
    wanted = [*packages, TORCH if with_torch else "no torch", *([_declared()] if is_ours else [])]
    if kept.exists() and (known := json.loads(kept.read_text())).pop("wanted") == wanted:
        return Setup(**known)
    shutil.rmtree(folder / "venv", ignore_errors=True)
    venv.create(folder / "venv", with_pip=True)
    if with_torch:
        _install(folder, [TORCH], allowed="torch")
    before, base = _installed(folder), _size_mb(folder)
    _install(folder, [*(("-c", str(CONSTRAINTS)) if is_ours else ()), *packages])
    versions = _installed(folder)
    ours = _size_mb(ROOT / "index") + _size_mb(ROOT / "qa") if is_ours else 0
    setup = Setup(_size_mb(folder) - base + ours, len(versions) - len(before), versions)
    kept.write_text(json.dumps({"wanted": wanted, **asdict(setup)}, indent=1))
    return setup


def python(folder: Path) -> Path:
    """The interpreter of the environment in `folder`."""
    return folder / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _declared() -> str:
    """What our own dependencies are, so that an environment kept from before they changed is made anew."""
    return hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + CONSTRAINTS.read_bytes()).hexdigest()


def _install(folder: Path, packages: list[str], allowed: str = "") -> None:
    pip = [str(python(folder)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    plan = folder / "plan.json"
    _run([*pip, "--dry-run", "--report", str(plan)])
    names = [item["metadata"]["name"].lower() for item in json.loads(plan.read_text())["install"]]
    if unwanted := [name for name in names if name.startswith(_CUDA) and name != allowed]:
        raise SetupError(f"pip would install {', '.join(unwanted)}; point it at PyTorch's CPU builds")
    _run(pip)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PIP_NO_INPUT": "1"})
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        raise SetupError(f"{errors[0].removeprefix('ERROR: ')} (pip install {' '.join(command[6:])})")


def _installed(folder: Path) -> dict[str, str]:
    listed = subprocess.run([python(folder), "-I", "-c", _VERSIONS], check=True, stdout=subprocess.PIPE, text=True)
    return dict(sorted(json.loads(listed.stdout).items()))


def _size_mb(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) >> 20
