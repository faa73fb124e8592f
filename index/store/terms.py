"""The words of BM25: what is indexed of passages and articles, what is asked for, and what a word is worth. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from index.batches import batches
from index.chunking.passages import clean
from index.text.segmenter import Segmenter
from index.text.tokens import token_lines
from index.types import PassageText

# Articles that one process cuts into words in one go.
BATCH = 8


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Ways to say one thing, each of weighted tokens; a passage scores what the best of them gives."""

    ways: tuple[tuple[tuple[str, float], ...], ...]


# A token with its weight, or several ways to say the same.
Term = tuple[str, float] | AnyOf
Terms = Sequence[Term]


class LexicalEntry(NamedTuple):
    """What is indexed of a passage or an article; `tokens` with spaces between them.

    A tuple, as those go to another process in half the time.
    """

    row: int
    document_row: int
    tokens: str


ArticleEntries = tuple[list[LexicalEntry], LexicalEntry]
"""What is indexed of an article's passages, and of the article."""

CutArticles = Callable[[Iterable[Sequence[PassageText]]], Iterator[ArticleEntries]]
"""Passages, article by article, to what is indexed of them, in order; by other processes where there is much to do."""


def inverse_frequency(count: int, passages: int) -> float:
    """BM25's inverse document frequency of a token that `count` of `passages` hold."""
    return math.log(1 + (passages - count + 0.5) / (count + 0.5))


def article_words(articles: Sequence[Sequence[PassageText]], segmenter: Segmenter) -> list[ArticleEntries]:
    """What lexical search indexes of each article's passages, and of the article: its title's words and theirs."""
    shown = {text.row: clean(text.text, text.start, text.hidden) for texts in articles for text in texts}
    around = {
        text.row: "\n".join([text.title, *text.heading_path, *text.context]) for texts in articles for text in texts
    }
    distinct = list({*shown.values(), *around.values(), *(texts[0].title for texts in articles)})
    lines = dict(zip(distinct, token_lines(distinct, segmenter), strict=True))
    contexts = {text: frozenset(lines[text].split()) for text in around.values()}

    def tokens_of(text: PassageText) -> str:
        """A passage is also found by its headings and by its article's title, date and place.

        Words that it repeats count once: captions that repeat the title would win otherwise.
        """
        own = lines[shown[text.row]]
        return own + " ".join(contexts[around[text.row]].difference(own.split()))

    words: list[ArticleEntries] = []
    for texts in articles:
        first = texts[0]
        whole = "".join([lines[first.title], *(lines[shown[text.row]] for text in texts)])
        entries = [LexicalEntry(text.row, text.document_row, tokens_of(text)) for text in texts]
        words.append((entries, LexicalEntry(first.article, first.document_row, whole)))
    return words


def cut_here(segmenter: Segmenter) -> CutArticles:
    """Articles cut into words by this process."""
    return lambda articles: chain.from_iterable(article_words(some, segmenter) for some in batches(articles, BATCH))
