"""What readers hand over."""

from __future__ import annotations

from dataclasses import dataclass

from index.types import Notice

# A text longer than this is no document but a dump; its passages alone would take gigabytes. The longest Chinese
# classics have three million characters.
MAX_TEXT_CHARS = 5_000_000


@dataclass(frozen=True, slots=True)
class Caption:
    """The caption of the table that fills `text[start:end]`; it belongs to each of its rows."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class ReadText:
    """What a reader makes of a document. All offsets refer to `text`.

    `encoding` is None where the format fixes it. `pages` are the offsets at which the pages begin, empty where the
    format has none. `member` is the path within the file, for a document inside an archive or a message.
    """

    text: str
    encoding: str | None = None
    pages: tuple[int, ...] = ()
    captions: tuple[Caption, ...] = ()
    notices: tuple[Notice, ...] = ()
    member: str = ""


@dataclass(frozen=True, slots=True)
class Unread:
    """A file, or a member of one, that could not be read. `reason` says why and what to do."""

    reason: str
    member: str = ""


Found = ReadText | Unread
