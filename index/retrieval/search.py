"""Hybrid search over a store: BM25 of the passage, BM25 of its article, and nearness in meaning, added up.

`index.retrieval.scoring` weighs the parts; `benchmarks/quality.py` shows what each of them gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from index.encoder import Encoder, Vectors
from index.retrieval import scoring
from index.retrieval.query import Query
from index.retrieval.scoring import Weights
from index.store import PassageSearch, codes
from index.store.terms import AnyOf, Term, Terms, inverse_frequency
from index.text.fold import fold_text
from index.text.names import MARK, is_name, reading
from index.text.segmenter import Synonyms
from index.text.tokens import query_tokens
from index.types import Filters, Hit, Scores

LEXICAL_CANDIDATES = 200
ARTICLE_CANDIDATES = 100
DENSE_CANDIDATES = 200
# How many passages are read for an answer.
READ = 10
# Articles beyond these are not looked through for a name; a name in so many articles tells nothing apart.
NAME_ARTICLES = 1000
# So many copies of a hit are named; a page's furniture may stand in ten thousand files.
MAX_COPIES = 20

# A passage with its score, less than nothing so that the best sorts first, its row, and the score's three parts.
_Scored = tuple[float, int, float, float, float]


def search(
    store: PassageSearch,
    encoder: Encoder,
    query: str,
    *,
    top_k: int = 5,
    filters: Filters = Filters(),  # noqa: B008 - frozen
    weights: Weights | None = None,
    names: Sequence[str] = (),
    synonyms: Synonyms = Synonyms(),  # noqa: B008 - frozen
    wordings: Vectors | None = None,
) -> list[Hit]:
    """The `top_k` passages that fit `query` best; fewer when fewer share a word or a meaning with it.

    `weights` are of `words`, `meaning` and `article`, by default those of weights.json.
    `names` are folded words of the query that say which article is meant; they count more in finding it.
    `synonyms` are looked for in the place of the query's own words. `wordings` are the query's vectors, see
    `encode_wordings`, where the caller has them already.
    """
    folded = fold_text(query)
    terms = _terms(store, folded, synonyms)
    naming = {token for name in names for token in known_tokens(store, name)}
    if wordings is None:
        wordings = encode_wordings(encoder, [query, *synonyms.wordings(folded)[1:]])
    lexical = dict(store.search_passages(terms, LEXICAL_CANDIDATES, filters))
    articles = dict(store.search_articles([_weighted(term, naming) for term in terms], ARTICLE_CANDIDATES, filters))
    dense = {
        row for vector in wordings if vector.any() for row, _ in store.search_vectors(vector, DENSE_CANDIDATES, filters)
    }
    candidates = store.vectors(sorted(lexical.keys() | dense))
    nearest = best_cosines([candidate.codes for candidate in candidates], wordings)
    best_lexical, best_article = max(lexical.values(), default=1.0), max(articles.values(), default=1.0)
    trust = _trust(store, terms, best_lexical)
    words = [trust * lexical.get(candidate.row, 0.0) / best_lexical for candidate in candidates]
    whole = [trust * articles.get(candidate.article, 0.0) / best_article for candidate in candidates]
    features = {"words": np.array(words), "meaning": np.array(nearest), "article": np.array(whole)}
    added = scoring.parts(features, scoring.weights("retrieval") if weights is None else weights)
    totals = np.negative(sum(added.values(), np.zeros(len(candidates)))).tolist()
    rows = [candidate.row for candidate in candidates]
    return _hits(store, sorted(zip(totals, rows, words, nearest, whole, strict=True)), top_k, filters)


def known_tokens(store: PassageSearch, folded: str) -> list[str]:
    """The tokens of a question, where names that stand nowhere in the store are replaced by their pinyin.

    What only looks like pinyin is left out unless something in the store reads so.
    """
    known = []
    tokens = query_tokens(folded, store.segmenter)
    store.expect(tokens)
    for token in tokens:
        if is_name(token, store.segmenter) and not store.document_frequency(token):
            known.append(reading(token))
        elif not token.startswith(MARK) or store.document_frequency(token):
            known.append(token)
    return known


def articles_with(
    words: Iterable[str],
    store: PassageSearch,
    filters: Filters = Filters(),  # noqa: B008 - frozen
    limit: int = NAME_ARTICLES,
) -> dict[str, set[int]]:
    """For each folded word the rows of the articles, at most `limit` a token, that hold all its tokens.

    A marked pinyin stands for the articles that read like it.
    """
    return {word: _articles_with(word, store, filters, limit) for word in words}


def _articles_with(word: str, store: PassageSearch, filters: Filters, limit: int) -> set[int]:
    tokens = [word] if word.startswith(MARK) else known_tokens(store, word)
    rows = [{row for row, _ in store.search_articles([(token, 1.0)], limit, filters)} for token in tokens]
    return set.intersection(*rows) if rows else set()


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What search found for a query, with what tells how well each hit fits.

    `hits` have the share of the query's names that their article mentions in `scores.names`, and come in the order of
    that added; their ranks are still those without. `cosines` are of the units of the best few, by passage row.
    `about` are the articles that mention all that is surely meant, `missing` what of it no article brings together.
    `weights` are those of the query's concepts.
    """

    hits: list[Hit]
    cosines: dict[int, list[float]]
    about: frozenset[int]
    missing: tuple[str, ...]
    weights: list[float]


