"""A query read once, before anything is searched: its words with their tags, all ways to say them, its readings."""

from __future__ import annotations

import re
from dataclasses import dataclass

from index.text.names import spelled
from index.text.segmenter import Segmenter, Synonyms
from index.text.tokens import stem, words

_LATIN_WORD = re.compile("[a-z]+(?:['’][a-z]*)?")
# Only of these it matters whether the dictionary has the word or the segmenter guessed it.
_PLACE_TAGS = frozenset({"ns", "nz"})


@dataclass(frozen=True, slots=True)
class Query:
    """What can be told of a query's words without a store.

    `text` is folded. `tagged` are its words with their tags, `known` those tagged as places that the dictionary has.
    `terms` are the words that matter, `concepts` all ways to say each of them, without endings, `ways` the same with
    them and all together. `wordings` are the text, and the text with its words said in other ways. `latin` are its
    words in Latin letters, `readings` the marked pinyin that they may stand for.
    """

    text: str
    synonyms: Synonyms
    tagged: list[tuple[str, str]]
    known: frozenset[str]
    terms: list[str]
    concepts: list[tuple[str, ...]]
    ways: frozenset[str]
    wordings: list[str]
    latin: list[str]
    readings: list[str]


def read_query(folded: str, topic: str, segmenter: Segmenter, synonyms: Synonyms) -> Query:
    """Read a folded query; `topic` is what of it matters."""
    tagged = segmenter.tag(folded)
    places = {word for word, tag in tagged if tag in _PLACE_TAGS and len(word) > 1}
    terms = _terms(topic, segmenter, synonyms)
    ways = [synonyms.ways(term) for term in terms]
    latin = _LATIN_WORD.findall(folded)
    return Query(
        text=folded,
        synonyms=synonyms,
        tagged=tagged,
        known=frozenset(filter(segmenter.knows, places)),
        terms=terms,
        concepts=[tuple(map(stem, of)) for of in ways],
        ways=frozenset(way for of in ways for way in of),
        wordings=synonyms.wordings(folded),
        latin=latin,
        readings=list(spelled(latin)),
    )


def _terms(topic: str, segmenter: Segmenter, synonyms: Synonyms) -> list[str]:
    """Words of two characters or more, distinct, in order; a word that has synonyms is not cut up."""
    terms: list[str] = []
    position = 0
    for start, end in synonyms.find(topic):
        terms.extend([*words(topic[position:start], segmenter), topic[start:end]])
        position = end
    terms.extend(words(topic[position:], segmenter))
    return list(dict.fromkeys(word for word in terms if len(word) > 1))
