"""Files to text, one module a format. Nothing else in the project reads documents from disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path, PurePath

from index.errors import ReadError
from index.parsing.archive import Member, members
from index.parsing.formats import SUFFIXES, TEXT_SUFFIXES, kind_named, kind_of
from index.parsing.found import MAX_TEXT_CHARS, Found, ReadText, Unread
from index.parsing.text import read_text
from index.types import Notice

__all__ = ["MAX_FILE_BYTES", "SUFFIXES", "Found", "ReadText", "Unread", "contents", "is_plain", "read"]

# A file larger than this is not prose; reading it would only exhaust memory.
MAX_FILE_BYTES = 200 << 20
# Archives in archives in archives hold nothing that anyone meant to be found.
_MAX_DEPTH = 3

# Module and function of each kind; imported when a file of that kind comes, for some are slow to load.
_READERS = {
    "html": ("html", "read_html"),
    "docx": ("word", "read_docx"),
    "pptx": ("slides", "read_pptx"),
    "xlsx": ("sheets", "read_xlsx"),
    "csv": ("sheets", "read_csv"),
    "pdf": ("pdf", "read_pdf"),
    "epub": ("book", "read_epub"),
    "eml": ("mail", "read_eml"),
    "image": ("ocr", "read_image"),
}


def is_plain(path: PurePath) -> bool:
    """Whether a file is read by code of ours alone, which can neither crash nor hang."""
    return path.suffix.lower() in TEXT_SUFFIXES


def read(path: Path, data: bytes) -> ReadText:
    """The text of a file that is one document.

    Raises:
        ReadError: it can't be read, or is an archive; the message names the file and says what to do.
    """
    found = next(contents(path, data), Unread("holds no documents"))
    if isinstance(found, Unread) or found.member:
        raise ReadError(f"{path}: {found.reason if isinstance(found, Unread) else 'is an archive'}")
    return found


def contents(path: PurePath, data: bytes) -> Iterator[Found]:
    """What a file holds: its text, or the documents inside it, or why there is none. Raises nothing."""
    yield from _contents(path, data, "", 1)


def _contents(path: PurePath, data: bytes, member: str, depth: int) -> Iterator[Found]:
    try:
        kind = kind_of(path, data)
        if kind == "zip":
            yield from _members(members(data), member, depth)
            return
        found = _checked(_reader(kind)(data))
        notices = (*found.notices, *_name_notices(path, kind))
        yield replace(found, member=member, notices=notices)
        if kind == "eml":
            from index.parsing.mail import attachments

            yield from _members(attachments(data), member, depth)
    except ValueError as exc:
        yield Unread(_one_line(exc), member)
    except MemoryError:
        yield Unread("needs more memory than a document may; split it", member)
    # A parser that meets a broken file may raise whatever it likes; one file must not stop the run.
    except Exception as exc:
        yield Unread(
            f"is damaged or not what its name says ({type(exc).__name__}: {_one_line(exc)}); get it again", member
        )


def _reader(kind: str) -> Callable[[bytes], ReadText]:
    if kind == "text":
        return read_text
    module, function = _READERS[kind]
    reader: Callable[[bytes], ReadText] = getattr(import_module(f"index.parsing.{module}"), function)
    return reader


def _name_notices(path: PurePath, kind: str) -> Iterator[Notice]:
    named = kind_named(path)
    if named not in ("", kind):
        yield Notice("wrong-suffix", f"is {kind}, whatever its name says, and was read as that")


def _checked(found: ReadText) -> ReadText:
    if not found.text.strip():
        raise ValueError("the file holds no text")
    if len(found.text) > MAX_TEXT_CHARS:
        raise ValueError(f"holds more than {MAX_TEXT_CHARS // 1_000_000} million characters; split it")
    return found


def _members(inside: Iterator[Member], member: str, depth: int) -> Iterator[Found]:
    if depth > _MAX_DEPTH:
        yield Unread(f"lies {_MAX_DEPTH} archives deep; unpack it", member)
        return
    for item in inside:
        path = f"{member}/{item.path}" if member else item.path
        if item.problem:
            yield Unread(item.problem, path)
        elif PurePath(item.path).suffix.lower() not in SUFFIXES:
            yield Unread(f"files of type {PurePath(item.path).suffix or '(none)'} are not read", path)
        else:
            yield from _contents(PurePath(item.path), item.data, path, depth + 1)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or "no reason given"
