"""Cards within a platform's limits, and cards as runs of text for platforms that take no markup."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from qa.chat.card import Card, Dialect, render
from qa.chat.dialects import MARKDOWN, escape_plain, safe_url

_LEAST_TEXT = 300

# Marks around what is strong or a link; the escaping of texts leaves none of them.
_STRONG, _LINK, _LABEL, _END = "\x01", "\x02", "\x03", "\x04"
_RUN = re.compile(
    f"{_STRONG}(?P<strong>[^{_END}]*){_END}|{_LINK}(?P<url>[^{_LABEL}]*){_LABEL}(?P<label>[^{_END}]*){_END}"
)


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text, shown as it is: a link when it has a `url`."""

    text: str
    url: str | None = None
    is_strong: bool = False


def linked(dialect: Dialect) -> Dialect:
    """A dialect where a source has no link when its URL leads nowhere from a chat (server.public_url is not set)."""
    return replace(dialect, link=lambda label, url: dialect.link(label, url) if "://" in url else label)


RUNS = linked(
    Dialect(
        escape=escape_plain,
        link=lambda label, url: f"{_LINK}{safe_url(url)}{_LABEL}{label}{_END}",
        strong=lambda text: f"{_STRONG}{text}{_END}",
        mark=lambda n: f" [{n}]",
    )
)
markdown = partial(render, dialect=linked(MARKDOWN))
marked = partial(render, dialect=RUNS)


def runs(written: str) -> Iterator[Run]:
    """The runs of what `marked` wrote."""
    end = 0
    for match in _RUN.finditer(written):
        if match.start() > end:
            yield Run(written[end : match.start()])
        strong = match["strong"]
        yield Run(match["label"], match["url"]) if strong is None else Run(strong, is_strong=True)
        end = match.end()
    if end < len(written):
        yield Run(written[end:])


def utf8_size(text: str) -> int:
    """The bytes of a text in UTF-8."""
    return len(text.encode())


def fitted(card: Card, write: Callable[[Card], str], limit: int, size: Callable[[str], int] = utf8_size) -> str:
    """The card as `write` gives it, its text cut and its last sources left out until its size is within `limit`."""
    while size(written := write(card)) > limit:
        if len(card.text) > _LEAST_TEXT:
            card = replace(card, parts=_shortened(card.parts, len(card.text) * 3 // 4))
        elif card.sources:
            card = replace(card, sources=card.sources[:-1])
        elif card.notes:
            card = replace(card, notes=())
        else:
            # A short answer that is as long as a message; what is left has no sources to lose.
            return written[: limit // 4]
    return written


def _shortened(parts: tuple[str | int, ...], chars: int) -> tuple[str | int, ...]:
    kept: list[str | int] = []
    for part in parts:
        if isinstance(part, str):
            if len(part) >= chars:
                return (*kept, f"{part[:chars].rstrip()}…")
            chars -= len(part)
        kept.append(part)
    return tuple(kept)
