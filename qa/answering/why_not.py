"""Why a document is not the first one for a question: where it stands, part by part, and in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from index.encoder import Encoder, Vectors
from index.errors import DocumentNotFoundError
from index.retrieval.search import encode_wordings, search
from index.store import Store
from index.types import DocumentInfo, Filters, Hit
from qa.answering.answer import Reading, read
from qa.answering.explain import explained, names_of
from qa.schemas import ScoreParts, Standing, WhyNotResponse
from qa.understanding.question import Question

# So many passages are ranked when the document is not among those that a question reads.
WIDE_POOL = 1000
# Paths are compared letter by letter with this many at most; with more it would take minutes.
_MAX_COMPARED = 10_000
_NEAREST = 3
# A smaller lead in points than this decides nothing.
_NOTABLE = 0.05


def find_document(named: str, store: Store, base: Path) -> DocumentInfo:
    """The document with this id, path, or file name.

    Raises:
        DocumentNotFoundError: there is none, or several have that file name; the message lists the nearest.
    """
    if (found := store.document_info(named)) is not None:
        return found
    documents = store.documents()
    target = _resolved(named)
    for info in documents:
        if info.path == named or base / info.path == target:
            return info
    called = [info for info in documents if Path(info.path).name == named]
    if len(called) == 1:
        return called[0]
    if called:
        shown = ", ".join(info.path for info in called[:_NEAREST])
        raise DocumentNotFoundError(f"{len(called)} documents are called {named!r}; give a path, such as {shown}")
    nearest = list(dict.fromkeys(_nearest(named, [info.path for info in documents])))[:_NEAREST]
    hint = f"the nearest: {', '.join(nearest)}" if nearest else "run: qa index"
    raise DocumentNotFoundError(f"no document has the path or id {named!r}; {hint}")


def _resolved(named: str) -> Path | None:
    """The place that a name would have here; None where no file can be called so."""
    try:
        return (Path.cwd() / named).resolve()
    except (ValueError, OSError, RuntimeError):  # a NUL in it, too long, links in a circle
        return None


def _nearest(named: str, paths: Sequence[str]) -> Iterator[str]:
    stem = Path(named).stem.lower()
    yield from islice((path for path in paths if stem and stem in path.lower()), _NEAREST)
    names = {Path(path).name: path for path in paths[:_MAX_COMPARED]}
    close = difflib.get_close_matches(Path(named).name, names, n=_NEAREST, cutoff=0.0)
    yield from (names[name] for name in close)


def why_not(
    question: Question, wanted: DocumentInfo, reading: Reading, store: Store, encoder: Encoder
) -> WhyNotResponse:
    """Compare the best passage of a document with the first hit of a reading."""
    wordings = encode_wordings(encoder, question.wordings)
    found, rank, stands_for = _find(question, wanted, reading, store, encoder)
    first = reading.hits[0] if reading.hits else None
    ahead = _standing(question, first, 1, store, wordings) if first else None
    behind = _standing(question, found, rank, store, wordings) if found else None
    response = WhyNotResponse(
        query=question.text, document_id=wanted.id, path=wanted.path, rank=rank, first=ahead, best=behind, reasons=[]
    )
    if stands_for is not None:
        response.reasons.append(
            f"A nearly identical passage stands for it: {stands_for.passage.path}, paragraph "
            f"{stands_for.passage.paragraph}, at rank {stands_for.rank}."
        )
    elif rank == 1:
        response.reasons.append("It is first; nothing is ahead of it.")
    if first is None or found is None:
        response.reasons.append("It shares no word and no meaning with the question, so it was not compared.")
    elif first.passage.id != found.passage.id and ahead and behind:
        response.reasons.extend(_reasons(question, first, found, ahead, behind, store))
    return response


def _find(
    question: Question, wanted: DocumentInfo, reading: Reading, store: Store, encoder: Encoder
) -> tuple[Hit | None, int | None, Hit | None]:
    """The document's best passage, its rank, and the hit of another document that stands for it, if one does."""
    for hit in reading.hits:
        if hit.passage.document_id == wanted.id:
            return hit, hit.rank, None
        if any(copy.document_id == wanted.id for copy in hit.also_in):
            return hit, hit.rank, hit
    widely = partial(
        search, store, encoder, question.wanted, top_k=WIDE_POOL, names=question.names, synonyms=question.synonyms
    )
    for hit in widely():
        if hit.passage.document_id == wanted.id:
            return hit, hit.rank, None
    # Not even a candidate: compared beside the first alone, where its parts are on the same scale.
    ids = (wanted.id, *(hit.passage.document_id for hit in reading.hits[:1]))
    return (
        next((hit for hit in widely(filters=Filters(document_id=ids)) if hit.passage.document_id == wanted.id), None),
        None,
        None,
    )


