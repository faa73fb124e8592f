"""A reading put into the order of a cross-encoder."""

from __future__ import annotations

from dataclasses import replace

from index.chunking.passages import clean
from index.retrieval.reranker import Reranker
from index.text.fold import HIDDEN
from index.types import Hit, Passage
from qa.answering.answer import Reading
from qa.answering.clauses import Clause, put_first
from qa.understanding.question import Question

# What its passage's score, 0 to 1, adds to a clause: as much as the retriever's own.
RERANKER_WEIGHT = 1.0


def reordered(reading: Reading, question: Question, reranker: Reranker) -> Reading:
    """The same reading with the passages that were read for an answer in the order of the reranker's scores.

    The other hits stay below them in their order. Which clause answers is still found by words, meaning and kind, now
    with its passage's score added.
    """
    rows = {clause.hit.passage.row for clause in reading.read}
    pool = [hit for hit in reading.hits if hit.passage.row in rows]
    query = question.wanted if question.excluded else question.text
    scores = reranker.scores(query, [_text(hit.passage) for hit in pool])
    by_row = {hit.passage.row: score for hit, score in zip(pool, scores, strict=True)}
    return replace(
        reading,
        hits=_ranked(reading.hits, by_row),
        read=_raised(reading.read, by_row),
        clauses=_raised(reading.clauses, by_row),
    )


def _raised(clauses: list[Clause], by_row: dict[int, float]) -> list[Clause]:
    raised = [
        replace(clause, score=clause.score + RERANKER_WEIGHT * by_row[clause.hit.passage.row]) for clause in clauses
    ]
    return sorted(raised, key=lambda clause: (-clause.score, clause.hit.rank, clause.span))


def _ranked(hits: list[Hit], by_row: dict[int, float]) -> list[Hit]:
    first = [
        replace(hit, score=by_row[hit.passage.row], scores=replace(hit.scores, reranker=by_row[hit.passage.row]))
        for hit in hits
        if hit.passage.row in by_row
    ]
    return put_first(first, [hit for hit in hits if hit.passage.row not in by_row])


def _text(passage: Passage) -> str:
    visible = clean(passage.text, passage.start, passage.hidden).replace(HIDDEN, "")
    return "\n".join([passage.title, *passage.heading_path, visible])
