"""The passages that search found, read for what answers: put in order, with the clauses that may answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from index.chunking.passages import clean
from index.retrieval import scoring
from index.retrieval.reranker import Reranker
from index.retrieval.search import Retrieved
from index.text.fold import HIDDEN
from index.text.scripts import HAN
from index.types import Hit, Passage
from qa.answering.clauses import Clause, in_order, lacks, rank_clauses
from qa.understanding.question import Question

Points = Mapping[str, float]
_HAN = re.compile(f"[{HAN}]")


@dataclass(frozen=True, slots=True)
class ReadPassages:
    """What the best passages hold for a question.

    `hits` are all that were found, those that answer first; `points` says of each passage that was read, by row, what
    adds up to its score. `clauses` are those that can answer, likeliest first. `missing` are places in the question
    that no article found brings together; `weights` are those of the question's concepts.
    """

    hits: list[Hit]
    points: Mapping[int, Points]
    clauses: list[Clause]
    missing: tuple[str, ...]
    weights: list[float]

    def points_of(self, hit: Hit) -> Points:
        """What adds up to a hit's score.

        What was not read keeps its order below what was: its points are scaled down to fit there.
        """
        if (points := self.points.get(hit.passage.row)) is not None:
            return points
        (points,) = _points([hit], {})
        total = sum(points.values())
        scale = hit.score / total if total else 0.0
        return {name: scale * value for name, value in points.items()}


def rank_passages(question: Question, retrieved: Retrieved, reranker: Reranker | None = None) -> ReadPassages:
    """Look through the best of what was retrieved for what answers.

    A reranker has the last word on the order of what was read; which clause answers is still found by words, meaning
    and kind, with its passage's new score added.
    """
    pool = [hit for hit in retrieved.hits if hit.passage.row in retrieved.cosines]
    clauses = rank_clauses(question, pool, retrieved.cosines, retrieved.weights)
    best = {clause.hit.passage.row: clause for clause in reversed(clauses)}
    read = [hit for hit in pool if hit.passage.row in best]
    points = _points(read, best)
    ranked = _put_first(_placed(read, points), [hit for hit in retrieved.hits if hit.passage.row not in best])
    by_row: dict[int, Points] = {hit.passage.row: part for hit, part in zip(read, points, strict=True)}
    if reranker:
        ranked, clauses, by_row = _reranked(question, reranker, ranked, clauses)
    # Only an article that mentions the places of the question answers it, where there is one.
    answering = [clause for clause in clauses if clause.hit.passage.article in retrieved.about]
    return ReadPassages(ranked, by_row, answering or clauses, retrieved.missing, retrieved.weights)


def _points(hits: Sequence[Hit], best: Mapping[int, Clause]) -> list[dict[str, float]]:
    """What adds up to each passage's score; with its best clause where it was read."""
    features = []
    for hit in hits:
        scores = hit.scores
        of = {"words": scores.lexical, "article": scores.article, "meaning": scores.dense, "names": scores.names}
        if clause := best.get(hit.passage.row):
            of |= {"clause words": clause.coverage, "clause meaning": clause.cosine, "clause kind": clause.fit}
        features.append(of)
    points = scoring.points(features, scoring.weights("passage"))
    for of in points:
        if "clause kind" in of:
            # A clause never takes from its passage's score.
            of["clause kind"] = max(of["clause kind"], -(of["clause words"] + of["clause meaning"]))
    return points


def _placed(hits: Iterable[Hit], points: Iterable[Points]) -> list[Hit]:
    """Hits with the sums of their points for scores; their ranks are still those of the search."""
    return [_at(hit, hit.rank, sum(of.values())) for hit, of in zip(hits, points, strict=True)]


def _at(hit: Hit, rank: int, score: float) -> Hit:
    """The same hit at another place; `dataclasses.replace` takes four times as long."""
    return Hit(rank, score, hit.passage, hit.scores, hit.also_in)


def _put_first(first: Sequence[Hit], rest: Sequence[Hit]) -> list[Hit]:
    """Hits with new ranks: `first` by their scores, then `rest`, scores of another scale, scaled to fit below."""
    ordered = sorted(first, key=lambda hit: (-hit.score, hit.rank))
    floor = ordered[-1].score if ordered else 1.0
    ceiling = max((hit.score for hit in rest), default=0.0) or 1.0
    scores = [hit.score for hit in ordered] + [floor * min(1.0, hit.score / ceiling) for hit in rest]
    placed = zip([*ordered, *rest], scores, strict=True)
    return [_at(hit, rank, score) for rank, (hit, score) in enumerate(placed, start=1)]


def _reranked(
    question: Question, reranker: Reranker, hits: Sequence[Hit], clauses: Sequence[Clause]
) -> tuple[list[Hit], list[Clause], dict[int, Points]]:
    """Passages that were read in the order of a cross-encoder's scores, and their clauses with these added."""
    rows = {clause.hit.passage.row for clause in clauses}
    read = [hit for hit in hits if hit.passage.row in rows]
    query = question.wanted if question.excluded else question.text
    scores = reranker.scores(query, [_text(hit.passage) for hit in read])
    by_row = {hit.passage.row: score for hit, score in zip(read, scores, strict=True)}
    first = [
        replace(hit, score=score, scores=replace(hit.scores, reranker=score))
        for hit, score in zip(read, scores, strict=True)
    ]
    added = scoring.points(
        ({"reranker": by_row[clause.hit.passage.row]} for clause in clauses), scoring.weights("clause")
    )
    raised = [replace(clause, score=clause.score + of["reranker"]) for clause, of in zip(clauses, added, strict=True)]
    ranked = _put_first(first, [hit for hit in hits if hit.passage.row not in by_row])
    return ranked, in_order(raised), {row: {"reranker": score} for row, score in by_row.items()}


def _text(passage: Passage) -> str:
    visible = clean(passage.text, passage.start, passage.hidden).replace(HIDDEN, "")
    return "\n".join([passage.title, *passage.heading_path, visible])


def confidence(question: Question, passages: ReadPassages) -> float:
    """Chance, 0 to 1, that the first clause answers: a logistic regression fitted by `benchmarks/calibrate.py`."""
    parts = scoring.parts(confidence_features(question, passages), scoring.weights("confidence"))
    return scoring.chance(sum(parts.values()))


def confidence_features(question: Question, passages: ReadPassages) -> dict[str, float]:
    """What tells whether the first clause answers.

    `unfit` is 1 when a quantity or name is asked for and none stands there, `margin` the lead over the best clause of
    another passage, `label` 1 when the clause is a heading or the like, `foreign` 1 when question and clause are in
    different scripts and share no word, so that coverage tells nothing; `foreign cosine` is then the cosine again.
    `named` is the share of the question's names that the article mentions, 0 where it has none.
    """
    best = passages.clauses[0]
    other = next((clause.score for clause in passages.clauses if clause.hit is not best.hit), 0.0)
    share = best.hit.scores.names
    foreign = not best.coverage and bool(_HAN.search(question.topic)) != bool(_HAN.search(best.folded.text))
    return {
        "one": 1.0,
        "coverage": best.coverage,
        "cosine": best.cosine,
        "unfit": float(lacks(question, best.folded.text, best.fitting)),
        "margin": min(1.0, best.score - other),
        "label": float(best.fit < 0),
        "foreign": float(foreign),
        "foreign cosine": best.cosine if foreign else 0.0,
        "named": share,
        "foreign named": share if foreign else 0.0,
    }
