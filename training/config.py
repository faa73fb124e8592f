"""The settings of a run; ABLATION.md says how they were chosen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from training.settings import Settings
from training.vocabulary import Sizes

# How often an epoch goes through the pairs of a kind; once unless named here. Scarce and natural text comes more
# often; law is plentiful, but much of it makes labour, union and aid near-synonyms.
TIMES = {
    "questions": 6.0,
    "questions_crossed": 4.0,
    "questions_swapped": 2.0,
    "paragraphs": 2.0,
    "paragraphs_crossed": 3.0,
    "told_crossed": 2.0,
    "reports": 2.0,
    "everyday": 2.0,
    "dictionary": 3.0,
    "shared_gloss": 2.0,
    "synsets": 0.7,
    "law_cn": 0.1,
    "law_tw": 0.08,
    "law_en": 0.2,
    "law_translation": 0.5,
    "law_crossed": 0.3,
    "law_scattered": 0.4,
    "law_swapped": 0.3,
    "law_en_swapped": 0.4,
    "answer_cn": 0.15,
    "answer_tw": 0.1,
    "documents_ja": 0.3,
    "report_context": 0.0,
}


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides what the model becomes, the data aside."""

    seed: int = 1
    sample: int | None = None
    keep: float = 0.5  # how often a passage keeps the sentence that is asked for
    sizes: Sizes = field(default_factory=Sizes)
    contrast: Settings = field(default_factory=Settings)

    @classmethod
    def of(cls, seed: int, sample: int | None) -> Config:
        """The settings of the bundled model, with `seed`; with a `sample`, a small vocabulary and one epoch."""
        config = cls(seed=seed, sample=sample, contrast=Settings(seed=seed, times=TIMES))
        if sample is None:
            return config
        small = Sizes(han_words=8_000, han_chars=4_000, words=5_000, kana=500, fragments=500)
        return replace(config, sizes=small, contrast=replace(config.contrast, epochs=1, batch=256))

    def as_json(self) -> Mapping[str, object]:
        """All settings, for reports."""
        return asdict(self)

    def key(self, *names: str) -> str:
        """A short name for the values of the settings `names` and for the code that makes use of them."""
        values = self.as_json()
        digest = hashlib.sha256(repr([(name, values[name]) for name in ("seed", "sample", *names)]).encode())
        code = _PREPARING + _TRAINING * ("contrast" in names)
        for path in sorted(Path(__file__).parent.glob("*.py")):
            if path.stem in code:
                digest.update(path.read_bytes())
        return digest.hexdigest()[:12]


# Modules that decide what the stages make; a change in them makes finished stages stale.
_PREPARING = ("sources", "questions", "pairs", "kinds", "crossing", "synonyms", "corpus", "vocabulary", "tokenizer")
_TRAINING = ("units", "table", "batches", "contrast")
