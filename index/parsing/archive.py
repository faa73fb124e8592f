"""Zip archives, with limits: what is inside may be built to exhaust whoever opens it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from zipfile import BadZipFile, ZipFile, ZipInfo

from index.parsing.text import decode

MAX_UNPACKED_BYTES = 1 << 30
MAX_MEMBERS = 20_000
# Text packs about 10 to 1, empty spreadsheet cells 100 to 1; beyond that only what was made to.
_MAX_RATIO = 250
_SMALL_BYTES = 10 << 20
_ENCRYPTED = 0x1
_UTF8_NAME = 0x800


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: its data, or why there is none."""

    path: str
    data: bytes
    problem: str = ""


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
