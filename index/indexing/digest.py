"""What takes time in indexing and needs no index: a text to its passages and vectors, passages to their words. Pure.

`index.indexing.workers` does the same in other processes, a batch of texts at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import islice, starmap
from operator import attrgetter
from typing import Any

from index.chunking.damage import find_damage
from index.chunking.passages import clean, damage_notices, place, split
from index.encoder import Encoder
from index.indexing.embeddings import Advance, Asked, Embedder, HalfVectors, Memory
from index.indexing.units import embed
from index.parsing import ReadText
from index.store.lexical import Entry
from index.store.rows import PassageText, Units
from index.text.segmenter import Segmenter
from index.text.tokens import token_lines
from index.types import Notice, Section


@dataclass(frozen=True, slots=True)
class Digest:
    """What is stored of a document beside its text: passages, their embedded units, and what to be wary of."""

    sections: list[Section]
    units: list[Units]
    notices: tuple[Notice, ...]

    def __reduce__(self) -> tuple[Callable[..., Digest], tuple[object, ...]]:
        """For another process; what dataclasses do by themselves takes three times as long."""
        return _digest_of, (list(map(_OF_SECTION, self.sections)), list(map(_OF_UNITS, self.units)), self.notices)


_OF_SECTION, _OF_UNITS = (attrgetter(*(field.name for field in fields(kind))) for kind in (Section, Units))


def _digest_of(sections: list[Any], units: list[Any], notices: tuple[Notice, ...]) -> Digest:
    return Digest(list(starmap(Section, sections)), list(starmap(Units, units)), notices)


def digest(found: ReadText, embedder: Embedder, advance: Advance | None = None) -> Digest:
    """The passages of a text; `advance` is told how much of it is embedded.

    Raises:
        EncoderError: see `index.encoder`.
    """
    return _digests([found], embedder, advance)[0]


def _digests(texts: Sequence[ReadText], embedder: Embedder, advance: Advance | None = None) -> list[Digest]:
    """What each text holds; they are embedded together, which takes less time than one after the other."""
    sections = [place(split(found.text), found, find_damage(found.text)) for found in texts]
    passages = ((found.text, section) for found, own in zip(texts, sections, strict=True) for section in own)
    units = iter(embed(passages, embedder, advance))
    return [
        Digest(own, list(islice(units, len(own))), (*found.notices, *damage_notices(found.text, own)))
        for found, own in zip(texts, sections, strict=True)
    ]


def article_words(articles: Sequence[Sequence[PassageText]], segmenter: Segmenter) -> list[tuple[list[Entry], Entry]]:
    """What lexical search indexes of each article's passages, and of the article: its title's words and theirs."""
    shown = {text.row: clean(text.text, text.start, text.hidden) for texts in articles for text in texts}
    around = {
        text.row: "\n".join([text.title, *text.heading_path, *text.context]) for texts in articles for text in texts
    }
    distinct = list({*shown.values(), *around.values(), *(texts[0].title for texts in articles)})
    lines = dict(zip(distinct, token_lines(distinct, segmenter), strict=True))
    contexts = {text: frozenset(lines[text].split()) for text in around.values()}

    def tokens_of(text: PassageText) -> str:
        """A passage is also found by its headings and by its article's title, date and place.

        Words that it repeats count once: captions that repeat the title would win otherwise.
        """
        own = lines[shown[text.row]]
        return own + " ".join(contexts[around[text.row]].difference(own.split()))

    found = []
    for texts in articles:
        first = texts[0]
        whole = "".join([lines[first.title], *(lines[shown[text.row]] for text in texts)])
        entries = [Entry(text.row, text.document_row, tokens_of(text)) for text in texts]
        found.append((entries, Entry(first.article, first.document_row, whole)))
    return found


Remembered = tuple[list[Digest], dict[bytes, HalfVectors]]


class Work:
    """What a worker process can be asked for."""

    def __init__(self, encoder: Encoder, segmenter: Segmenter) -> None:
        self._encoder = encoder
        self._embedder = Embedder(encoder)
        self._segmenter = segmenter

    def digests(self, texts: Sequence[ReadText]) -> list[Digest]:
        return _digests(texts, self._embedder)

    def embedded(self, texts: Sequence[ReadText]) -> set[bytes]:
        """By digest, the texts whose vectors `digests` takes; see `index.indexing.embeddings`."""
        asked = Asked()
        embedder = Embedder(self._encoder, cache=asked)
        for text in texts:
            digest(text, embedder)
        return asked.texts

    def digests_with(self, given: tuple[Sequence[ReadText], dict[bytes, HalfVectors]]) -> Remembered:
        """Digests of texts, made with the vectors that are known, and the vectors that were not."""
        texts, known = given
        memory = Memory(known)
        embedder = Embedder(self._encoder, cache=memory)
        return [digest(text, embedder) for text in texts], memory.fresh

    def words(self, articles: Sequence[Sequence[PassageText]]) -> list[tuple[list[Entry], Entry]]:
        return article_words(articles, self._segmenter)
