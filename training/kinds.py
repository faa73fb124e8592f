"""All kinds of pairs by name."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path

from training import crossing, pairs, sources, synonyms
from training.pairs import Pair
from training.sources import Article

Kinds = dict[str, Callable[[], Iterator[Pair]]]
# A sample of n pairs a kind needs a few more articles, as some kinds use one in six of them.
_ARTICLES_PER_PAIR = 10


class Material:
    """What several kinds are made from, read and folded once."""

    def __init__(self, data: Path, seed: int, sample: int | None) -> None:
        self.data = data
        self.seed = seed
        self._limit = sample * _ARTICLES_PER_PAIR if sample else None

    def rng(self, name: str) -> random.Random:
        """Random numbers of its own for each kind, so that kinds come and go without changing others."""
        return random.Random(f"{self.seed} {name}")

    @cached_property
    def cn(self) -> list[Article]:
        """PRC laws."""
        return list(islice(sources.laws_cn(self.data), self._limit))

    @cached_property
    def tw(self) -> list[Article]:
        """Taiwan laws."""
        return list(islice(sources.laws_tw(self.data), self._limit))

    @cached_property
    def questions(self) -> list[Pair]:
        """Natural questions with their paragraphs and sentences."""
        return list(pairs.question_pairs(self.data))

    @cached_property
    def english(self) -> dict[str, list[str]]:
        """English glosses of Chinese words."""
        return crossing.glosses(self.data)

    @cached_property
    def world(self) -> list[dict[str, list[str]]]:
        """Words of other languages for Chinese words."""
        return crossing.other_languages(self.data)

    @cached_property
    def others(self) -> dict[str, list[str]]:
        """Synonyms."""
        return synonyms.synonyms(self.data)

    def translated(self, wanted: str) -> Iterator[Pair]:
        """Aligned sentences of one source, English first."""
        return ((english, chinese) for name, chinese, english in sources.sentence_pairs(self.data) if name == wanted)


def found(m: Material, keep: float) -> Kinds:
    """Kinds that stand in the data. `keep` is how often a passage keeps the sentence that is asked for."""
    return {
        "law_cn": lambda: pairs.article_pairs(m.cn, m.rng("law_cn"), keep),
        "law_tw": lambda: pairs.article_pairs(m.tw, m.rng("law_tw"), keep),
        "answer_cn": lambda: pairs.answer_pairs(m.cn, m.rng("answer_cn")),
        "answer_tw": lambda: pairs.answer_pairs(m.tw, m.rng("answer_tw")),
        "law_en": lambda: pairs.english_article_pairs(m.tw, m.rng("law_en"), keep),
        "law_translation": lambda: pairs.translation_pairs(m.tw, m.rng("law_translation")),
        "reports": lambda: m.translated("gwr"),
        "everyday": lambda: m.translated("tatoeba"),
        "documents_zh": lambda: pairs.document_pairs(m.data, "zh", m.rng("documents_zh")),
        "documents_ja": lambda: pairs.document_pairs(m.data, "ja", m.rng("documents_ja")),
        "documents_zh_ja": lambda: pairs.parallel_documents(m.data),
        "synsets": lambda: pairs.synset_pairs(m.data, m.rng("synsets")),
        "dictionary": lambda: pairs.dictionary_pairs(m.data),
        "shared_gloss": lambda: pairs.shared_gloss_pairs(m.data, m.rng("shared_gloss")),
        "questions": lambda: iter(m.questions),
        "paragraphs": lambda: pairs.paragraph_pairs(m.data, m.rng("paragraphs")),
        "told": lambda: pairs.told_pairs(m.data, m.rng("told")),
        "report_context": lambda: pairs.report_pairs(m.data),
    }


def reworded(m: Material) -> Kinds:
    """Kinds whose left side is put in other words: English glosses, another language, synonyms."""

    def laws(name: str, start: int, each: int) -> Iterator[Pair]:
        return pairs.article_pairs(m.cn[start::each], m.rng(name), 1.0)

    def english_laws(name: str) -> Iterator[Pair]:
        return pairs.english_article_pairs(m.tw[::3], m.rng(name), 1.0)

    def paragraphs(name: str) -> Iterator[Pair]:
        return pairs.paragraph_pairs(m.data, m.rng(name))

    return {
        "questions_crossed": lambda: crossing.crossed(m.questions * 4, m.english, m.rng("qc")),
        "paragraphs_crossed": lambda: crossing.crossed(paragraphs("pc"), m.english, m.rng("pc")),
        "law_crossed": lambda: crossing.crossed(laws("lc", 0, 2), m.english, m.rng("lc")),
        "documents_crossed": lambda: crossing.crossed(
            pairs.document_pairs(m.data, "zh", m.rng("dc")), m.english, m.rng("dc")
        ),
        "questions_scattered": lambda: crossing.scattered(m.questions * 3, m.world, m.rng("qs")),
        "law_scattered": lambda: crossing.scattered(laws("ls", 2, 6), m.world, m.rng("ls")),
        "questions_swapped": lambda: synonyms.swapped(m.questions * 3, m.others, m.rng("qw")),
        "paragraphs_swapped": lambda: synonyms.swapped(paragraphs("pw"), m.others, m.rng("pw")),
        "law_swapped": lambda: synonyms.swapped(laws("lw", 1, 3), m.others, m.rng("lw")),
        "law_en_swapped": lambda: synonyms.swapped(english_laws("ew"), m.others, m.rng("ew")),
        "told_swapped": lambda: synonyms.swapped(pairs.told_pairs(m.data, m.rng("tw")), m.others, m.rng("tw")),
        "told_crossed": lambda: crossing.crossed(pairs.told_pairs(m.data, m.rng("tc")), m.english, m.rng("tc")),
        "reports_swapped": lambda: synonyms.swapped(pairs.report_pairs(m.data, itself=True), m.others, m.rng("rw")),
    }


def everything(data: Path, seed: int, keep: float, sample: int | None) -> Kinds:
    """All kinds, each read only when it is asked for."""
    material = Material(data, seed, sample)
    return found(material, keep) | reworded(material)
