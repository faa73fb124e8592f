"""Files to text, one module a format. Nothing else in the project reads documents from disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path, PurePath

from index.errors import ReadError
from index.parsing.archive import MAX_FILE_BYTES, ArchiveError, Budget, Member, check_package, members
from index.parsing.draft import MAX_TEXT_CHARS, TOO_LONG
from index.parsing.formats import PACKAGES, SUFFIXES, is_text, kind_named, kind_of
from index.parsing.text import read_text
from index.types import Notice, ReadText, Unread

__all__ = ["MAX_FILE_BYTES", "SUFFIXES", "Content", "ReadText", "Unread", "contents", "is_text", "read"]

Content = ReadText | Unread
_Finish = Callable[[ReadText], ReadText]

# Archives in archives in archives hold nothing that anyone meant to be found.
_MAX_DEPTH = 3

# Module and function of each kind; imported when a file of that kind comes, for some are slow to load.
_PARSERS = {
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


def read(path: Path, data: bytes) -> ReadText:
    """The text of a file that is one document.

    Raises:
        ReadError: it can't be read, or is an archive; the message names the file and says what to do.
    """
    content = next(contents(path, data), Unread("holds no documents"))
    if isinstance(content, Unread) or content.member:
        raise ReadError(f"{path}: {content.reason if isinstance(content, Unread) else 'is an archive'}")
    return content


def contents(path: PurePath, data: bytes, finish: _Finish = lambda read: read) -> Iterator[Content]:
    """What a file holds: its text, or the documents inside it, or why there is none. Raises nothing.

    `finish` is what else is done with each text, within the same care.
    """
    try:
        yield from _contents(path, data, _Whole(Budget(len(data)), finish), "", 1)
    except ArchiveError as exc:
        yield Unread(str(exc))


@dataclass(slots=True)
class _Whole:
    """What holds for all that is in one file: what else is done with it, and how much it may unfold to."""

    budget: Budget
    finish: _Finish


def _contents(path: PurePath, data: bytes, whole: _Whole, member: str, depth: int) -> Iterator[Content]:
    try:
        kind = kind_of(path, data)
        if kind == "zip":
            yield from _members(members(data), whole, member, depth)
            return
        if kind in PACKAGES:
            check_package(data)
        read = _checked(_parser(kind)(data))
        whole.budget.take(chars=len(read.text))
        yield whole.finish(replace(read, member=member, notices=(*read.notices, *_name_notices(path, kind))))
        if kind == "eml":
            from index.parsing.mail import attachments

            yield from _members(attachments(data), whole, member, depth)
    except ArchiveError:
        raise  # of the whole file
    except ValueError as exc:
        yield Unread(_one_line(exc), member)
    except MemoryError:
        yield Unread("needs more memory than a document may; split it", member)
    except RecursionError:
        yield Unread("its parts lie too deep in each other; save it again, or in another format", member)
    # A parser that meets a broken file may raise whatever it likes; one file must not stop the run.
    except Exception as exc:
        yield Unread(
            f"is damaged or not what its name says ({type(exc).__name__}: {_one_line(exc)}); get it again", member
        )


def _parser(kind: str) -> Callable[[bytes], ReadText]:
    if kind == "text":
        return read_text
    module, function = _PARSERS[kind]
    parser: Callable[[bytes], ReadText] = getattr(import_module(f"index.parsing.{module}"), function)
    return parser


def _name_notices(path: PurePath, kind: str) -> Iterator[Notice]:
    named = kind_named(path)
    if named not in ("", kind):
        yield Notice("wrong-suffix", f"is {kind}, whatever its name says, and was read as that")


def _checked(read: ReadText) -> ReadText:
    if not read.text.strip():
        raise ValueError("the file holds no text")
    if len(read.text) > MAX_TEXT_CHARS:
        raise ValueError(TOO_LONG)
    return read


def _members(inside: Iterator[Member], whole: _Whole, member: str, depth: int) -> Iterator[Content]:
    if depth > _MAX_DEPTH:
        yield Unread(f"lies {_MAX_DEPTH} archives deep; unpack it", member)
        return
    for item in inside:
        whole.budget.take(members=1, unpacked=len(item.data))
        path = f"{member}/{item.path}" if member else item.path
        if item.problem:
            yield Unread(item.problem, path)
        elif PurePath(item.path).suffix.lower() not in SUFFIXES:
            yield Unread(f"files of type {PurePath(item.path).suffix or '(none)'} are not read", path)
        else:
            yield from _contents(PurePath(item.path), item.data, whole, path, depth + 1)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or "no reason given"
