"""What takes time in indexing and needs no index: a text to its passages and vectors, passages to their words. Pure.

`index.indexing.workers` does the same in other processes, a batch of texts at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice, starmap
from operator import attrgetter
from typing import Any

import numpy as np

from index.chunking.passages import clean, with_passages
from index.chunking.sentences import clauses
from index.encoder import Encoder, Vectors, row_sums, unit_length
from index.indexing.embeddings import Advance, Embedder, HalfVectors, KnownVectors, WantedTexts
from index.parsing import ReadText
from index.store.codes import encode, width
from index.store.terms import ArticleEntries, article_words
from index.text.fold import HIDDEN
from index.text.segmenter import Segmenter
from index.types import Notice, PassageText, Section, Span, Units

MIN_UNIT_CHARS = 12
UNITS_PER_PASSAGE = 1 << 12
# Beside 1 for the unit itself; 0.3 to 0.5 measured alike.
CONTEXT_SHARE = 0.3
# So many are in memory as float32 at once; enough for an encoder to find texts of like length among them.
_BATCH_UNITS = 16384


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


def digest(text: ReadText, embedder: Embedder, advance: Advance | None = None) -> Digest:
    """The passages of a text; `advance` is told how much of it is embedded.

    Raises:
        EncoderError: see `index.encoder`.
    """
    return _digests([text], embedder, advance)[0]


def _digests(texts: Sequence[ReadText], embedder: Embedder, advance: Advance | None = None) -> list[Digest]:
    """What each text holds; they are embedded together, which takes less time than one after the other."""
    own = [(read.text, list(read.sections or ()), read.notices) for read in map(with_passages, texts)]
    units = iter(embed(((text, section) for text, sections, _ in own for section in sections), embedder, advance))
    return [Digest(sections, list(islice(units, len(sections))), notices) for _, sections, notices in own]


def embed(passages: Iterable[tuple[str, Section]], embedder: Embedder, advance: Advance | None = None) -> list[Units]:
    """The embedded units of passages, each given with its document's text; `advance` is told how many are done.

    A unit's vector also holds a share of its passage and of the title and headings above it: the clause alone seldom
    says which place or year it speaks of.
    """
    batches = list(_unit_batches(_cut(text, section) for text, section in passages))
    total = sum(batch.size for batch in batches)
    embedded: list[Units] = []
    done = 0
    for batch in batches:
        embedded += _units(batch, embedder.encode(batch.texts, _beyond(done, total, advance)))
        done += batch.size
    return embedded


def _beyond(before: int, total: int, advance: Advance | None) -> Advance | None:
    """Progress with a batch as progress with the whole."""
    return (lambda done, _: advance(before + done, total)) if advance else None


@dataclass(frozen=True, slots=True)
class _Cut:
    """A passage's clean text, the spans of its units in it, and what stands above it."""

    passage: str
    spans: list[Span]
    context: str


@dataclass(frozen=True, slots=True)
class _UnitBatch:
    """Passages that are embedded together; `contexts` numbers the distinct headings above them."""

    cuts: list[_Cut]
    contexts: dict[str, int]

    @classmethod
    def of(cls, cuts: list[_Cut]) -> _UnitBatch:
        return cls(cuts, {context: number for number, context in enumerate(dict.fromkeys(cut.context for cut in cuts))})

    @property
    def size(self) -> int:
        return len(self.contexts) + sum(len(cut.spans) for cut in self.cuts)

    @property
    def texts(self) -> list[str]:
        units = (cut.passage[start:end].replace(HIDDEN, "") for cut in self.cuts for start, end in cut.spans)
        return [*self.contexts, *units]


def _cut(text: str, section: Section) -> _Cut:
    passage = clean(text[section.start : section.end], section.start, section.hidden)
    return _Cut(passage, unit_spans(passage), "\n".join([section.title, *section.heading_path, *section.context]))


def _unit_batches(cuts: Iterable[_Cut]) -> Iterator[_UnitBatch]:
    """Some thousand units at a time."""
    batch: list[_Cut] = []
    units = 0
    for cut in cuts:
        batch.append(cut)
        units += len(cut.spans)
        if units >= _BATCH_UNITS:
            yield _UnitBatch.of(batch)
            batch, units = [], 0
    if batch:
        yield _UnitBatch.of(batch)


def _units(batch: _UnitBatch, encoded: Vectors) -> list[Units]:
    """The units of a batch's passages, from the vectors of its texts `(batch.size, dim)`."""
    own = encoded[len(batch.contexts) :]
    counts = np.array([len(cut.spans) for cut in batch.cuts], dtype=np.int64)
    headings = encoded.take([batch.contexts[cut.context] for cut in batch.cuts], axis=0)
    wholes = unit_length(row_sums(own, np.arange(len(own)), counts))
    around = (wholes + headings).repeat(counts, axis=0)
    codes = encode(unit_length(own + CONTEXT_SHARE * around))
    ends = (np.cumsum(counts) * width(encoded.shape[1])).tolist()
    return [
        Units(tuple(cut.spans), codes[start:end]) for cut, start, end in zip(batch.cuts, [0, *ends], ends, strict=False)
    ]


def unit_spans(text: str) -> list[Span]:
    """Clauses of a passage's clean text; crumbs are joined to the clause before them on the same line."""
    spans: list[Span] = []
    for start, end in clauses(text):
        is_crumb = bool(spans) and (end - start < MIN_UNIT_CHARS or spans[-1][1] - spans[-1][0] < MIN_UNIT_CHARS)
        if is_crumb and "\n" not in text[spans[-1][1] : start]:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans[:UNITS_PER_PASSAGE]


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
        wanted = WantedTexts()
        embedder = Embedder(self._encoder, cache=wanted)
        for text in texts:
            digest(text, embedder)
        return wanted.texts

    def digests_with(self, given: tuple[Sequence[ReadText], dict[bytes, HalfVectors]]) -> Remembered:
        """Digests of texts, made with the vectors that are known, and the vectors that were not."""
        texts, known = given
        vectors = KnownVectors(known)
        embedder = Embedder(self._encoder, cache=vectors)
        return [digest(text, embedder) for text in texts], vectors.fresh

    def words(self, articles: Sequence[Sequence[PassageText]]) -> list[ArticleEntries]:
        return article_words(articles, self._segmenter)
