"""Passages to the units that are embedded: clauses, so that one figure among twenty-five can be found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from index.chunking.passages import clean
from index.chunking.sentences import clauses
from index.encoder import Vectors, row_sums, unit_length
from index.indexing.embeddings import Advance, Embedder
from index.store.codes import encode, width
from index.store.rows import Units
from index.store.vectors import UNITS_PER_PASSAGE
from index.text.fold import HIDDEN
from index.types import Section, Span

MIN_UNIT_CHARS = 12
# Beside 1 for the unit itself; 0.3 to 0.5 measured alike.
CONTEXT_SHARE = 0.3
# So many are in memory as float32 at once; enough for an encoder to find texts of like length among them.
_BATCH_UNITS = 16384


def embed(passages: Iterable[tuple[str, Section]], embedder: Embedder, advance: Advance | None = None) -> list[Units]:
    """The embedded units of passages, each given with its document's text; `advance` is told how many are done.

    A unit's vector also holds a share of its passage and of the title and headings above it: the clause alone seldom
    says which place or year it speaks of.
    """
    batches = list(_batches(_cut(text, section) for text, section in passages))
    total = sum(batch.size for batch in batches)
    found: list[Units] = []
    done = 0
    for batch in batches:
        found += _units(batch, embedder.encode(batch.texts, _beyond(done, total, advance)))
        done += batch.size
    return found


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
class _Batch:
    """Passages that are embedded together; `contexts` numbers the distinct headings above them."""

    cuts: list[_Cut]
    contexts: dict[str, int]

    @classmethod
    def of(cls, cuts: list[_Cut]) -> _Batch:
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


def _batches(cuts: Iterable[_Cut]) -> Iterator[_Batch]:
    """Some thousand units at a time."""
    batch: list[_Cut] = []
    units = 0
    for cut in cuts:
        batch.append(cut)
        units += len(cut.spans)
        if units >= _BATCH_UNITS:
            yield _Batch.of(batch)
            batch, units = [], 0
    if batch:
        yield _Batch.of(batch)


def _units(batch: _Batch, encoded: Vectors) -> list[Units]:
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
    found: list[Span] = []
    for start, end in clauses(text):
        is_crumb = bool(found) and (end - start < MIN_UNIT_CHARS or found[-1][1] - found[-1][0] < MIN_UNIT_CHARS)
        if is_crumb and "\n" not in text[found[-1][1] : start]:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found[:UNITS_PER_PASSAGE]
