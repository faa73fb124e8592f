"""An answer quoted from the passages, or the reason why they give none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from index.encoder import Encoder, Vectors
from index.retrieval.search import known_tokens
from index.store import Store
from index.text.names import MARK
from index.types import Filters, Hit
from qa.answering.clauses import Clause, Idf, idf_of, rank_clauses, rerank
from qa.answering.confidence import MIN_CONFIDENCE, confidence
from qa.answering.lists import Quote, list_parts, prose
from qa.answering.short_answer import value_of
from qa.understanding.question import Question

Reason = Literal["no_hits", "low_confidence", "missing_terms", "no_quantity"]
# How many passages are read for an answer.
ANSWER_POOL = 10
# What an article that mentions every name of the question has ahead of one that mentions none.
NAME_BONUS = 1.0
_GUESSED_NAME = 0.5
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

    `hits` are all that were found, those that answer first; `read` are the clauses of the best few, likeliest first,
    and `clauses` those of them that can answer;
    `missing` are places in the question that no article found brings together; `named` says of each article found
    which share of the question's names it mentions, by weight.
    """

    hits: list[Hit]
    read: list[Clause]
    clauses: list[Clause]
    missing: tuple[str, ...]
    named: Mapping[int, float]
    idf: Idf


def read(question: Question, hits: Sequence[Hit], store: Store, wordings: Vectors) -> Reading:
    """Look through the best of `hits`, passages in the order that search gave them, for what answers.

    `wordings`, `(n, dim)`, are the vectors of `question.wordings`.
    """
    idf = idf_of(store.document_frequency, store.counts()[1])
    if not hits:
        return Reading([], [], [], (), {}, idf)
    named, about, missing = _by_name(question, hits, store)
    hits = sorted(
        (hit.placed(hit.rank, hit.score + NAME_BONUS * named[hit.passage.article]) for hit in hits),
        key=lambda hit: (-hit.score, hit.rank),
    )
    pool = hits[:ANSWER_POOL]
    vectors = {found.row: found.codes for found in store.vectors(hit.passage.row for hit in pool)}
    pool = [hit for hit in pool if hit.passage.row in vectors]
    clauses = rank_clauses(question, pool, vectors, wordings, idf)
    ranked = rerank(pool, clauses, hits)
    # Only an article that mentions the places of the question answers it, where there is one.
    fitting = [clause for clause in clauses if clause.hit.passage.article in about]
    return Reading(ranked, clauses, fitting or clauses, tuple(missing), named, idf)


def answer(question: Question, reading: Reading, store: Store, encoder: Encoder) -> Answer | NoAnswer:
    """The answer that a reading gives, or why it gives none."""
    if not reading.clauses:
        return NoAnswer("no_hits")
    if reading.missing:
        return NoAnswer("missing_terms", reading.missing)
    best = reading.clauses[0]
    certainty = confidence(question, reading.clauses, reading.named)
    if question.asks_quantity and not best.fitting:
        return NoAnswer("no_quantity", confidence=certainty)
    if certainty < MIN_CONFIDENCE:
        return NoAnswer("low_confidence", confidence=certainty)
    passage = best.hit.passage
    value = value_of(question, best, reading.idf, encoder.encode_documents)
    shown = passage.text[slice(*value)] if value else None
    quotes = list_parts(question, best, store) or [
        (passage, best.span if question.asks_quantity or question.asks_name else prose(best))
    ]
    return Answer("\n".join(part.text[slice(*span)] for part, span in quotes), shown, certainty, tuple(quotes))


def _by_name(question: Question, hits: Sequence[Hit], store: Store) -> tuple[dict[int, float], set[int], list[str]]:
    """Each article's share of the question's names; articles that mention all its places; places that none has.

    What the segmenter only guesses to be a name counts half; what only looks like pinyin counts where an article reads
    so.
    """
    mentions = {
        name: set().union(*(articles_with(way, store) for way in question.synonyms.ways(name)))
        for name in question.names
    }
    weights = {
        name: 1.0 if name in question.places else _GUESSED_NAME
        for name, rows in mentions.items()
        if rows or not name.startswith(MARK)
    }
    total = sum(weights.values()) or 1.0
    articles = {hit.passage.article for hit in hits}
    named = {
        article: sum(weight for name, weight in weights.items() if article in mentions[name]) / total
        for article in articles
    }
    required = {n: rows for n, rows in mentions.items() if n in question.places or (rows and n.startswith(MARK))}
    about = {article for article in articles if all(article in rows for rows in required.values())}
    first = hits[0].passage.article
    missing = [] if about else [name.removeprefix(MARK) for name, rows in required.items() if first not in rows]
    return named, about, missing


def articles_with(name: str, store: Store, filters: Filters = Filters(), limit: int = _NAME_ARTICLES) -> set[int]:  # noqa: B008
    """Rows of the articles, at most `limit` a token, that hold all tokens of a folded word or read like a pinyin."""
    tokens = [name] if name.startswith(MARK) else known_tokens(store, name)
    found = [{row for row, _ in store.search_articles([(token, 1.0)], limit, filters)} for token in tokens]
    return set.intersection(*found) if found else set()
