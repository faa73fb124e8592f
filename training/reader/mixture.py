"""What is trained on, in which shares: public sets by language, near misses of them, and generated pages."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from training.reader import forms, special
from training.reader.examples import Example, read, read_squad
from training.reader.near_misses import NearMisses

# How often an example comes from a set, by weight. Chinese first; English has the most natural refusals.
PUBLIC = {
    "cmrc_train": 16.0,
    "cmrc_trial.json": 2.0,
    "drcd_dev.json": 5.0,
    "mlqa_dev_zhcontext_otherquestion": 3.0,
    "mlqa_dev_zhquestion_othercontext": 3.0,
    "mlqa_dev_mono": 3.0,
    "squad1.1_train_en": 9.0,
    "squad2.0_train_unanswerable_en": 6.0,
    "qed_nq_en": 3.0,
    "policyqa_devtest_en": 1.0,
    "squadshifts_newwiki_en": 1.0,
    "jaquad_train_ja": 4.0,
    "tydiqa_goldp_train": 3.0,
    "idkmrc_train_id": 1.5,
    "pquad_valtest_fa": 1.5,
    "iapp_train_th": 2.0,
    "piaf1.0_fr": 2.0,
    "norquad_no": 1.0,
    "heq_valtest_he": 0.7,
    "faquad_pt": 0.7,
    "arcd_ar": 1.2,
}
FORMS = {"zh": 10.0, "en": 5.0, "ja": 2.0, "de": 1.0, "fr": 1.0, "es": 1.0, "ru": 1.0, "ko": 1.0, "th": 0.7}
SPECIAL = {"zh": 2.5, "en": 1.2, "ja": 0.3}
FAQ_WEIGHT, TALK_WEIGHT = 3.0, 0.7
# How often an answerable public example is followed by a near miss made of it.
NEAR_MISS_SHARE = 0.35
_MAX_NAME_CHARS = 12


class Mixture:
    """All examples of a data folder, to draw from without end; the same `seed` gives the same examples.

    `limit` keeps so many of each public set, for a trial.
    """

    def __init__(self, data: Path, seed: int, limit: int | None = None) -> None:
        self._rng = random.Random(seed)
        self._sets = {name: self._load(data, name)[:limit] for name in PUBLIC}
        self._paragraphs = self._by_paragraph()
        by_language: dict[str, list[Example]] = defaultdict(list)
        for examples in self._sets.values():
            for example in examples:
                if example.answers:
                    by_language[example.language].append(example)
        self._near = {language: NearMisses(examples, self._rng) for language, examples in by_language.items()}
        self._names = {
            language: sorted({e.title for e in examples if 1 < len(e.title) <= _MAX_NAME_CHARS})
            for language, examples in by_language.items()
        }

    def _load(self, data: Path, name: str) -> list[Example]:
        if name.endswith(".json"):
            examples = list(read_squad(data / "eval" / name, "zh"))
        else:
            examples = list(read(data / "train" / "qa" / f"{name}.jsonl.xz"))
        self._rng.shuffle(examples)
        return examples

    def _by_paragraph(self) -> list[list[Example]]:
        """Paragraphs with at least two questions each, to write FAQs from."""
        grouped: dict[str, list[Example]] = defaultdict(list)
        for examples in self._sets.values():
            for example in examples:
                if example.answers:
                    grouped[example.passage].append(example)
        return [group for group in grouped.values() if len(group) > 1]

    def __iter__(self) -> Iterator[Example]:
        """Examples by their shares, without end."""
        streams: list[tuple[float, Iterator[Example]]] = [
            *((weight, self._public(self._sets[name])) for name, weight in PUBLIC.items()),
            *((w, forms.examples(lang, self._rng, self._names.get(lang, ()))) for lang, w in FORMS.items()),
            *((weight, special.examples(language, self._rng)) for language, weight in SPECIAL.items()),
            (FAQ_WEIGHT, self._faqs()),
            *((TALK_WEIGHT / len(FORMS), special.talk(lang, self._any(lang), self._rng)) for lang in FORMS),
        ]
        weights = [weight for weight, _ in streams]
        while True:
            yield next(self._rng.choices(streams, weights)[0][1])

    def _public(self, examples: Sequence[Example]) -> Iterator[Example]:
        near: dict[int, list[int]] = {}
        while True:
            for row in self._rng.sample(range(len(examples)), len(examples)):
                example = examples[row]
                yield example
                if example.answers and self._rng.random() < NEAR_MISS_SHARE:
                    misses = self._near[example.language]
                    if row not in near:
                        near[row] = misses.neighbours([example])[0]
                    missed = misses.of(example, near[row])
                    if missed:
                        yield missed

    def _faqs(self) -> Iterator[Example]:
        while True:
            group = self._rng.choice(self._paragraphs)
            made = special.faq(self._rng.sample(group, min(len(group), self._rng.randint(2, 4))), self._rng)
            if made:
                yield made

    def _any(self, language: str) -> Iterator[Example]:
        known = [e for examples in self._sets.values() for e in examples if e.language == language]
        everything = known or self._sets["cmrc_train"]
        while True:
            yield self._rng.choice(everything)
