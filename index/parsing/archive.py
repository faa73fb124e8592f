"""Zip archives, with limits: what is inside may be built to exhaust whoever opens it.

Word, PowerPoint, Excel and EPUB files are archives too, of XML.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from zipfile import BadZipFile, ZipFile, ZipInfo

from index.parsing.text import decode

# A file larger than this is not prose; reading it would only exhaust memory.
MAX_FILE_BYTES = 200 << 20
MAX_UNPACKED_BYTES = 1 << 30
MAX_MEMBERS = 20_000
# Text packs about 10 to 1, empty spreadsheet cells 100 to 1; beyond that only what was made to.
_MAX_RATIO = 250
_SMALL_BYTES = 10 << 20
# Text that is no copy of itself packs 20 to 1 at best.
_MAX_TEXT_RATIO = 50
_SMALL_CHARS = 10_000_000
# Two million tags take parsers eight seconds and half a gigabyte; four make a cell of a sheet, which are read one by
# one, two million in ten seconds.
MAX_TAGS = 2_000_000
_MAX_SHEET_TAGS = 8_000_000
_MAX_PARTS = 10_000
_CHUNK_BYTES = 1 << 20
_ENCRYPTED = 0x1
_UTF8_NAME = 0x800


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: its data, or why there is none."""

    path: str
    data: bytes
    problem: str = ""


class ArchiveError(Exception):
    """All that one file holds, in the archives in it too, is more than may come of a file."""


class Budget:
    """How much may come of one file of `size` bytes, however deep it lies in it."""

    def __init__(self, size: int) -> None:
        self._members, self._bytes = MAX_MEMBERS, MAX_UNPACKED_BYTES
        self._chars = max(_SMALL_CHARS, _MAX_TEXT_RATIO * size)

    def take(self, members: int = 0, unpacked: int = 0, chars: int = 0) -> None:
        """Note what came of it.

        Raises:
            ArchiveError: it is too much.
        """
        self._members -= members
        self._bytes -= unpacked
        self._chars -= chars
        advice = "with the archives in it; unpack it and split it"
        if self._members < 0:
            raise ArchiveError(f"holds more than {MAX_MEMBERS} files, {advice}")
        if self._bytes < 0:
            raise ArchiveError(f"unpacks to more than {MAX_UNPACKED_BYTES >> 20} MB, {advice}")
        if self._chars < 0:
            raise ArchiveError(f"holds more than {_MAX_TEXT_RATIO} times its size in text, {advice}")


def open_zip(data: bytes) -> ZipFile:
    """An archive that is safe to unpack.

    Raises:
        ValueError: it is broken, or unpacks to more than any document needs.
    """
    try:
        archive = ZipFile(io.BytesIO(data))
    except (BadZipFile, NotImplementedError, UnicodeDecodeError) as exc:
        raise ValueError(f"the file is cut off or damaged ({exc}); get it again") from exc
    if len(archive.filelist) > MAX_MEMBERS:
        raise ValueError(f"holds more than {MAX_MEMBERS} files; unpack it")
    # zipfile reads no more of a member than the archive says it has, so these sums can be relied on.
    total = sum(info.file_size for info in archive.filelist)
    if total > MAX_UNPACKED_BYTES:
        raise ValueError(f"unpacks to more than {MAX_UNPACKED_BYTES >> 20} MB; unpack it and split it")
    if total > _SMALL_BYTES and total > _MAX_RATIO * len(data):
        raise ValueError(f"unpacks to {total // max(1, len(data))} times its size, as zip bombs do; unpack it by hand")
    return archive


def check_package(data: bytes) -> None:
    """Look how many elements an Office file or a book unfolds to: their parsers keep all of them in memory.

    Raises:
        ValueError: it is broken, or unfolds to more than any document needs.
    """
    with open_zip(data) as package:
        if len(package.filelist) > _MAX_PARTS:
            raise ValueError(f"consists of more than {_MAX_PARTS} parts; split it")
        tags = sheet_tags = 0
        for info in package.filelist:
            if info.filename.startswith("xl/worksheets/"):
                sheet_tags += _tags(package, info)
            elif info.filename.lower().endswith((".xml", ".rels", ".html", ".htm", ".xhtml", ".opf")):
                tags += _tags(package, info)
            if tags > MAX_TAGS or sheet_tags > _MAX_SHEET_TAGS:
                limit = MAX_TAGS if tags > MAX_TAGS else _MAX_SHEET_TAGS
                raise ValueError(f"unfolds to more than {limit // 1_000_000} million elements; split it")


def _tags(package: ZipFile, info: ZipInfo) -> int:
    """How many tags a part has; none where it can't be unpacked, which its parser will say."""
    try:
        with package.open(info) as part:
            return sum(chunk.count(b"<") for chunk in iter(lambda: part.read(_CHUNK_BYTES), b""))
    # Decompressors raise errors of their own, EOFError, and NotImplementedError for methods that zipfile lacks.
    except Exception:
        return 0


def members(data: bytes) -> Iterator[Member]:
    """The files in an archive, in order of their paths."""
    with open_zip(data) as archive:
        named = sorted(
            ((_path(info), info) for info in archive.filelist if not info.is_dir()), key=lambda pair: pair[0]
        )
        for path, info in named:
            if any(part.startswith((".", "~$", "__MACOSX")) for part in path.split("/")):
                continue
            yield _member(archive, path, info)


def _member(archive: ZipFile, path: str, info: ZipInfo) -> Member:
    if info.flag_bits & _ENCRYPTED:
        return Member(path, b"", "is protected by a password; unpack it and put the files into the corpus")
    if info.file_size > MAX_FILE_BYTES:
        return Member(path, b"", f"is larger than {MAX_FILE_BYTES >> 20} MB; split it")
    try:
        return Member(path, archive.read(info))
    # Decompressors raise errors of their own, EOFError, and NotImplementedError for methods that zipfile lacks.
    except Exception as exc:
        return Member(path, b"", f"cannot be unpacked ({exc or type(exc).__name__}); pack it again")


def _path(info: ZipInfo) -> str:
    """A member's path. Names without the UTF-8 flag are in the packer's own encoding, in Chinese Windows GBK."""
    name = info.filename
    if not info.flag_bits & _UTF8_NAME and not name.isascii():
        try:
            name = decode(name.encode("cp437"))[0]
        except (ValueError, UnicodeEncodeError):
            pass
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", ".", ".."))
