"""The stages from data to model, each kept on disk under a name made from its settings."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from training import card, contrast, corpus, export, kinds, measure, sources, tokenizer, units, vocabulary
from training.batches import Encoded
from training.config import Config
from training.table import initial

log = logging.getLogger(__name__)
_CHUNK = 20_000
_LONGEST_CHARS = 1_200  # more than the 192 pieces that training takes of a text


class Run:
    """One run of the training, with its stages in `work`."""

    def __init__(self, data: Path, seeds: Path, work: Path, config: Config, threads: int) -> None:
        torch.set_num_threads(threads)
        self.data, self.seeds, self.config = data, seeds, config
        texts = work / f"pairs-{config.key('keep')}"
        pieces = work / f"pieces-{config.key('keep', 'sizes')}"
        self._corpus, self._tokenizer, self._ids = texts, pieces / "tokenizer.json", pieces / "ids.npz"
        self._vectors = work / f"vectors-{config.key('keep', 'sizes', 'contrast')}"

    def pairs(self) -> None:
        """Make the pairs from the data."""
        if (self._corpus / "pairs.npz").exists():
            log.info("pairs: kept from before in %s", self._corpus)
            return
        found = kinds.everything(self.data, self.config.seed, self.config.keep, self.config.sample)
        corpus.write(self._corpus, found, self.config.sample)

    def tokenizer(self) -> None:
        """Choose the vocabulary and build the tokenizer."""
        if self._tokenizer.exists():
            log.info("tokenizer: kept from before in %s", self._tokenizer)
            return
        self._tokenizer.parent.mkdir(parents=True, exist_ok=True)
        pieces = vocabulary.build(corpus.read(self._corpus).texts, self.data, self.config.sizes)
        log.info("tokenizer: %d pieces", len(pieces))
        tokenizer.build(pieces).save(str(self._tokenizer), pretty=False)

    def encoded(self) -> None:
        """Turn all texts into ids."""
        if self._ids.exists():
            log.info("ids: kept from before in %s", self._ids)
            return
        texts = corpus.read(self._corpus).texts
        quick = Tokenizer.from_file(str(self._tokenizer))
        quick.normalizer = None  # all texts are folded
        flat, lengths = [], []
        for start in range(0, len(texts), _CHUNK):
            cut = [text[:_LONGEST_CHARS] for text in texts[start : start + _CHUNK]]
            for encoding in quick.encode_batch_fast(cut, add_special_tokens=False):
                flat.append(np.array(encoding.ids, np.int32))
                lengths.append(len(encoding.ids))
            log.info("ids: %d of %d texts", len(lengths), len(texts))
        _save(self._ids, flat=np.concatenate(flat), offsets=np.concatenate([[0], np.cumsum(lengths)]))

    def vectors(self) -> None:
        """Train the vectors, going on from the last finished epoch."""
        table = initial(self._encoded.frequencies(len(self._pieces)), units.matrix(self._pieces), self.config.contrast)
        self._vectors.mkdir(parents=True, exist_ok=True)
        contrast.train(table, self._encoded, corpus.read(self._corpus).pairs, self.config.contrast, self._vectors)
        self._trained = table.vectors()

    def model(self, out: Path) -> None:
        """Write the model to `out`, measure it as it will be used, and report in its folder."""
        started = time.monotonic()
        vectors = export.rotate(self._trained, self._encoded.frequencies(len(self._pieces)))
        figures = measure.everything(self._encoder(export.dequantised(vectors)), self.data, self.seeds)
        log.info("measured in %.0f s", time.monotonic() - started)
        report = {"settings": self.config.as_json(), "pieces": len(self._pieces), "figures": figures}
        text = card.text(self.config, len(self._pieces), figures, sources.HELD_OUT_PERCENT)
        export.write(out, self._loaded, vectors, text)
        self._vectors.joinpath("report.json").write_text(json.dumps(report, indent=2, default=dict) + "\n", "utf-8")
        self._vectors.joinpath("report.md").write_text(card.table(figures), "utf-8")
        log.info("report in %s\n%s", self._vectors, card.table(figures))

    @cached_property
    def _loaded(self) -> Tokenizer:
        return Tokenizer.from_file(str(self._tokenizer))

    @cached_property
    def _pieces(self) -> list[str]:
        return [piece for piece, _ in sorted(self._loaded.get_vocab().items(), key=lambda item: int(item[1]))]

    @cached_property
    def _encoded(self) -> Encoded:
        with np.load(self._ids) as arrays:
            return Encoded(arrays["flat"], arrays["offsets"])

    def _encoder(self, vectors: measure.Vectors) -> measure.Encode:
        def encode(texts: Sequence[str]) -> measure.Vectors:
            made = np.zeros((len(texts), vectors.shape[1]), np.float32)
            for place, encoding in enumerate(self._loaded.encode_batch_fast(list(texts), add_special_tokens=False)):
                made[place] = vectors[encoding.ids].sum(axis=0)
            made /= np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
            return made

        return encode


def _save(path: Path, **arrays: np.ndarray) -> None:
    unfinished = path.with_name(f"unfinished-{path.name}")
    np.savez(unfinished, allow_pickle=False, **arrays)
    unfinished.rename(path)
