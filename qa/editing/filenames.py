"""Which names a file that is sent to the corpus may have. Pure."""

from __future__ import annotations

import unicodedata
from pathlib import PurePath

from index.errors import QueryError

# What every common file system takes, in bytes.
MAX_NAME_BYTES = 255
MAX_FOLDER_BYTES = 1024
# Control characters, halves of surrogate pairs, line and paragraph ends.
_FORBIDDEN_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
# They make a name look like another one.
_BIDI_CONTROLS = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
# Windows gives these to devices, whatever the suffix; a corpus should survive being copied there.
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}


def check_name(name: str, field: str = "file") -> str:
    """The name of one file or folder, in Unicode's composed form (NFC).

    Raises:
        QueryError: it could leave its folder, would be passed over by the indexer, or is no name.
    """
    name = unicodedata.normalize("NFC", name)
    if problem := _problem(name):
        raise QueryError(f"{field}: {_shown(name)} {problem}")
    return name


def check_folder(folder: str) -> PurePath:
    """A folder below a collection's, as in `2024/speeches`; empty for the collection's own.

    Raises:
        QueryError: it is absolute, or a part of it is not acceptable.
    """
    if len(folder.encode("utf-8", "surrogatepass")) > MAX_FOLDER_BYTES:
        raise QueryError(f"folder: is longer than {MAX_FOLDER_BYTES} bytes")
    if folder.startswith("/"):
        raise QueryError(f"folder: {_shown(folder)} is absolute; give it as it is below the collection's folder")
    parts = folder.removesuffix("/").split("/") if folder else []
    return PurePath(*(check_name(part, "folder") for part in parts))


def _problem(name: str) -> str:
    """What is wrong with a name; empty when nothing is."""
    if not name.strip():
        return "is no name; give one"
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes; shorten it"
    if "/" in name or "\\" in name:
        return "holds a slash or backslash; send the name alone, and its folder as `folder`"
    if name.startswith((".", "~$")):
        return "begins with '.' or '~$', which the indexer passes over; rename it"
    if any(unicodedata.category(char) in _FORBIDDEN_CATEGORIES or char in _BIDI_CONTROLS for char in name):
        return "holds a control character or one that is not valid Unicode; rename it"
    if name.endswith((" ", ".")) or name.partition(".")[0].rstrip().upper() in _DEVICES:
        return "is a name that some systems can't keep; rename it"
    return ""


def _shown(name: str) -> str:
    return repr(name if len(name) <= 60 else f"{name[:60]}…")
