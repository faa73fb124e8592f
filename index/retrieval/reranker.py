"""A cross-encoder that reads question and passage together: slower than an encoder, and better at telling which fits.

Off unless one is configured; torch is loaded when the first question needs it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from index.encoder.transformer import quiet
from index.errors import ConfigError

_BATCH = 16


class Reranker:
    """Any sentence-transformers CrossEncoder that gives one score a pair, by hub name or folder.

    Raises:
        ConfigError: at first use, when the model is not there or is not one.
    """

    def __init__(self, model: str) -> None:
        self._name = model
        # Tokenizers of transformers can't be used by two threads at once.
        self._one_at_a_time = threading.Lock()

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 - importing the class for its name would import torch
        quiet()
        from sentence_transformers import CrossEncoder

        try:
            model = CrossEncoder(self._name)
        except Exception as exc:
            reason = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
            raise self._unusable(f"cannot load {self._name!r} with sentence-transformers ({reason})") from exc
        architectures = getattr(model.config, "architectures", None) or []
        # A plain encoder loads too, with a head of random numbers.
        if architectures and all(str(name).endswith("Model") for name in architectures):
            raise self._unusable(f"{self._name!r} is an encoder ({', '.join(architectures)}), not a cross-encoder")
        if model.num_labels != 1:
            raise self._unusable(f"{self._name!r} gives {model.num_labels} labels, not one score")
        return model

    def _unusable(self, reason: str) -> ConfigError:
        return ConfigError(
            f"reranker.model: {reason}; give a CrossEncoder's folder, a hub name that can be downloaded, or nothing"
        )

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """How well each text fits the query, 0 to 1, in the order of the model's own scores."""
        if not texts:
            return []
        pairs = [(query, text) for text in texts]
        with self._one_at_a_time:
            raw = self._model.predict(pairs, batch_size=_BATCH, show_progress_bar=False)
        scores = np.asarray(raw, dtype=np.float64)
        if not np.isfinite(scores).all():
            raise self._unusable(f"{self._name!r} gives scores that are no numbers")
        # Some models end in a sigmoid, others give logits.
        if scores.min() < 0 or scores.max() > 1:
            scores = 1 / (1 + np.exp(-scores))
        return [float(score) for score in scores]
