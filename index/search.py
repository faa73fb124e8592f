"""Hybrid search over a store: BM25 of the passage, BM25 of its article, and nearness in meaning, added up.

The weights were chosen on benchmarks/union_questions.jsonl, DRCD and CMRC; `benchmarks/quality.py` shows what each
part gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from index.encoder import Encoder, Vectors
from index.fold import fold_text
from index.pinyin import MARK, reading
from index.store import Store, Terms
from index.store.database import HalfVectors
from index.tokens import is_name, query_tokens
from index.types import Filters, Hit, Scores

LEXICAL_CANDIDATES = 200
ARTICLE_CANDIDATES = 100
DENSE_CANDIDATES = 200
NAME_WEIGHT = 3.0
# A best passage with this share of the query's words, by weight, makes lexical scores fully comparable with others.
TRUSTED_SHARE = 0.2
# So many copies of a hit are named; a page's furniture may stand in ten thousand files.
MAX_COPIES = 20


@dataclass(frozen=True, slots=True)
class Weights:
    """What each part of a score counts for."""

    lexical: float = 1.0
    article: float = 1.0
    dense: float = 1.5


def search(
    store: Store,
    encoder: Encoder,
    query: str,
    *,
    top_k: int = 5,
    filters: Filters = Filters(),  # noqa: B008 - frozen
    weights: Weights = Weights(),
    names: Sequence[str] = (),
) -> list[Hit]:
    """The `top_k` passages that fit `query` best; fewer when fewer share a word or a meaning with it.

    `names` are folded words of the query that say which article is meant; they count more in finding it.
    """
    terms = [(token, 1.0) for token in known_tokens(store, fold_text(query))]
    naming = {token for name in names for token in known_tokens(store, name)}
    article_terms = [(token, NAME_WEIGHT if token in naming else 1.0) for token, _ in terms]
    vector = encoder.encode_query(query)
    lexical = dict(store.search_passages(terms, LEXICAL_CANDIDATES, filters))
    articles = dict(store.search_articles(article_terms, ARTICLE_CANDIDATES, filters))
    dense = dict(store.search_vectors(vector, DENSE_CANDIDATES, filters)) if vector.any() else {}
    candidates = store.vectors(sorted(lexical.keys() | dense.keys()))
    cosines = best_cosines([candidate.vectors for candidate in candidates], vector)
    best_lexical, best_article = max(lexical.values(), default=1.0), max(articles.values(), default=1.0)
    trust = _trust(store, terms, best_lexical)
    scored = []
    for candidate, cosine in zip(candidates, cosines, strict=True):
        word = trust * lexical.get(candidate.row, 0.0) / best_lexical
        article = trust * articles.get(candidate.article, 0.0) / best_article
        total = weights.lexical * word + weights.dense * cosine + weights.article * article
        scored.append((candidate.row, Scores(word, cosine, article, total)))
    scored.sort(key=lambda item: (-item[1].total, item[0]))
    return _hits(store, scored, top_k, filters)


def known_tokens(store: Store, folded: str) -> list[str]:
    """The tokens of a question, where names that stand nowhere in the store are replaced by their pinyin.

    What only looks like pinyin is left out unless something in the store reads so.
    """
    found = []
    for token in query_tokens(folded):
        if is_name(token) and not store.document_frequency(token):
            found.append(reading(token))
        elif not token.startswith(MARK) or store.document_frequency(token):
            found.append(token)
    return found


def _trust(store: Store, terms: Terms, best: float) -> float:
    """How far the lexical parts can be trusted, 0 to 1.

    They are relative to the best match, which is worth little when even that holds next to none of the query's words,
    as when the query is in another language. A passage of ordinary length that holds every word once has the sum of
    their inverse document frequencies for its BM25 score.
    """
    passages = store.counts()[1]
    ideal = sum(
        math.log(1 + (passages - count + 0.5) / (count + 0.5))
        for count in (store.document_frequency(token) for token, _ in terms)
    )
    return min(1.0, best / (TRUSTED_SHARE * ideal)) if ideal else 0.0


def best_cosines(groups: Sequence[HalfVectors], vector: Vectors) -> list[float]:
    """For each group of unit vectors, the cosine of the one nearest to `vector`, at least 0."""
    filled = [group for group in groups if len(group)]
    if not filled:
        return [0.0] * len(groups)
    cosines = np.concatenate(filled).astype(np.float32) @ vector
    starts = np.cumsum([0, *(len(group) for group in filled[:-1])])
    best = iter(np.maximum(np.maximum.reduceat(cosines, starts), 0.0).tolist())
    return [next(best) if len(group) else 0.0 for group in groups]


def _hits(store: Store, scored: Sequence[tuple[int, Scores]], top_k: int, filters: Filters) -> list[Hit]:
    """The best `top_k` passages, each standing for all that say the same."""
    leaders = store.clusters(row for row, _ in scored)
    best: dict[int, tuple[int, Scores]] = {}
    for row, scores in scored:
        best.setdefault(leaders[row], (row, scores))
        if len(best) == top_k:
            break
    passages = store.passages(row for row, _ in best.values())
    copies = store.copies({row: leader for leader, (row, _) in best.items()}, MAX_COPIES, filters)
    kept = [(passages[row], scores) for row, scores in best.values() if row in passages]
    return [
        Hit(rank, scores.total, passage, scores, tuple(copies[passage.row]))
        for rank, (passage, scores) in enumerate(kept, start=1)
    ]
