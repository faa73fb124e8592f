"""Why a passage stands where it stands, and why a document is not first: part by part, and in words."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from pathlib import Path

from index.chunking.passages import clean
from index.encoder import Encoder, Vectors
from index.errors import DocumentNotFoundError
from index.retrieval.search import articles_with, encode_wordings, look_into, search
from index.store import DocumentLookup, PassageSearch
from index.text.fold import fold_text
from index.text.names import MARK
from index.text.tokens import stem
from index.types import DocumentInfo, Filters, Hit, Passage
from qa.answering.ranking import ReadPassages, rank_passages
from qa.schemas import ScoreParts, Standing, WhyNotResponse
from qa.understanding.question import Question

# So many passages are ranked when the document is not among those that a question reads.
WIDE_POOL = 1000
# Paths are compared letter by letter with this many at most; with more it would take minutes.
_MAX_COMPARED = 10_000
_NEAREST = 3
# A smaller lead in points than this decides nothing.
_NOTABLE = 0.05
_MAX_ARTICLES = 10_000
_DIGITS = 4


def explained(
    question: Question, hits: Sequence[Hit], passages: ReadPassages, store: PassageSearch
) -> list[ScoreParts]:
    """The parts of each hit's score; the `points` add up to it."""
    is_in_article = _article_search(hits, store)
    stems = {term: stem(term) for term in question.terms}
    explained_hits = []
    for hit in hits:
        matched, in_article, missing = _terms(stems, hit.passage, is_in_article)
        points = {name: round(value, _DIGITS) for name, value in passages.points_of(hit).items()}
        explained_hits.append(
            ScoreParts(
                lexical=hit.scores.lexical,
                dense=hit.scores.dense,
                article=hit.scores.article,
                reranker=hit.scores.reranker,
                points=points,
                matched=matched,
                in_article=in_article,
                missing=missing,
            )
        )
    return explained_hits


def _article_search(hits: Sequence[Hit], store: PassageSearch) -> Callable[[str, Passage], bool]:
    """Whether all tokens of a folded word, or a passages in pinyin, stand in a passage's article.

    Each word is looked for once, in the documents of all the hits: a question may have a thousand words.
    """
    here = Filters(document_id=tuple(dict.fromkeys(hit.passage.document_id for hit in hits)))
    articles = cache(lambda word: articles_with([word], store, here, _MAX_ARTICLES)[word])
    return lambda word, passage: passage.article in articles(word)


def _terms(
    stems: Mapping[str, str], passage: Passage, is_in_article: Callable[[str, Passage], bool]
) -> tuple[list[str], list[str], list[str]]:
    """The question's words that a passage or its headings hold, that only its article holds, and the others."""
    visible = clean(passage.text, passage.start, passage.hidden)
    folded = fold_text("\n".join([visible, passage.title, *passage.heading_path]))
    matched, in_article, missing = [], [], []
    for term, root in stems.items():
        if root in folded:
            matched.append(term)
        elif is_in_article(term, passage):
            in_article.append(term)
        else:
            missing.append(term)
    return matched, in_article, missing


def _names(question: Question, hit: Hit, store: PassageSearch) -> list[str]:
    """The question's names that a hit's article mentions, if only in another script."""
    is_in_article = _article_search([hit], store)
    return [name.removeprefix(MARK) for name in question.names if is_in_article(name, hit.passage)]


def find_document(named: str, store: DocumentLookup, base: Path) -> DocumentInfo:
    """The document with this id, path, or file name.

    Raises:
        DocumentNotFoundError: there is none, or several have that file name; the message lists the nearest.
    """
    if (info := store.document_info(named)) is not None:
        return info
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
    question: Question, wanted: DocumentInfo, passages: ReadPassages, store: PassageSearch, encoder: Encoder
) -> WhyNotResponse:
    """Compare the best passage of a document with the first hit."""
    wordings = encode_wordings(encoder, question.query.wordings)
    own, rank, stands_for = _find(question, wanted, passages, store, encoder)
    first = passages.hits[0] if passages.hits else None
    ahead = _standing(question, first, 1, store, wordings) if first else None
    behind = _standing(question, own, rank, store, wordings) if own else None
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
    if first is None or own is None:
        response.reasons.append("It shares no word and no meaning with the question, so it was not compared.")
    elif first.passage.id != own.passage.id and ahead and behind:
        response.reasons.extend(_reasons(question, first, own, ahead, behind, store))
    return response


def _find(
    question: Question, wanted: DocumentInfo, passages: ReadPassages, store: PassageSearch, encoder: Encoder
) -> tuple[Hit | None, int | None, Hit | None]:
    """The document's best passage, its rank, and the hit of another document that stands for it, if one does."""
    for hit in passages.hits:
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
    ids = (wanted.id, *(hit.passage.document_id for hit in passages.hits[:1]))
    return (
        next((hit for hit in widely(filters=Filters(document_id=ids)) if hit.passage.document_id == wanted.id), None),
        None,
        None,
    )


def _standing(question: Question, hit: Hit, rank: int | None, store: PassageSearch, wordings: Vectors) -> Standing:
    """A passage with its parts as if it were read for an answer, whether it was or not."""
    retrieved = replace(hit, score=hit.scores.total, scores=replace(hit.scores, reranker=None))
    inside = look_into([retrieved], store, question.query, question.names, question.places, wordings)
    (parts,) = explained(question, inside.hits, rank_passages(question, inside), store)
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
    question: Question, first: Hit, own: Hit, ahead: Standing, behind: Standing, store: PassageSearch
) -> Iterator[str]:
    if behind.rank is None:
        yield "Other passages are so much nearer to the question that it was not even a candidate."
    mentioned = _names(question, own, store)
    names = [name for name in _names(question, first, store) if name not in mentioned]
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
