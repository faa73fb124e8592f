"""An answer as people read it in a chat: the short value, the text with its marks, numbered sources with links.

`card_of` makes a card of any response, `render` writes it in a dialect: Markdown as chat clients render it, or plain
text. What documents say is shown and never acts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from qa.answering.responses import absolute, passage_link
from qa.chat.phrases import CHINESE, ENGLISH, Phrases, phrases_for
from qa.schemas import AskResponse, Citation, HitOut, TextPlace

# What a reader is shown where there is no answer.
_NEAREST = 3
_EXCERPT_CHARS = 120
_SOURCES = re.compile(
    "\n\n\\*\\*(?:"
    + "|".join(title for phrases in (CHINESE, ENGLISH) for title in (phrases.sources, phrases.nearest))
    + ")\\*\\*"
)
_MARK = re.compile(r"\[(\d{1,3})\]")

# Marks that begin links, emphasis, code, HTML, entities, formulas and table cells anywhere in a line.
_INLINE = re.compile(r"[\\`*_\[\]<>~|&$]")
# White space that makes code, and marks that make headings, lists, quotations and rules at the start of a line.
_INDENT = re.compile(r"(\n)[ \t]+|^(?:\t| {4})[ \t]*")
_BLOCK = re.compile(r"(^ {0,3}|\n)([#+=-]|\d{1,9}(?=[.)]))")
_BREAK = re.compile(r"(?<! ) *+\n")
# Controls and marks of direction, which make a text look like another one.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_URL_SAFE = ":/?#@!$&*+,;=%[]-._~"


@dataclass(frozen=True, slots=True)
class CardSource:
    """One numbered source. `excerpt` is one line of what it says; `url` opens it at that place."""

    n: int
    title: str
    place: str
    excerpt: str
    url: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """What to show. `parts` are the text in order: strings, and numbers where source n is to be marked.

    `value` is the short answer, `lead` what has to be known before it; None where there is none. Where nothing was
    found, `is_answered` is false, `parts` say so in a sentence with the reason, and `sources` are the nearest passages.
    """

    phrases: Phrases
    is_answered: bool
    value: str | None
    parts: tuple[str | int, ...]
    sources: tuple[CardSource, ...]
    notes: tuple[str, ...]
    lead: str | None = None

    @property
    def text(self) -> str:
        """The text alone, with marks as [n]."""
        return "".join(part if isinstance(part, str) else f" [{part}]" for part in self.parts)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of chat writes things. `link` takes a label that is escaped already, and a URL."""

    escape: Callable[[str], str]
    link: Callable[[str, str], str]
    strong: Callable[[str], str]
    mark: Callable[[int], str]


def card_of(response: AskResponse, base_url: str = "") -> Card:
    """The card of a response; `base_url` is put before links that count from the server's root."""
    phrases = phrases_for(response.query)
    notes = (phrases.understood.format(response.interpreted_as),) if response.interpreted_as else ()
    answer = response.answer
    if answer is None:
        missing = phrases.join.join(response.missing_terms)
        reason = phrases.missing.format(missing) if missing else phrases.reasons[response.reason or "no_hits"]
        nearest = tuple(nearest_source(hit, phrases, base_url) for hit in response.hits[:_NEAREST])
        return Card(phrases, False, None, (f"{phrases.not_found}{phrases.gap}{reason}",), nearest, notes)
    sources = tuple(cited_source(citation, phrases, base_url) for citation in response.citations)
    parts = marked(answer.text, response.citations) if answer.kind == "generated" else _quoted(answer.text, response)
    lead = phrases.fallback if answer.fallback else None
    # A generated text says the value itself, and comes before the value is known.
    value = answer.value if answer.kind == "extractive" else None
    return Card(phrases, True, value, tuple(parts), sources, notes, lead)


def cited_source(citation: Citation, phrases: Phrases, base_url: str = "") -> CardSource:
    """A citation as a source."""
    damaged = [citation.quote[start - citation.start : end - citation.start] for start, end in citation.damaged]
    notes = (phrases.damaged.format(one_line(" … ".join(damaged))),) if damaged else ()
    return _source(citation.n, citation, citation.quote, absolute(citation.url, base_url), phrases, notes)


