"""An answer as the growing text of a chat message, with where in it each source is cited."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from qa.answering.responses import Part, absolute
from qa.chat.card import MARKDOWN, UNSEEN, beginning, card_of, ending, marked, written
from qa.schemas import AskResponse, Citation, Sources

# A mark of ours; brackets of documents are escaped.
_MARK = re.compile(r"(?<!\\)\[(\d{1,3})\]")
# What may still change when more text follows, beside white space: the beginning of a mark, and a number, which makes
# a list at the start of a line.
_BEGUN_MARK = re.compile(r"\[\d{0,3}\Z")
_BEGUN_NUMBER = re.compile(r"(?<!\d)\d{1,9}\Z")
_LOOKED_AT = 10
# What shows nothing yet; what follows it may still stand at the beginning of a line.
_SPACES = " \t\r\n" + "".join(filter(UNSEEN.match, map(chr, (*range(0x2070), 0xFEFF))))
_VISIBLE = re.compile(r"\S")
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
    stream, quoted = MarkdownStream(()), ""
    sent: list[str] = []
    for part in parts:
        if isinstance(part, Sources):
            stream, quoted = MarkdownStream(part.citations), "\n".join(source.quote for source in part.citations)
        elif isinstance(part, AskResponse):
            before = "".join(sent)
            reply = _reply(part, stream.citations, base_url, before)
            yield reply.content[len(before) :]
            yield reply
        # A quoted answer is whole at once, and shown with its value, which comes with the response.
        elif not part.replace and (sent or part.text != quoted) and (shown := stream.feed(part.text)):
            sent.append(shown)
            yield shown


class MarkdownStream:
    """Writes a text that comes in parts as Markdown, as far as it can't change any more."""

    def __init__(self, citations: Sequence[Citation]) -> None:
        self.citations = citations
        # White space and what else is held back, and whether text was written since the last mark.
        self._open: list[str] = []
        self._is_begun = False

    def feed(self, part: str) -> str:
        """What can be shown now that this part came."""
        self._open.append(part)
        if not part.strip(_SPACES):
            return ""
        text = "".join(self._open)
        end = self._settled(text)
        self._open = [text[end:]]
        return "".join(self._written(piece) for piece in marked(text[:end], self.citations) if piece != "")

    def _settled(self, text: str) -> int:
        """How much of a text can't change when more follows."""
        last = max(0, len(text) - _LOOKED_AT)
        if mark := _BEGUN_MARK.search(text, last):
            return len(text[: mark.start()].rstrip(_SPACES))
        if number := _BEGUN_NUMBER.search(text, last):
            before = text[: number.start()].rstrip(" \t")
            if before.endswith("\n") or not (before or self._is_begun):
                return len(before.rstrip(_SPACES))
        return len(text.rstrip(_SPACES))

    def _written(self, piece: str | int) -> str:
        """A piece as it stands in the whole; only at the beginning of a text do marks begin a list or a heading."""
        if isinstance(piece, int):
            self._is_begun = False
            return MARKDOWN.mark(piece)
        before, self._is_begun = "." if self._is_begun else "", True
        return MARKDOWN.escape(before + piece)[len(before) :]


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
    given = set(parts)
    yield from (citation.n for citation in response.citations if citation.n not in given)


def _places(content: str, start: int, citations: Sequence[Citation]) -> Iterator[CitedSpan]:
    """Where the citations are given; one mark behind another stands for the same text."""
    known = {citation.n: citation for citation in citations}
    last = start
    for match in _MARK.finditer(content, start):
        if (visible := _VISIBLE.search(content, last, match.start())) is not None:
            start = visible.start()
        last = match.end()
        if (citation := known.get(int(match[1]))) is not None:
            yield CitedSpan(citation, start, match.end())