def _standing(question: Question, hit: Hit, rank: int | None, store: Store, wordings: Vectors) -> Standing:
    """A passage with its parts as if it were read for an answer, whether it was or not."""
    retrieved = replace(hit, score=hit.scores.total, scores=replace(hit.scores, reranker=None))
    parts = explained(question, retrieved, read(question, [retrieved], store, wordings), store)
    passage = hit.passage
    return Standing(
        rank=rank,
        score=round(sum(parts.points.values()), 4),
        passage_id=passage.id,
        document_id=passage.document_id,
        path=passage.path,
        title=passage.title,
        heading_path=list(passage.heading_path),
        page=passage.page,
        paragraph=passage.paragraph,
        start=passage.start,
        end=passage.end,
        text=passage.text,
        explain=parts.model_copy(update={"reranker": hit.scores.reranker}),
    )


def _reasons(
    question: Question, first: Hit, found: Hit, ahead: Standing, behind: Standing, store: Store
) -> Iterator[str]:
    if behind.rank is None:
        yield "Other passages are so much nearer to the question that it was not even a candidate."
    mentioned = names_of(question, found.passage, store)
    names = [name for name in names_of(question, first.passage, store) if name not in mentioned]
    one, other = ahead.explain, behind.explain
    if one.reranker is not None:
        with_score = f"{one.reranker:.2f} against {other.reranker:.2f}" if other.reranker is not None else "it alone"
        yield f"The reranker decides the order of the passages read for an answer, and scored the first: {with_score}."
    leads = {name: one.points[name] - other.points.get(name, 0.0) for name in one.points}
    for name in sorted(leads, key=lambda name: -leads[name]):
        if leads[name] >= _NOTABLE:
            yield f"{_describe(name, one, other, names)} (+{leads[name]:.2f})."
    if favours := [f"{name} +{-lead:.2f}" for name, lead in leads.items() if lead <= -_NOTABLE]:
        yield f"It is ahead in: {', '.join(favours)}."


def _describe(name: str, one: ScoreParts, other: ScoreParts, names: Sequence[str]) -> str:
    """Why the first is ahead in one part of the score, as a sentence without its end.

    `names` are those in the question that only the article of the first mentions.
    """
    lacking = [term for term in one.matched if term not in other.matched]
    lacks = f"; it lacks {'、'.join(lacking)}" if lacking else ""
    return {
        "words": f"Words of the question in the passage and its headings: {len(one.matched)} in the first, "
        f"{len(other.matched)} in this one{lacks}",
        "article": f"The whole article of the first fits better: {one.article:.2f} against {other.article:.2f}",
        "meaning": f"The first is nearer in meaning: {one.dense:.2f} against {other.dense:.2f}",
        "names": f"The question names {'、'.join(names)}: the article of the first mentions it, this one does not",
        "clause words": "The clause of the first that answers best holds more of the question's words",
        "clause meaning": "The clause of the first that answers best is nearer to the question in meaning",
        "clause kind": "The first has a clause with what is asked for (a number, sum, date, name, or a full statement)",
    }.get(name, f"The first is ahead in {name}")
