"""What became of the documents: what was read, what was not and why, and what to be wary of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from index.store import Store
from index.types import Notice, Skipped


@dataclass(frozen=True, slots=True)
class Remark:
    """A notice with the path of the document that it is about."""

    path: str
    notice: Notice


@dataclass(slots=True)
class SyncReport:
    """What a sync did, in paths as they are now.

    `skipped` holds one message a file that could not be read; its last good version is kept.
    """

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    unchanged: int = 0
    skipped: list[str] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    passages: int = 0
    documents: int = 0
    generation: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class IndexReport:
    """The state of an index: counts, what is not in it, and what to be wary of in what is."""

    documents: int
    passages: int
    generation: int
    skipped: list[Skipped]
    remarks: list[Remark]


def report_of(store: Store) -> IndexReport:
    """The report of an index, from what it holds; no document is read again."""
    documents, passages = store.counts()
    remarks = [Remark(info.path, notice) for info in store.documents() for notice in info.notices]
    remarks.sort(key=lambda remark: (remark.notice.kind, remark.path, remark.notice.start or 0))
    return IndexReport(documents, passages, store.generation, store.skipped(), remarks)


def count_kinds(remarks: Sequence[Remark]) -> dict[str, int]:
    """How many remarks there are of each kind, the most frequent first."""
    return dict(Counter(remark.notice.kind for remark in remarks).most_common())
