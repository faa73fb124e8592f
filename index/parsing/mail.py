"""Mail messages (.eml): subject, sender, date and text; what is attached counts as documents of its own."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart

from index.parsing.archive import Member
from index.parsing.draft import Draft
from index.parsing.html import decode_html, write_html
from index.parsing.text import decode
from index.types import ReadText

_HEADERS = ("From", "To", "Cc", "Date")


def read_eml(data: bytes) -> ReadText:
    """The text of a message."""
    message = message_from_bytes(data, policy=policy.default)
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
    message = message_from_bytes(data, policy=policy.default)
    for number, part in enumerate(message.iter_attachments(), start=1):
        payload = part.get_payload(decode=True)
        name = (part.get_filename() or f"attachment-{number}").replace("/", "_")
        if isinstance(payload, bytes) and payload:
            yield Member(name, payload)


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
    try:
        text = payload.decode({"gb2312": "gb18030", "gbk": "gb18030"}.get(charset, charset))
    except (LookupError, UnicodeDecodeError):
        text, _ = decode(payload)
    for paragraph in text.replace("\r\n", "\n").split("\n\n"):
        for number, line in enumerate(paragraph.split("\n")):
            (draft.line if number else draft.paragraph)(line)
