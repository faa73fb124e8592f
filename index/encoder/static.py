"""The bundled model: one vector a token."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from index.encoder.base import Prompts, Vectors, row_sums, unit_length
from index.encoder.unigram import Ids, Stretches, UnigramTrie, flat, mapped
from index.errors import EncoderError
from index.text.fold import fold_text

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled"

_FINGERPRINT_BYTES = 1 << 20
# So many characters are cut into pieces before it would be known which characters stand together in them.
_SHORT_CHARS = 2000


class StaticEncoder:
    """A static model: one vector a token, averaged. Its text is folded first, as it was in training.

    Reads the folder that model2vec and sentence-transformers read, and gives the vectors that they give (the tests
    compare them). Those load it in 2.4 s of processor time, this in next to none, which a command line can feel.
    """

    prompts = Prompts()
    batch_size = 4096
    is_slow = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[type[StaticEncoder], tuple[Path]]:
        """For another process, which loads the model itself."""
        return StaticEncoder, (self._folder,)

    @cached_property
    def _table(self) -> list[NDArray[Any]]:
        """A vector for each piece, `(pieces, dim)`, and what to multiply it with, `(pieces,)`; mapped into memory."""
        with self._reading():
            return mapped(self._folder / "model.safetensors", "embeddings", "weights")

    @cached_property
    def _pieces(self) -> UnigramTrie:
        with self._reading():
            return UnigramTrie(self._folder)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        with self._reading():
            tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.normalizer = None  # it leaves folded text as it is, in a twentieth of the time of encoding
        return tokenizer

    @cached_property
    def _stretches(self) -> Stretches:
        return Stretches(self._pieces, lambda: self._tokenizer)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        # tokenizers raises bare Exception for a file that it can't read.
        except Exception as exc:
            raise EncoderError(f"{self._folder}: not a usable static model ({exc}); reinstall cited-qa") from exc

    @cached_property
    def fingerprint(self) -> str:
        weights = self._folder / "model.safetensors"
        try:
            with weights.open("rb") as file:
                # Another training changes nearly every row; reading all of them would delay every start.
                sample = file.read(_FINGERPRINT_BYTES)
                file.seek(-min(_FINGERPRINT_BYTES, weights.stat().st_size), os.SEEK_END)
                digest = hashlib.sha256(sample + file.read()).hexdigest()
        except OSError as exc:
            raise EncoderError(f"{weights}: {exc.strerror}; reinstall cited-qa") from exc
        return f"{self._folder.name}:{digest[:12]}"

    @property
    def dim(self) -> int:
        return int(self._table[0].shape[1])

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        ids, counts = self._ids(texts)
        distinct, chosen = np.unique(ids, return_inverse=True)
        # The sum of the weighted rows; its length does not matter.
        return unit_length(row_sums(self._rows(distinct), chosen, counts))

    def _rows(self, ids: Ids) -> Vectors:
        # Plain arrays: each view of a mapped one takes a microsecond more.
        embeddings, weights = map(np.asarray, self._table)
        rows: Vectors = embeddings.take(ids, axis=0) * weights.take(ids)[:, None]
        return rows

    def _ids(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        """The ids of the pieces of all texts, and how many each has."""
        if sum(map(len, texts)) > _SHORT_CHARS:
            return self._stretches.ids(texts)
        return flat([self._pieces.ids(fold_text(text)) for text in texts])

    def encode_query(self, text: str) -> Vectors:
        ids, _ = self._ids([text])
        vector: Vectors = unit_length(self._rows(ids).sum(axis=0, keepdims=True))[0]
        return vector
