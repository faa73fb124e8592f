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

from index.encoder.base import Vectors, row_sums, unit_length
from index.encoder.pieces import Pieces
from index.encoder.prompts import Prompts
from index.encoder.stretches import Stretches
from index.encoder.tensors import mapped
from index.errors import EncoderError
from index.fold import fold_text

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled"

_FINGERPRINT_BYTES = 1 << 20
# So many characters are cut into pieces before tokenizer.json would be read.
_SHORT_CHARS = 2000
# Learning which characters stand together in the pieces takes as long as the tokenizer needs for so much text.
_MUCH_CHARS = 300_000
# Below so many texts one by one is quicker.
_FEW_TEXTS = 32


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
        self._seen_chars = 0

    def __reduce__(self) -> tuple[type[StaticEncoder], tuple[Path]]:
        """For another process, which loads the model itself."""
        return StaticEncoder, (self._folder,)

    @cached_property
    def _table(self) -> list[NDArray[Any]]:
        """A vector for each piece, `(pieces, dim)`, and what to multiply it with, `(pieces,)`; mapped into memory."""
        with self._reading():
            return mapped(self._folder / "model.safetensors", "embeddings", "weights")

    @cached_property
    def _pieces(self) -> Pieces:
        with self._reading():
            return Pieces(self._folder)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        with self._reading():
            tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.normalizer = None  # it leaves folded text as it is, in a twentieth of the time of encoding
        return tokenizer

    @cached_property
    def _stretches(self) -> Stretches:
        return Stretches(self._tokenizer)

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
        # Plain arrays: each view of a mapped one takes a microsecond more.
        embeddings, weights = map(np.asarray, self._table)
        self._seen_chars += sum(map(len, texts))
        if self._seen_chars > _MUCH_CHARS and len(texts) >= _FEW_TEXTS:
            ids, counts = self._stretches.ids(texts)
            distinct, chosen = np.unique(ids, return_inverse=True)
            rows = embeddings.take(distinct, axis=0) * weights.take(distinct)[:, None]
            return unit_length(row_sums(rows, chosen, counts))
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, ids in enumerate(self._ids([fold_text(text) for text in texts])):
            if len(ids):
                # The mean of the weighted rows; its length does not matter, as it is normalised below.
                vectors[row] = weights.take(ids) @ embeddings.take(ids, axis=0).astype(np.float32)
        return unit_length(vectors)

    def _ids(self, folded: Sequence[str]) -> Iterator[NDArray[np.int64]]:
        """The pieces of each text; what is short does not wait for the tokenizer."""
        if sum(map(len, folded)) <= _SHORT_CHARS:
            yield from (np.array(self._pieces.ids(text), np.int64) for text in folded)
            return
        for encoding in self._tokenizer.encode_batch_fast(folded, add_special_tokens=False):
            yield np.array(encoding.ids, np.int64)

    def encode_query(self, text: str) -> Vectors:
        vector: Vectors = self.encode_documents([text])[0]
        return vector
