"""Markdown as chat clients render it, and plain text. What documents say is shown and never acts."""

from __future__ import annotations

import re
from urllib.parse import quote

from qa.chat.card import Card, Dialect, render

# Marks that begin links, emphasis, code, HTML, entities, formulas and table cells anywhere in a line.
_INLINE = re.compile(r"[\\`*_\[\]<>~|&$]")
# White space that makes code, and marks that make headings, lists, quotations and rules at the start of a line.
_INDENT = re.compile(r"(\n)[ \t]+|^(?:\t| {4})[ \t]*")
_BLOCK = re.compile(r"(^ {0,3}|\n)([#+=-]|\d{1,9}(?=[.)]))")
# Controls and marks of direction, which make a text look like another one.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_URL_SAFE = ":/?#@!$&*+,;=%[]-._~"


def escape_markdown(text: str) -> str:
    """A text that Markdown renders as itself: no links, headings, lists, HTML; its line breaks are kept."""
    text = _INDENT.sub(r"\1", escape_plain(text))
    text = _INLINE.sub(r"\\\g<0>", text)
    text = _BLOCK.sub(_escape_block, text)
    return re.sub(r" *\n", "  \n", text)


def _escape_block(match: re.Match[str]) -> str:
    return f"{match[1]}\\{match[2]}" if not match[2].isdigit() else f"{match[1]}{match[2]}\\"


def escape_plain(text: str) -> str:
    """A text without controls and marks of direction, with its lines ending in a line feed."""
    return _UNSEEN.sub("", _LINE_END.sub("\n", text))


def safe_url(url: str) -> str:
    """A URL that ends where it should when it is put between brackets."""
    return quote(url, safe=_URL_SAFE)


MARKDOWN = Dialect(
    escape=escape_markdown,
    link=lambda label, url: f"[{label}]({safe_url(url)})",
    strong=lambda text: f"**{text}**",
    mark=lambda n: f" [{n}]",
)
PLAIN = Dialect(
    escape=escape_plain,
    link=lambda label, url: f"{label} {safe_url(url)}",
    strong=lambda text: text,
    mark=lambda n: f" [{n}]",
)


def markdown(card: Card) -> str:
    """The card in Markdown."""
    return render(card, MARKDOWN)


def plain(card: Card) -> str:
    """The card as plain text."""
    return render(card, PLAIN)
