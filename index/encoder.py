"""Text to unit vectors.

`bundled` is the static model that ships in `index/bundled`; it needs neither network nor torch. Any other name is a
sentence-transformers model, by hub name or folder.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from index.errors import EncoderError
from index.fold import fold_text

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BUNDLED = "bundled"
BUNDLED_FOLDER = Path(__file__).parent / "bundled"

_FINGERPRINT_BYTES = 1 << 20

Vectors = NDArray[np.float32]


class Encoder(Protocol):
    """Anything that turns text into vectors which can be compared by dot product."""

    @property
    def fingerprint(self) -> str:
        """Name and version of the model: vectors with different fingerprints must not be compared."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Vectors of document text: float32 `(len(texts), dim)`, unit length, all zero for text without words."""

    def encode_query(self, text: str) -> Vectors:
        """The vector of one question: float32 `(dim,)`, unit length."""


def load_encoder(model: str = BUNDLED) -> Encoder:
    """The encoder named in the configuration.

    Raises:
        EncoderError: the model is not there or is not one.
    """
    return StaticEncoder(BUNDLED_FOLDER) if model == BUNDLED else SentenceTransformerEncoder(model)


class StaticEncoder:
    """A static model: one vector a token, averaged. Its text is folded first, as it was in training.

    Reads the folder that model2vec and sentence-transformers read, and gives the vectors that they give (the tests
    compare them). Those load it in 2.4 s of processor time, this in 0.5 s, which a command line can feel.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _parts(self) -> tuple[Tokenizer, NDArray[np.int8], Vectors]:
        from safetensors import safe_open
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
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
            ids = encoding.ids
            if ids:
                # The mean of the weighted rows; its length does not matter, as it is normalised below.
                vectors[row] = weights[ids] @ embeddings[ids].astype(np.float32)
        return unit_length(vectors)

    def encode_query(self, text: str) -> Vectors:
        vector: Vectors = self.encode_documents([text])[0]
        return vector


class SentenceTransformerEncoder:
    """Any sentence-transformers model, with its own query and document prompts where it has them."""

    def __init__(self, model: str) -> None:
        self._name = model

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 - importing the class for its name would import torch
        _quiet()
        from sentence_transformers import SentenceTransformer

        try:
            return SentenceTransformer(self._name)
        except Exception as exc:
            reason = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
            raise EncoderError(
                f"encoder.model: cannot load {self._name!r} with sentence-transformers ({reason}); "
                "give a model folder, a hub name that can be downloaded, or 'bundled'"
            ) from exc

    @property
    def fingerprint(self) -> str:
        return f"sentence-transformers:{self._name}:{self.dim}"

    @property
    def dim(self) -> int:
        return int(self._model.get_embedding_dimension() or len(self._model.encode("1")))

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        vectors = self._model.encode_document(list(texts), convert_to_numpy=True, show_progress_bar=False)
        return unit_length(np.asarray(vectors, dtype=np.float32))

    def encode_query(self, text: str) -> Vectors:
        vector = self._model.encode_query([text], convert_to_numpy=True, show_progress_bar=False)
        unit: Vectors = unit_length(np.asarray(vector, dtype=np.float32))[0]
        return unit


def unit_length(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1; rows that are zero or not finite become all zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    usable = np.isfinite(lengths) & (lengths > 1e-9)
    return np.where(usable, vectors / np.where(usable, lengths, 1.0), 0.0).astype(np.float32)


def _quiet() -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # Without a network, or a model, they warn of every attempt; our error says it once.
    for name in ("huggingface_hub", "sentence_transformers", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
