"""A wheel of our own package, as it is installed or lies in a checkout."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = ("index", "qa")
_WHEEL = "Wheel-Version: 1.0\nGenerator: cited-qa\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def build_wheel(folder: Path) -> Path:
    """Write the wheel into `folder`; needs neither a network nor build tools (PyPA: binary distribution format)."""
    own = distribution("cited-qa")
    name = f"cited_qa-{own.version}"
    info = f"{name}.dist-info"
    target = folder / f"{name}-py3-none-any.whl"
    record: list[str] = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as wheel:

        def add(inside: str, content: bytes) -> None:
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{inside},sha256={digest},{len(content)}")
            wheel.writestr(zipfile.ZipInfo(inside), content, zipfile.ZIP_DEFLATED)

        for inside, file in _files():
            add(inside, file.read_bytes())
        # In the folder of an editable install Python finds the build's own record first, which has another name.
        add(f"{info}/METADATA", (own.read_text("METADATA") or own.read_text("PKG-INFO") or "").encode())
        for part in ("entry_points.txt", "top_level.txt"):
            add(f"{info}/{part}", (own.read_text(part) or "").encode())
        for licence in own.files or ():
            if licence.parent.name == "licenses":
                add(f"{info}/licenses/{licence.name}", licence.read_binary())
        add(f"{info}/WHEEL", _WHEEL.encode())
        wheel.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "\n".join([*record, f"{info}/RECORD,,", ""]))
    return target


def _files() -> Iterator[tuple[str, Path]]:
    """What the packages hold, by path in the wheel."""
    for package in _PACKAGES:
        spec = find_spec(package)
        assert spec is not None and spec.submodule_search_locations
        root = Path(spec.submodule_search_locations[0])
        for file in sorted(root.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield f"{package}/{file.relative_to(root).as_posix()}", file
