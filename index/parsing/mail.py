"""Mail messages (.eml): subject, sender, date and text; what is attached counts as documents of its own."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage, MIMEPart
from email.policy import EmailPolicy
from functools import lru_cache
from typing import TYPE_CHECKING

from index.parsing.archive import Member
from index.parsing.draft import Draft
from index.parsing.html import decode_html, write_html
from index.parsing.text import can_be_declared, decode
from index.types import ReadText

_MAX_ATTACHMENTS = 1_000
if TYPE_CHECKING:
    _Policy = EmailPolicy[EmailMessage]
else:
    _Policy = EmailPolicy  # which takes no parameters when it runs

# Python reads a header in time quadratic in its length. Addresses of five hundred people, a name of three hundred.
_MAX_HEADER_CHARS = 20_000
_MAX_CONTENT_HEADER_CHARS = 4_000
_HEADERS = ("From", "To", "Cc", "Date")


def read_eml(data: bytes) -> ReadText:
    """The text of a message."""
    message = _message(data)
    draft = Draft()
    draft.heading(1, _header(message, "Subject"))
    for name in _HEADERS:
        if value := _header(message, name):
            draft.line(f"{name}: {value}")
    if draft.size == 0:
        raise ValueError("is no mail message: it has neither subject nor sender nor date")
    body = message.get_body(("plain", "html"))
    if body is not None:
        _write(body, draft)
    return draft.finish()


def attachments(data: bytes) -> Iterator[Member]:
    """The files that came with a message."""
    for number, part in enumerate(_message(data).iter_attachments(), start=1):
        if number > _MAX_ATTACHMENTS:
            raise ValueError(f"has more than {_MAX_ATTACHMENTS} attachments; save those that count as files")
        payload = part.get_payload(decode=True)
        name = (part.get_filename() or f"attachment-{number}").replace("/", "_")
        if isinstance(payload, bytes) and payload:
            yield Member(name, payload)


class _Bounded(_Policy):
    """The default policy, for headers of bounded length."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        limit = _MAX_CONTENT_HEADER_CHARS if name.lower().startswith("content-") else _MAX_HEADER_CHARS
        return name, value[:limit]


@lru_cache(maxsize=1)
def _message(data: bytes) -> EmailMessage:
    return message_from_bytes(data, policy=_Bounded())


def _header(message: EmailMessage, name: str) -> str:
    return str(message.get(name, "")).strip()


def _write(body: MIMEPart, draft: Draft) -> None:
    payload = body.get_payload(decode=True)
    if not isinstance(payload, bytes) or not payload.strip():
        return
    if body.get_content_subtype() == "html":
        write_html(decode_html(payload)[0], draft)
        return
    charset = body.get_content_charset() or "utf-8"
    if not can_be_declared(charset):
        charset = "utf-8"
    try:
        text = payload.decode({"gb2312": "gb18030", "gbk": "gb18030"}.get(charset, charset))
    except (LookupError, UnicodeDecodeError):
        text, _ = decode(payload)
    for paragraph in text.replace("\r\n", "\n").split("\n\n"):
        for number, line in enumerate(paragraph.split("\n")):
            (draft.line if number else draft.paragraph)(line)
