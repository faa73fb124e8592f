"""The bundled model: one vector a token."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from index.encoder.base import Vectors, unit_length
from index.encoder.prompts import Prompts
from index.errors import EncoderError
from index.fold import fold_text

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled"

_FINGERPRINT_BYTES = 1 << 20


class StaticEncoder:
    """A static model: one vector a token, averaged. Its text is folded first, as it was in training.

    Reads the folder that model2vec and sentence-transformers read, and gives the vectors that they give (the tests
    compare them). Those load it in 2.4 s of processor time, this in 0.5 s, which a command line can feel.
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
    def _parts(self) -> tuple[Tokenizer, NDArray[np.int8], Vectors]:
        from safetensors import safe_open
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
            tokenizer.normalizer = None  # it leaves folded text as it is, in a twentieth of the time of encoding
            with safe_open(self._folder / "model.safetensors", "numpy") as file:
                return tokenizer, file.get_tensor("embeddings"), file.get_tensor("weights")
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
        return int(self._parts[1].shape[1])

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        tokenizer, embeddings, weights = self._parts
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        encodings = tokenizer.encode_batch_fast([fold_text(text) for text in texts], add_special_tokens=False)
        for row, encoding in enumerate(encodings):
            ids = np.array(encoding.ids, np.int64)
            if len(ids):
                # The mean of the weighted rows; its length does not matter, as it is normalised below.
                vectors[row] = weights.take(ids) @ embeddings.take(ids, axis=0).astype(np.float32)
        return unit_length(vectors)

    def encode_query(self, text: str) -> Vectors:
        vector: Vectors = self.encode_documents([text])[0]
        return vector
