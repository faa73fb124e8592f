"""An answer quoted from the passages, or the reason why they give none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from index.encoder import Encoder
from index.store import Store
from index.tokens import query_tokens
from index.types import Filters, Hit, Passage, Span
from qa.clauses import Clause, Idf, idf_of, rank_clauses, rerank
from qa.confidence import MIN_CONFIDENCE, confidence
from qa.question import Question
from qa.values import value_of

Reason = Literal["no_hits", "low_confidence", "missing_terms", "no_quantity"]
Quote = tuple[Passage, Span]

# How many passages are read for an answer.
ANSWER_POOL = 10
# Articles beyond these are not looked through for a name; a name in so many articles tells nothing apart.
_NAME_ARTICLES = 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is verbatim; `quotes` are where it stands, as spans of each passage's text. `confidence` is 0 to 1."""

    text: str
    value: str | None
    confidence: float
    quotes: tuple[Quote, ...]


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why there is no answer. `missing_terms` are names in the question that no article brings together."""

    reason: Reason
    missing_terms: tuple[str, ...] = ()
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What the best passages hold for a question.

    `hits` are all that were found, those that answer first; `clauses` those of the best few, likeliest first;
    `missing` are places in the question that no article found brings together.
    """

    hits: list[Hit]
    clauses: list[Clause]
    missing: tuple[str, ...]
    idf: Idf


def read(question: Question, hits: Sequence[Hit], store: Store, encoder: Encoder) -> Reading:
    """Look through the best of `hits`, passages in the order that search gave them, for what answers."""
    idf = idf_of(store.document_frequency, store.counts()[1])
    if not hits:
        return Reading([], [], (), idf)
    about, others, missing = _about(question, hits, store)
    pool = (about or others)[:ANSWER_POOL]
    vectors = {found.row: found.vectors for found in store.vectors(hit.passage.row for hit in pool)}
    pool = [hit for hit in pool if hit.passage.row in vectors]
    clauses = rank_clauses(question, pool, vectors, encoder.encode_query(question.wanted), idf)
    return Reading(rerank(pool, clauses, [*about, *others]), clauses, tuple(missing), idf)


def answer(question: Question, reading: Reading, encoder: Encoder) -> Answer | NoAnswer:
    """The answer that a reading gives, or why it gives none."""
    if not reading.clauses:
        return NoAnswer("no_hits")
    if reading.missing:
        return NoAnswer("missing_terms", reading.missing)
    best = reading.clauses[0]
    certainty = confidence(question, reading.clauses)
    if question.asks_quantity and not best.fitting:
        return NoAnswer("no_quantity", confidence=certainty)
    if certainty < MIN_CONFIDENCE:
        return NoAnswer("low_confidence", confidence=certainty)
    value = value_of(question, best, reading.idf, encoder.encode_documents)
    passage = best.hit.passage
    shown = passage.text[slice(*value)] if value else None
    return Answer(passage.text[slice(*best.span)], shown, certainty, ((passage, best.span),))


def _about(question: Question, hits: Sequence[Hit], store: Store) -> tuple[list[Hit], list[Hit], list[str]]:
    """The hits whose article mentions every place of the question, the other hits, and the places that are missing.

    Where some of these articles also mention the names that the segmenter only guessed, the rest count as others.
    """
    mentions = {name: _articles_with(name, store) for name in question.names}
    required = [mentions[name] for name in question.places]
    about = [hit for hit in hits if all(hit.passage.article in rows for rows in required)]
    missing = [name for name in question.places if hits[0].passage.article not in mentions[name]] if not about else []
    guessed = [rows for name, rows in mentions.items() if name not in question.places and rows]
    closer = [hit for hit in about if all(hit.passage.article in rows for rows in guessed)]
    chosen = closer or about
    return chosen, [hit for hit in hits if hit not in chosen], missing


def _articles_with(name: str, store: Store) -> set[int]:
    found = [
        {row for row, _ in store.search_articles([(token, 1.0)], _NAME_ARTICLES, Filters())}
        for token in query_tokens(name)
    ]
    return set.intersection(*found) if found else set()