def retrieve(
    store: PassageSearch,
    encoder: Encoder,
    query: Query,
    names: Sequence[str],
    sure: Sequence[str],
    *,
    top_k: int,
    filters: Filters,
) -> Retrieved:
    """The `top_k` passages that fit `query` best, looked into for an answer.

    `names` say which article is meant; those of them that are `sure` must be mentioned by it.
    """
    wordings = encode_wordings(encoder, query.wordings)
    hits = search(
        store,
        encoder,
        query.text,
        top_k=top_k,
        filters=filters,
        names=names,
        synonyms=query.synonyms,
        wordings=wordings,
    )
    return look_into(hits, store, query, names, sure, wordings)


def look_into(
    hits: Sequence[Hit],
    store: PassageSearch,
    query: Query,
    names: Sequence[str],
    sure: Sequence[str],
    wordings: Vectors,
) -> Retrieved:
    """Hits with what tells how well each of them fits; see `retrieve`."""
    if not hits:
        return Retrieved([], {}, frozenset(), (), [])
    mentions = _mentions(names, store, query.synonyms)
    named = _named(mentions, sure, {hit.passage.article for hit in hits})
    required = {n: rows for n, rows in mentions.items() if n in sure or (rows and n.startswith(MARK))}
    about = frozenset(row for row in named if all(row in rows for rows in required.values()))
    first = hits[0].passage.article
    missing = [] if about else [name.removeprefix(MARK) for name, rows in required.items() if first not in rows]
    hits = _by_name(hits, named)
    pool = [hit.passage.row for hit in hits[:READ]]
    return Retrieved(hits, _nearness(pool, wordings, store), about, tuple(missing), _weights(query, store))


def _mentions(names: Sequence[str], store: PassageSearch, synonyms: Synonyms) -> dict[str, set[int]]:
    """For each name the articles that mention it in one way or another."""
    ways = {name: synonyms.ways(name) for name in names}
    holding = articles_with([way for of in ways.values() for way in of], store)
    return {name: set().union(*(holding[way] for way in of)) for name, of in ways.items()}


def _named(mentions: Mapping[str, set[int]], sure: Sequence[str], articles: Iterable[int]) -> dict[int, float]:
    """Each article's share of the names that it mentions, by weight.

    What is only guessed to be a name counts less; what only looks like pinyin counts where an article reads so.
    """
    worth = scoring.weights("names")
    weights = {
        name: worth["sure" if name in sure else "guessed"]
        for name, rows in mentions.items()
        if rows or not name.startswith(MARK)
    }
    total = sum(weights.values()) or 1.0
    return {
        article: sum(weight for name, weight in weights.items() if article in mentions[name]) / total
        for article in articles
    }


def _by_name(hits: Sequence[Hit], named: Mapping[int, float]) -> list[Hit]:
    """Hits with their share of the names, in the order of that added to their scores."""
    bonus = scoring.weights("passage")["names"]
    placed = []
    for hit in hits:
        share, parts = named[hit.passage.article], hit.scores
        scores = Scores(parts.lexical, parts.dense, parts.article, parts.total, share, parts.reranker)
        placed.append(Hit(hit.rank, hit.score + bonus * share, hit.passage, scores, hit.also_in))
    return sorted(placed, key=lambda hit: (-hit.score, hit.rank))


def _weights(query: Query, store: PassageSearch) -> list[float]:
    """What each concept weighs: as much as its commonest way; most where no passage holds it."""
    passages, ways = store.counts()[1], list(dict.fromkeys(way for of in query.concepts for way in of))
    store.expect(ways)
    weights = {way: inverse_frequency(store.document_frequency(way), passages) for way in ways}
    return [min([weights[way] for way in of]) for of in query.concepts]


