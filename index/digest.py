"""What takes time in indexing and needs no index: a text to its passages and vectors, passages to their words. Pure.

`index.workers` does the same in other processes, a batch of texts at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from index.damage import find_damage
from index.duplicates import Sketch, sketch
from index.embeddings import Advance, Embedder
from index.encoder import Encoder
from index.fold import fold_text
from index.passages import clean, split
from index.placing import damage_notices, place
from index.readers import ReadText
from index.segmenter import Segmenter
from index.store.lexical import Entry
from index.store.rows import PassageText, Units
from index.token_lines import token_lines
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


class Work:
    """What a worker process can be asked for."""

    def __init__(self, encoder: Encoder, segmenter: Segmenter) -> None:
        self._embedder = Embedder(encoder, None)
        self._segmenter = segmenter

    def digests(self, texts: Sequence[ReadText]) -> list[Digest]:
        return [digest(text, self._embedder) for text in texts]

    def words(self, articles: Sequence[Sequence[PassageText]]) -> list[tuple[list[Entry], Entry]]:
        return article_words(articles, self._segmenter)

    def sketches(self, texts: Sequence[str]) -> list[Sketch]:
        """Of texts that are not folded yet."""
        return [sketch(fold_text(text)) for text in texts]
