"""Files to text, one module a format. Nothing else in the project reads documents from disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from index.errors import ReadError
from index.readers.text import decode

# A file larger than this is not prose; reading it would only exhaust memory.
MAX_FILE_BYTES = 200 << 20


@dataclass(frozen=True, slots=True)
class ReadText:
    """What a reader makes of a file. Offsets refer to `text`; `encoding` is None where the format fixes it."""

    text: str
    encoding: str | None
    warnings: tuple[str, ...] = ()


def _read_text(data: bytes) -> ReadText:
    text, encoding = decode(data)
    warnings = ("replacement characters: the file was damaged before it came here",) if "\ufffd" in text else ()
    return ReadText(text, encoding, warnings)


_READERS: dict[str, Callable[[bytes], ReadText]] = {
    ".txt": _read_text,
    ".text": _read_text,
    ".md": _read_text,
    ".markdown": _read_text,
}
SUFFIXES = frozenset(_READERS)


def read(path: Path, data: bytes) -> ReadText:
    """The text of a file's bytes.

    Raises:
        ReadError: there is no reader for it, it is empty, or it can't be decoded; the message names the file.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ReadError(f"{path}: files of type {path.suffix or '(none)'} are not read; convert it to text or Markdown")
    try:
        found = reader(data)
    except ValueError as exc:
        raise ReadError(f"{path}: {exc}") from exc
    if not found.text.strip():
        raise ReadError(f"{path}: the file holds no text")
    return found
