"""Why a passage stands where it stands: the parts of its score, and which of the question's words it holds."""

from __future__ import annotations

from index.chunking.passages import clean
from index.retrieval.search import Weights
from index.store import Store
from index.text.fold import fold_text
from index.text.names import MARK
from index.text.tokens import stem
from index.types import Filters, Hit, Passage
from qa.answering.answer import NAME_BONUS, Reading, articles_with
from qa.answering.clauses import CLAUSE_WEIGHT, COSINE_WEIGHT, COVERAGE_WEIGHT, FIT_WEIGHT
from qa.schemas import ScoreParts
from qa.understanding.question import Question

_MAX_ARTICLES = 10_000
_DIGITS = 4


def explained(question: Question, hit: Hit, reading: Reading, store: Store) -> ScoreParts:
    """The parts of a hit's score in a reading; the `points` add up to the hit's score."""
    matched, in_article, missing = terms_of(question, hit.passage, store)
    return ScoreParts(
        lexical=hit.scores.lexical,
        dense=hit.scores.dense,
        article=hit.scores.article,
        reranker=hit.scores.reranker,
        points={name: round(value, _DIGITS) for name, value in _points(hit, reading).items()},
        matched=matched,
        in_article=in_article,
        missing=missing,
    )


def terms_of(question: Question, passage: Passage, store: Store) -> tuple[list[str], list[str], list[str]]:
    """The question's words that a passage or its headings hold, that only its article holds, and the others."""
    visible = clean(passage.text, passage.start, passage.hidden)
    folded = fold_text("\n".join([visible, passage.title, *passage.heading_path]))
    matched, in_article, missing = [], [], []
    for term in question.terms:
        if stem(term) in folded:
            matched.append(term)
        elif is_in_article(term, passage, store):
            in_article.append(term)
        else:
            missing.append(term)
    return matched, in_article, missing


def names_of(question: Question, passage: Passage, store: Store) -> list[str]:
    """The question's names that a passage's article mentions, if only in another script."""
    return [name.removeprefix(MARK) for name in question.names if is_in_article(name, passage, store)]


def is_in_article(word: str, passage: Passage, store: Store) -> bool:
    """Whether all tokens of a folded word, or a reading in pinyin, stand in a passage's article."""
    here = Filters(document_id=(passage.document_id,))
    return passage.article in articles_with(word, store, here, _MAX_ARTICLES)


def _points(hit: Hit, reading: Reading) -> dict[str, float]:
    if hit.scores.reranker is not None:
        return {"reranker": hit.score}
    weights = Weights()
    points = {
        "words": weights.lexical * hit.scores.lexical,
        "article": weights.article * hit.scores.article,
        "meaning": weights.dense * hit.scores.dense,
        "names": NAME_BONUS * reading.named.get(hit.passage.article, 0.0),
    }
    best = next((clause for clause in reading.read if clause.hit.passage.row == hit.passage.row), None)
    if best is None:
        # What was not read for an answer keeps its order below what was: its points are scaled down to fit there.
        total = sum(points.values())
        scale = hit.score / total if total else 0.0
        return {name: scale * value for name, value in points.items()}
    words = CLAUSE_WEIGHT * COVERAGE_WEIGHT * best.coverage
    meaning = CLAUSE_WEIGHT * COSINE_WEIGHT * best.cosine
    # A clause never takes from its passage's score.
    kind = max(CLAUSE_WEIGHT * FIT_WEIGHT * best.fit, -(words + meaning))
    return points | {"clause words": words, "clause meaning": meaning, "clause kind": kind}
