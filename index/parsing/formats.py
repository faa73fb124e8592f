"""What kind of file it is: by its first bytes where they tell, by its suffix otherwise."""

from __future__ import annotations

import io
import re
from pathlib import PurePath
from zipfile import BadZipFile, ZipFile

from index.errors import FileTypeError

TEXT_SUFFIXES = {".txt": "text", ".text": "text", ".md": "text", ".markdown": "text"}
_SUFFIXES = {
    **TEXT_SUFFIXES,
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".docx": "docx",
    ".docm": "docx",
    ".dotx": "docx",
    ".pptx": "pptx",
    ".pptm": "pptx",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".csv": "csv",
    ".tsv": "csv",
    ".pdf": "pdf",
    ".epub": "epub",
    ".eml": "eml",
    ".zip": "zip",
}
_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp"}
# Formats that are known but not read, and what to save them as.
_ADVICE = {
    ".doc": ".docx",
    ".wps": ".docx",
    ".wpt": ".docx",
    ".dot": ".docx",
    ".rtf": ".docx",
    ".odt": ".docx",
    ".pages": ".docx",
    ".xls": ".xlsx",
    ".et": ".xlsx",
    ".ods": ".xlsx",
    ".ppt": ".pptx",
    ".dps": ".pptx",
    ".odp": ".pptx",
    ".msg": ".eml",
    ".caj": ".pdf",
    ".ofd": ".pdf",
    ".djvu": ".pdf",
    ".mobi": ".epub",
    ".azw3": ".epub",
    ".mht": ".html",
    ".mhtml": ".html",
    ".rar": ".zip",
    ".7z": ".zip",
    ".tar": ".zip",
    ".gz": ".zip",
}
# Every suffix that is worth opening: what is in the file may be something else than it says.
SUFFIXES = frozenset({*_SUFFIXES, *_IMAGE_SUFFIXES, *_ADVICE})
# Those of them that are read as what they say.
READ_SUFFIXES = frozenset({*_SUFFIXES, *_IMAGE_SUFFIXES})

_MAGIC = (
    (b"%PDF-", "pdf"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"{\\rtf", "rtf"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"BM", "image"),
    (b"II*\x00", "image"),
    (b"MM\x00*", "image"),
    (b"RIFF", "image"),
    (b"Rar!", "rar"),
    (b"7z\xbc\xaf", "7z"),
    (b"\x1f\x8b", "gz"),
)
_ASCII_MAGIC = {b"BM", b"RIFF", b"GIF8", b"Rar!"}
_WITHIN = 1024
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_ZIPPED = (("word/document.xml", "docx"), ("ppt/presentation.xml", "pptx"), ("xl/workbook.xml", "xlsx"))
# Kinds that are zip archives of XML.
PACKAGES = {"docx", "pptx", "xlsx", "epub"}
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)


def kind_named(path: PurePath) -> str:
    """The kind that a file's name promises; empty where it promises none that is read."""
    suffix = path.suffix.lower()
    return "image" if suffix in _IMAGE_SUFFIXES else _SUFFIXES.get(suffix, "")


def check_suffix(name: PurePath) -> None:
    """Raise FileTypeError for a file whose name says that it can't be read; the message says what can."""
    suffix = name.suffix.lower()
    if suffix not in READ_SUFFIXES:
        advice = _advice(suffix) if suffix in _ADVICE else f"files of type {suffix or '(none)'} are not read"
        raise FileTypeError(f"{name.name}: {advice}; what is read: {' '.join(sorted(READ_SUFFIXES))}")


def is_text(path: PurePath, data: bytes) -> bool:
    """Whether a file is plain text, which code of ours alone reads, in time linear in its size."""
    return path.suffix.lower() in TEXT_SUFFIXES and not _sniff(data)


def kind_of(path: PurePath, data: bytes) -> str:
    """The kind of parser that a file needs.

    Raises:
        ValueError: no parser takes it; the message says what the user can do.
    """
    suffix = path.suffix.lower()
    kind = _sniff(data)
    if kind == "ole":
        raise ValueError(_ole_advice(suffix, data))
    if kind == "zip":
        return _zip_kind(data, suffix)
    if kind in ("rar", "7z", "gz", "rtf"):
        raise ValueError(_advice(f".{kind}"))
    if kind:
        return kind
    by_suffix = _SUFFIXES.get(suffix)
    if by_suffix in TEXT_SUFFIXES.values() or by_suffix in ("html", "csv", "eml"):
        return str(by_suffix)
    if suffix not in SUFFIXES:
        raise ValueError(f"files of type {suffix or '(none)'} are not read")
    if not data.strip():
        raise ValueError("the file is empty")
    if _HTML.match(data[:_WITHIN]):
        return "html"  # what many programs export as .doc and .xls
    if suffix in _ADVICE:
        raise ValueError(_advice(suffix))
    raise ValueError(f"is not a {suffix} file, whatever its name says; get it again, or rename it")


def _sniff(data: bytes) -> str:
    for magic, kind in _MAGIC:
        # A text may open with the same two letters, but has no NUL after them.
        if data.startswith(magic) and (magic not in _ASCII_MAGIC or b"\0" in data[:_WITHIN]):
            return kind if magic != b"RIFF" or data[8:12] == b"WEBP" else ""
    return "pdf" if b"%PDF-" in data[:_WITHIN] and b"\0" not in data[: data.find(b"%PDF-")] else ""


def _zip_kind(data: bytes, suffix: str) -> str:
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
    except (BadZipFile, NotImplementedError, UnicodeDecodeError, ValueError) as exc:
        raise ValueError(f"the file is cut off or damaged ({exc}); get it again") from exc
    for name, kind in _ZIPPED:
        if name in names:
            return kind
    if "META-INF/container.xml" in names:
        return "epub"
    if suffix in _ADVICE:
        raise ValueError(_advice(suffix))
    if suffix in (".docx", ".pptx", ".xlsx", ".epub"):
        raise ValueError(f"is a zip archive, but no {suffix} file; rename it to .zip or get it again")
    return "zip"


def _ole_advice(suffix: str, data: bytes) -> str:
    if _ENCRYPTED in data:
        return "is protected by a password; save a copy without it"
    if suffix in _ADVICE:
        return _advice(suffix)
    return "is in the format of Office before 2007; save it as .docx, .xlsx or .pptx"


def _advice(suffix: str) -> str:
    return f"{suffix} files are not read; save it as {_ADVICE[suffix]}"
