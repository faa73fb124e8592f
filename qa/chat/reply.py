"""An answer as the growing text of a chat message, with where in it each source is cited."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from qa.answering.links import absolute
from qa.answering.responses import Part
from qa.chat.card import MARKDOWN, beginning, card_of, ending, marked, written
from qa.schemas import AskResponse, Citation, Delta, Sources

# A mark of ours; brackets of documents are escaped.
_MARK = re.compile(r"(?<!\\)\[(\d{1,3})\]")
# What may still change when more text follows: the beginning of a mark, a number at the start of a line, white space.
_OPEN = re.compile(r"(?:(?:^|\n)[ \t]*\d{1,9}|[ \t\r\n]*(?:\[\d{0,3})?)$")
_REPLACED = "\n\n---\n\n"


@dataclass(frozen=True, slots=True)
class CitedSpan:
    """`content[start:end]` is what a citation is given for, its mark included."""

    citation: Citation
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole message in Markdown. Links in it are absolute; without `response` the documents were not asked."""

    content: str
    places: tuple[CitedSpan, ...] = ()
    response: AskResponse | None = None


def reply_parts(parts: Iterator[Part], base_url: str) -> Iterator[str | Reply]:
    """The message in pieces as the answer comes, then the whole.

    What was sent can't be taken back: where an answer gives way to another one, that follows below a line.
    """
    sources: list[Citation] = []
    text = sent = ""
    for part in parts:
        if isinstance(part, Sources):
            sources = part.citations
        elif isinstance(part, Delta):
            text = part.text if part.replace else text + part.text
            # A quoted answer is whole at once, and shown with its value, which comes with the response.
            if not part.replace and text != "\n".join(source.quote for source in sources):
                shown = written(marked(_settled(text), sources), MARKDOWN)
                if shown != sent:
                    yield shown[len(sent) :]
                sent = shown
        else:
            reply = _reply(part, sources, base_url, sent)
            yield reply.content[len(sent) :]
            yield reply


def _settled(text: str) -> str:
    """A text without what more text could change."""
    found = _OPEN.search(text)
    return text[: found.start()] if found else text


def _reply(response: AskResponse, sources: Sequence[Citation], base_url: str, sent: str) -> Reply:
    linked = response.model_copy(
        update={"citations": [c.model_copy(update={"url": absolute(c.url, base_url)}) for c in response.citations]}
    )
    card = card_of(linked, base_url)
    head, offset = beginning(card, MARKDOWN), 0
    if not head.startswith(sent):
        # Only now it is known what should have come first; that goes below.
        as_sent = written(_all_marked(response, sources), MARKDOWN)
        if as_sent.startswith(sent):
            head = as_sent
            card = replace(card, notes=(*([card.lead] if card.lead else []), *card.notes))
        else:
            offset = len(sent) + len(_REPLACED)
            head = f"{sent}{_REPLACED}{head}"
    content = "\n\n".join([head, *ending(card, MARKDOWN)])
    return Reply(content, tuple(_places(head, offset, linked.citations)), linked)


def _all_marked(response: AskResponse, sources: Sequence[Citation]) -> Iterator[str | int]:
    """The answer's text as it was streamed, with marks at its end for what is cited without one."""
    text = response.answer.text if response.answer else ""
    parts = list(marked(text, sources))
    yield from parts
    yield from (citation.n for citation in response.citations if citation.n not in parts)


def _places(content: str, start: int, citations: Sequence[Citation]) -> Iterator[CitedSpan]:
    """Where the citations are given; one mark behind another stands for the same text."""
    known = {citation.n: citation for citation in citations}
    last = start
    for match in _MARK.finditer(content, start):
        if content[last : match.start()].strip():
            start = last + len(content[last:]) - len(content[last:].lstrip())
        last = match.end()
        if (citation := known.get(int(match[1]))) is not None:
            yield CitedSpan(citation, start, match.end())