def nearest_source(hit: HitOut, phrases: Phrases, base_url: str = "") -> CardSource:
    """A passage that was found but not cited as a source."""
    return _source(hit.rank, hit, hit.text, passage_link(hit.document_id, hit.start, hit.end, base_url), phrases)


def one_line(text: str, limit: int | None = None) -> str:
    """A text with its white space as single spaces, cut after `limit` characters."""
    line = " ".join(text.split())
    return line if limit is None or len(line) <= limit else f"{line[:limit].rstrip()}…"


def render(card: Card, dialect: Dialect) -> str:
    """The whole card: text, sources, notes."""
    return "\n\n".join([beginning(card, dialect), *ending(card, dialect)])


def beginning(card: Card, dialect: Dialect) -> str:
    """What precedes the sources: the lead, the value, the text with its marks."""
    lead = [dialect.escape(card.lead)] if card.lead else []
    value = [dialect.strong(dialect.escape(card.value))] if card.value else []
    return "\n\n".join([*lead, *value, written(card.parts, dialect)])


def written(parts: Iterable[str | int], dialect: Dialect) -> str:
    """The text of a card with its marks."""
    return "".join(dialect.escape(part) if isinstance(part, str) else dialect.mark(part) for part in parts)


def ending(card: Card, dialect: Dialect) -> list[str]:
    """What follows the text, block by block: the list of sources, then notes."""
    blocks = []
    if card.sources:
        title = card.phrases.sources if card.is_answered else card.phrases.nearest
        blocks.append("\n".join([f"{dialect.strong(title)}{card.phrases.colon}", "", *_list(card, dialect)]))
    return blocks + [dialect.escape(note) for note in card.notes]


def without_sources(markdown: str) -> str:
    """The text of a card that was written in Markdown, without its list of sources."""
    return _SOURCES.split(markdown, maxsplit=1)[0]


def _list(card: Card, dialect: Dialect) -> Iterator[str]:
    for source in card.sources:
        label = dialect.escape(f"{source.title} · {source.place}")
        notes = [dialect.escape(note) for note in source.notes]
        yield f"{source.n}. {' · '.join([dialect.link(label, source.url), *notes])}"
        if not card.is_answered:
            yield f"   {dialect.escape(source.excerpt)}"


def _quoted(text: str, response: AskResponse) -> Iterator[str | int]:
    """A quoted answer with the number of each quote behind it."""
    quotes = [(citation.quote, citation.n) for citation in response.citations]
    if text == "\n".join(quote for quote, _ in quotes):
        for number, (quote, n) in enumerate(quotes):
            yield f"\n{quote}" if number else quote
            yield n
    else:
        yield text
        yield from (n for _, n in quotes)


def marked(text: str, citations: Sequence[Citation]) -> Iterator[str | int]:
    """The parts of a text that holds its own marks; a mark that names no source stays text."""
    known = {citation.n for citation in citations}
    start = 0
    for match in _MARK.finditer(text):
        if int(match[1]) in known:
            yield text[start : match.start()].rstrip(" ")
            yield int(match[1])
            start = match.end()
    yield text[start:]


def _source(n: int, place: TextPlace, text: str, url: str, phrases: Phrases, notes: tuple[str, ...] = ()) -> CardSource:
    where = [phrases.page.format(place.page)] if place.page is not None else []
    where.append(phrases.paragraph.format(place.paragraph))
    stale = (phrases.stale,) if place.stale else ()
    title = one_line(place.title) or place.path.rpartition("/")[2]
    return CardSource(n, title, phrases.join.join(where), one_line(text, _EXCERPT_CHARS), url, (*notes, *stale))


def escape_markdown(text: str) -> str:
    """A text that Markdown renders as itself: no links, headings, lists, HTML; its line breaks are kept."""
    text = _INDENT.sub(r"\1", escape_plain(text))
    text = _INLINE.sub(r"\\\g<0>", text)
    text = _BLOCK.sub(_escape_block, text)
    return _BREAK.sub("  \n", text)


def _escape_block(match: re.Match[str]) -> str:
    return f"{match[1]}\\{match[2]}" if not match[2].isdigit() else f"{match[1]}{match[2]}\\"


def escape_plain(text: str) -> str:
    """A text without controls and marks of direction, with its lines ending in a line feed."""
    return UNSEEN.sub("", _LINE_END.sub("\n", text))


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
