"""Bytes to text: UTF-8, UTF-16, GB18030, Big5, and whatever charset-normalizer recognises."""

from __future__ import annotations

import codecs
import re
import unicodedata

from index.text.scripts import BASIC_HAN
from index.types import ReadText

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Lead bytes of the common half of each character set. Real text is nearly all common characters; text read in the
# wrong encoding is not.
_BIG5_COMMON = ("big5", 0xA4, 0xC6)
_COMMON_LEADS = {
    "gb18030": ("gb2312", 0xB0, 0xD7),
    "big5": _BIG5_COMMON,
    "cp950": _BIG5_COMMON,
    "big5hkscs": _BIG5_COMMON,
}
_BASIC_HAN = re.compile(f"[{BASIC_HAN}]")
_MIN_COMMON_SHARE = 0.8
_SAMPLE_CHARS = 20_000
# A text with so few broken characters, and so many sound ones, is damaged; one with more is in another encoding.
_MAX_DAMAGED_SHARE = 0.02
_MIN_SOUND = 8


def can_be_declared(encoding: str) -> bool:
    """Whether a file may say that it is in an encoding: those for names of hosts take time quadratic in the text."""
    try:
        return codecs.lookup(encoding).name not in ("punycode", "idna")
    except LookupError:
        return False


def read_text(data: bytes) -> ReadText:
    """A plain text file: the decoded bytes themselves.

    Raises:
        ValueError: see `decode`.
    """
    return ReadText(*decode(data))


def decode(data: bytes) -> tuple[str, str]:
    """The text, without a byte order mark, and the name of its encoding.

    Raises:
        ValueError: the bytes are not text, or in no encoding that could be recognised.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _strict(data[len(bom) :], encoding)
    if b"\x00" in data:
        return _decode_utf16(data)
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as exc:
        return _decode_legacy(data, exc)


def _strict(data: bytes, encoding: str) -> tuple[str, str]:
    try:
        return data.decode(encoding), encoding
    except UnicodeDecodeError as exc:
        raise ValueError(f"starts like {encoding} but byte {exc.start} is not; convert it to UTF-8") from exc


def _decode_utf16(data: bytes) -> tuple[str, str]:
    for encoding in ("utf-16-le", "utf-16-be"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text and _common_share(text) >= _MIN_COMMON_SHARE:
            return text, encoding
    raise ValueError("the file holds NUL bytes: it is not text, or its encoding is unknown; convert it to UTF-8")


def _decode_legacy(data: bytes, utf8_error: UnicodeDecodeError) -> tuple[str, str]:
    text = data.decode("utf-8", "replace")
    if _is_nearly_sound(text):
        return text, "utf-8"
    fitting: list[tuple[float, str, str]] = []
    for encoding in _COMMON_LEADS:
        text = data.decode(encoding, "replace")
        if "\ufffd" not in text or _is_nearly_sound(text):
            fitting.append((_common_share(text, encoding), text, encoding))
    if fitting:
        share, text, encoding = max(fitting, key=lambda item: item[0])
        if share >= _MIN_COMMON_SHARE:
            return text, encoding
    from charset_normalizer import from_bytes

    best = from_bytes(data).best()
    if best is None:
        raise ValueError(
            f"the encoding could not be recognised (not UTF-8 at byte {utf8_error.start}); convert it to UTF-8"
        )
    return data.decode(best.encoding), best.encoding


def _is_nearly_sound(text: str) -> bool:
    """Whether a few bytes of a text were lost or changed, and the rest shows that the encoding is right."""
    damaged = text.count("\ufffd")
    if damaged > max(1, _MAX_DAMAGED_SHARE * len(text)):
        return False
    sound = sum(not char.isascii() for char in text) - damaged
    return sound >= _MIN_SOUND and damaged <= max(1, _MAX_DAMAGED_SHARE * sound)


def _common_share(text: str, encoding: str | None = None) -> float:
    """Share of the characters beyond ASCII that are common in the encoding, or ordinary letters and punctuation."""
    sample = [char for char in text[:_SAMPLE_CHARS] if not char.isascii()]
    if not sample:
        return 1.0
    return sum(_is_common(char, encoding) for char in sample) / len(sample)


def _is_common(char: str, encoding: str | None) -> bool:
    if not _BASIC_HAN.match(char):
        is_private = "\ue000" <= char < "\uf900"
        return "\u2000" <= char <= "\uffef" and not is_private and unicodedata.category(char)[0] in "LPNZS"
    if encoding is None:
        return bool(char.encode("gb2312", "ignore") or char.encode("big5", "ignore"))
    charset, low, high = _COMMON_LEADS[encoding]
    encoded = char.encode(charset, "ignore")
    return bool(encoded) and low <= encoded[0] <= high
