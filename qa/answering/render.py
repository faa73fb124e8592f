"""Hits and quotes as responses show them: their places, and how fresh the file behind them is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from index.chunking.passages import within
from index.store import Store
from index.types import DocumentInfo, Hit, Span
from qa.answering.links import passage_link
from qa.answering.lists import Quote
from qa.schemas import Citation, Copy, HitOut, ScoreParts
from qa.understanding.question import Question


@dataclass(frozen=True, slots=True)
class Source:
    """When a document was last read (ISO 8601, UTC), and whether its file has changed or gone since."""

    read_at: str | None
    stale: bool


def sources_of(document_ids: Iterable[str], store: Store, base: Path) -> dict[str, Source]:
    """The freshness of documents, by id. `base` is the folder that their paths count from."""
    found = {}
    for document_id in dict.fromkeys(document_ids):
        info = store.document_info(document_id)
        # Between the search and now another process may have removed it.
        found[document_id] = Source(info.read_at, has_changed(info, base)) if info else Source(None, True)
    return found


def has_changed(info: DocumentInfo, base: Path) -> bool:
    """Whether the file of a document, or the archive that holds it, is another one than was read, or gone."""
    path = base / info.path
    while True:
        try:
            status = path.stat()
            return (status.st_size, status.st_mtime_ns) != (info.size, info.mtime_ns)
        except NotADirectoryError:
            path = path.parent  # a member of an archive has its archive's size and time
        except OSError:
            return True


def hit_out(hit: Hit, highlights: list[Span], source: Source, parts: ScoreParts | None = None) -> HitOut:
    """A hit as the API shows it. `highlights` are spans of the document's text."""
    passage = hit.passage
    return HitOut(
        rank=hit.rank,
        score=round(hit.score, 4),
        passage_id=passage.id,
        document_id=passage.document_id,
        collection=passage.collection,
        path=passage.path,
        title=passage.title,
        heading_path=list(passage.heading_path),
        page=passage.page,
        paragraph=passage.paragraph,
        start=passage.start,
        end=passage.end,
        text=passage.text,
        read_at=source.read_at,
        stale=source.stale,
        highlights=highlights,
        damaged=list(passage.damaged),
        explain=parts,
        also_in=[
            Copy(
                passage_id=copy.id,
                document_id=copy.document_id,
                path=copy.path,
                paragraph=copy.paragraph,
                start=copy.start,
                end=copy.end,
            )
            for copy in hit.also_in
        ],
    )


def highlights(hit: Hit, question: Question, cited: Sequence[Quote]) -> list[Span]:
    """What the answer quotes from this hit, or else the words it shares with the question."""
    quoted = [(p.start + start, p.start + end) for p, (start, end) in cited if p.id == hit.passage.id]
    return quoted or question.highlights(hit)


def citations(numbered: Iterable[tuple[int, Quote]], fresh: Mapping[str, Source], base_url: str) -> Iterator[Citation]:
    """Where each quote stands; with the number that each citation is to have.

    Its address begins with `base_url`, where the server is reached from outside; empty counts from its root.
    """
    for n, (passage, (start, end)) in numbered:
        first, last = passage.start + start, passage.start + end
        source = fresh[passage.document_id]
        yield Citation(
            n=n,
            document_id=passage.document_id,
            path=passage.path,
            title=passage.title,
            heading_path=list(passage.heading_path),
            page=passage.page_at(first),
            paragraph=passage.paragraph,
            start=first,
            end=last,
            quote=passage.text[start:end],
            damaged=within(passage.damaged, first, last),
            read_at=source.read_at,
            stale=source.stale,
            url=passage_link(passage.document_id, first, last, base_url),
        )
