"""What takes time in indexing and needs no index: a text to its passages and vectors, passages to their words. Pure.

`index.workers` does the same in other processes, a batch of texts at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from index.damage import find_damage
from index.embeddings import Advance, Embedder
from index.encoder import Encoder
from index.fold import fold_text
from index.passages import clean, split
from index.placing import damage_notices, place
from index.readers import ReadText
from index.segmenter import Segmenter
from index.store.lexical import Entry
from index.store.rows import PassageText, Units
from index.tokens import tokenize
from index.types import Notice, Section
from index.units import embed


@dataclass(frozen=True, slots=True)
class Digest:
    """What is stored of a document beside its text: passages, their embedded units, and what to be wary of."""

    sections: list[Section]
    units: list[Units]
    notices: tuple[Notice, ...]


def digest(found: ReadText, embedder: Embedder, advance: Advance | None = None) -> Digest:
    """The passages of a text; `advance` is told how much of it is embedded.

    Raises:
        EncoderError: see `index.encoder`.
    """
    sections = place(split(found.text), found, find_damage(found.text))
    notices = (*found.notices, *damage_notices(found.text, sections))
    return Digest(sections, embed(found.text, sections, embedder, advance), notices)


def article_words(texts: Sequence[PassageText], segmenter: Segmenter) -> tuple[list[Entry], Entry]:
    """What lexical search indexes of an article's passages, and of the article: its title's words and theirs."""

    def tokens_of(text: str) -> list[str]:
        return tokenize(fold_text(text), segmenter)

    first, entries = texts[0], []
    whole = tokens_of(first.title)
    for text in texts:
        tokens = tokens_of(clean(text.text, text.start, text.hidden))
        whole += tokens
        # A passage is also found by its headings and by its article's title, date and place. Words that it repeats
        # count once: captions that repeat the title would win otherwise.
        context = tokens_of("\n".join([text.title, *text.heading_path, *text.context]))
        repeated = set(tokens)
        tokens += [token for token in dict.fromkeys(context) if token not in repeated]
        entries.append(Entry(text.row, text.document_row, " ".join(tokens)))
    return entries, Entry(first.article, first.document_row, " ".join(whole))


class Work:
    """What a worker process can be asked for."""

    def __init__(self, encoder: Encoder, segmenter: Segmenter) -> None:
        self._embedder = Embedder(encoder, None)
        self._segmenter = segmenter

    def digests(self, texts: Sequence[ReadText]) -> list[Digest]:
        return [digest(text, self._embedder) for text in texts]

    def words(self, articles: Sequence[Sequence[PassageText]]) -> list[tuple[list[Entry], Entry]]:
        return [article_words(texts, self._segmenter) for texts in articles]