def _nearness(rows: Sequence[int], wordings: Vectors, store: PassageSearch) -> dict[int, list[float]]:
    """For each passage that is still there, how near each of its units is to any of `wordings`, as cosines."""
    passages = store.vectors(rows)
    if not passages:
        return {}
    cosines = iter(codes.cosines([passage.codes for passage in passages], wordings).max(axis=1).tolist())
    size = codes.width(wordings.shape[1])
    return {passage.row: list(islice(cosines, len(passage.codes) // size)) for passage in passages}


def _trust(store: PassageSearch, terms: Terms, best: float) -> float:
    """How far the lexical parts can be trusted, 0 to 1.

    They are relative to the best match, which is worth little when even that holds next to none of the query's words,
    as when the query is in another language. A passage of ordinary length that holds every word once has the sum of
    their inverse document frequencies for its BM25 score; a share of that is enough.
    """
    passages = store.counts()[1]
    ideal = _ideal(store, [term for term in terms if not isinstance(term, AnyOf)], passages)
    ideal += sum(min(_ideal(store, way, passages) for way in term.ways) for term in terms if isinstance(term, AnyOf))
    share = scoring.weights("terms")["trusted share"]
    return min(1.0, best / (share * ideal)) if ideal else 0.0


def _ideal(store: PassageSearch, terms: Iterable[tuple[str, float]], passages: int) -> float:
    """The sum of the terms' inverse document frequencies."""
    return sum([inverse_frequency(store.document_frequency(token), passages) for token, _ in terms])


def _terms(store: PassageSearch, folded: str, synonyms: Synonyms) -> list[Term]:
    """What BM25 looks for: the query's tokens, and for a word that has synonyms whichever of them fits best."""
    concepts: list[Term] = []
    own: set[str] = set()
    passages = store.counts()[1]
    for start, end in synonyms.find(folded):
        first, *others = ([(t, 1.0) for t in known_tokens(store, way)] for way in synonyms.ways(folded[start:end]))
        worth = _ideal(store, first, passages)
        ways = [tuple(first)]
        for other in others:
            # Another way that is made of more or of rarer tokens must not be worth more than the query's own.
            weight = scoring.weights("terms")["synonym"] * min(1.0, worth / (_ideal(store, other, passages) or 1.0))
            ways.append(tuple((token, weight) for token, _ in other))
        concepts.append(AnyOf(tuple(ways)))
        own.update(token for token, _ in first)
    return [*((token, 1.0) for token in known_tokens(store, folded) if token not in own), *concepts]


def _weighted(term: Term, naming: set[str]) -> Term:
    """A term as articles are searched for it: names count more."""
    name = scoring.weights("terms")["name"]
    if not isinstance(term, AnyOf):
        return term[0], term[1] * (name if term[0] in naming else 1.0)
    factor = name if any(token in naming for token, _ in term.ways[0]) else 1.0
    return AnyOf(tuple(tuple((token, weight * factor) for token, weight in way) for way in term.ways))


def encode_wordings(encoder: Encoder, wordings: Sequence[str]) -> Vectors:
    """Vectors of a question in several wordings, `(len(wordings), dim)`."""
    return np.stack([encoder.encode_query(wording) for wording in wordings])


def best_cosines(groups: Sequence[bytes], wordings: Vectors) -> list[float]:
    """For the codes of each group of vectors, the cosine of the one nearest to any of `wordings`, at least 0."""
    filled = [group for group in groups if group]
    if not filled:
        return [0.0] * len(groups)
    nearest = codes.cosines(filled, wordings).max(axis=1)
    size = codes.width(wordings.shape[1])
    starts = np.cumsum([0, *(len(group) // size for group in filled[:-1])])
    best = iter(np.maximum(np.maximum.reduceat(nearest, starts), 0.0).tolist())
    return [next(best) if group else 0.0 for group in groups]


def _hits(store: PassageSearch, scored: Sequence[_Scored], top_k: int, filters: Filters) -> list[Hit]:
    """The best `top_k` passages, each standing for all that say the same."""
    best: dict[int, tuple[int, Scores]] = {}
    # More than `top_k` are looked at only where some say the same.
    for start in range(0, len(scored), top_k):
        some = scored[start : start + top_k]
        leaders = store.clusters([row for _, row, *_ in some])
        for negative, row, word, cosine, article in some:
            if leaders[row] not in best:
                best[leaders[row]] = row, Scores(word, cosine, article, -negative)
        if len(best) >= top_k:
            break
    best = dict(islice(best.items(), top_k))
    passages = store.passages([row for row, _ in best.values()])
    copies = store.copies({row: leader for leader, (row, _) in best.items()}, MAX_COPIES, filters)
    there = [(passages[row], scores) for row, scores in best.values() if row in passages]
    return [
        Hit(rank, scores.total, passage, scores, tuple(copies[passage.row]))
        for rank, (passage, scores) in enumerate(there, start=1)
    ]
