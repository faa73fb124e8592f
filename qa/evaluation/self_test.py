"""Whether search finds in the index what stands in it: its words by the lexical leg, its meaning by the dense one."""

from __future__ import annotations

from index.retrieval.search import known_tokens
from index.store import Store
from index.text.fold import fold_text
from index.types import Filters
from qa.engine import Engine

PASSED = "lexical and dense search find passages by their own words"
# A passage can be of furniture alone, which neither leg looks at; so a few are tried.
_TRIED = 5
_SHOWN_CHARS = 60
_LOOKED_AT = 200


def self_test(engine: Engine, store: Store) -> str | None:
    """What is wrong with a store, in words that say what to run; None when each leg finds what it must.

    An index without passages passes: there is nothing to be found.
    """
    rows = [row for info in store.documents(_TRIED) for row in _first_row(store, info.id)]
    if not rows:
        return None
    for leg, finds in (("lexical", _finds_words), ("dense", _finds_meaning)):
        if not any(finds(engine, store, row) for row in rows):
            return f"{leg} search does not find a passage by its own words; run: qa index --rebuild"
    return None


def _first_row(store: Store, document_id: str) -> list[int]:
    return store.passage_rows_of([document_id]).get(document_id, [])[:1]


def _finds_words(engine: Engine, store: Store, row: int) -> bool:
    passage = store.passages([row])[row]
    terms = [(token, 1.0) for token in known_tokens(store, fold_text(_opening(passage.text)))]
    scores = store.search_passages(terms, _LOOKED_AT, Filters(document_id=(passage.document_id,)))
    return row in dict(scores)


def _finds_meaning(engine: Engine, store: Store, row: int) -> bool:
    passage = store.passages([row])[row]
    vector = engine.encoder.encode_query(_opening(passage.text))
    scores = store.search_vectors(vector, _LOOKED_AT, Filters(document_id=(passage.document_id,)))
    return bool(vector.any()) and row in dict(scores)


def _opening(text: str) -> str:
    return " ".join(text.split())[:_SHOWN_CHARS]
