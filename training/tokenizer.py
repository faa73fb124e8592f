"""The tokenizer: the likeliest cut of each run of letters and digits into pieces of the vocabulary (Unigram).

What `index.text.fold` does not leave as letters, marks or digits is dropped, and so is, by its zero vector, a letter
that is not in the vocabulary. Folded text passes the normalizer unchanged; it is there for text that is not folded.
"""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

# No piece mixes scripts, so that runs need not be cut where the script changes.
_RUNS = r"[\p{L}\p{M}\p{Nd}]+"


def build(pieces: list[tuple[str, float]]) -> Tokenizer:
    """A tokenizer over `pieces`, of which the first stands for what is unknown."""
    tokenizer = Tokenizer(models.Unigram([(piece, round(score, 3)) for piece, score in pieces], unk_id=0))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_RUNS), behavior="removed", invert=True)
    return tokenizer
