"""The shipped seeds as other people would have them: in Word, as web pages, as PDF, in old encodings, zipped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.conftest import SEEDS
from tests.index.parsing.samples import SIMPLIFIED, TRADITIONAL, make_docx, make_html, make_pdf, make_zip

_TRADITIONAL_SEED = "004"


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _docx(name: str, text: str) -> tuple[str, bytes]:
    return f"{name}.docx", make_docx(_lines(text), title="")


def _html(name: str, text: str) -> tuple[str, bytes]:
    return f"{name}.html", make_html(_lines(text), title="")


def _pdf(name: str, text: str) -> tuple[str, bytes]:
    font = TRADITIONAL if name.startswith(_TRADITIONAL_SEED) else SIMPLIFIED
    return f"{name}.pdf", make_pdf(_lines(text), font)


def _gb18030(name: str, text: str) -> tuple[str, bytes]:
    return f"{name}.txt", text.encode("gb18030")


def _big5(name: str, text: str) -> tuple[str, bytes]:
    """The seed that is in Traditional characters; those that Big5 lacks become question marks, as they would."""
    return f"{name}.txt", text.encode("big5" if name.startswith(_TRADITIONAL_SEED) else "utf-8", "replace")


def _plain(name: str, text: str) -> tuple[str, bytes]:
    return f"{name}.txt", text.encode()


def _zip(name: str, text: str) -> tuple[str, bytes]:
    return f"{name}.zip", make_zip({f"{name}.txt": text.encode()})


FORMATS: dict[str, Callable[[str, str], tuple[str, bytes]]] = {
    "plain": _plain,
    "docx": _docx,
    "html": _html,
    "pdf": _pdf,
    "gb18030": _gb18030,
    "big5": _big5,
    "zip": _zip,
}


def write_seeds(folder: Path, format_name: str) -> None:
    """Write the seeds into `folder` in one of `FORMATS`."""
    folder.mkdir(parents=True)
    for path in sorted(SEEDS.glob("*.txt")):
        name, data = FORMATS[format_name](path.stem, path.read_bytes().decode())
        (folder / name).write_bytes(data)
