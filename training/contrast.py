"""Contrastive training: the text that belongs to a text scores above all others of the batch."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from training.batches import Batch, Encoded, batches_in, epoch
from training.settings import Settings
from training.table import Table

log = logging.getLogger(__name__)


def loss_of(pooled: Tensor, texts: npt.NDArray[np.int64], temperature: float, nearly: float) -> Tensor:
    """Symmetric InfoNCE with in-batch negatives; a text equal or nearly equal to the right one is no negative."""
    left, right = functional.normalize(pooled, dim=1).chunk(2)
    first, second = torch.from_numpy(texts).chunk(2)
    scores = left @ right.T / temperature
    same = (first[:, None] == first[None, :]) | (second[:, None] == second[None, :])
    with torch.no_grad():
        same |= (left @ left.T > nearly) | (right @ right.T > nearly)
    same.fill_diagonal_(False)
    scores = scores.masked_fill(same, -1e4)
    target = torch.arange(len(left))
    return (functional.cross_entropy(scores, target) + functional.cross_entropy(scores.T, target)) / 2


def step(table: Table, batch: Batch, settings: Settings, scale: float) -> float:
    """One step on `batch`; its loss."""
    pieces, inverse = np.unique(batch.ids, return_inverse=True)
    touched = table.touch(pieces)
    pooled = functional.embedding_bag(
        torch.from_numpy(inverse), touched.composed, torch.from_numpy(batch.offsets), mode="sum"
    )
    loss = loss_of(pooled, batch.texts, settings.temperature, settings.nearly)
    loss.backward()  # type: ignore[no-untyped-call]
    table.step(touched, scale)
    return float(loss.detach())


def train(
    table: Table, encoded: Encoded, pairs: Mapping[str, npt.NDArray[np.int32]], settings: Settings, folder: Path
) -> None:
    """All epochs, the learning rate falling linearly to a tenth; each is kept in `folder`, and not trained again."""
    used = {name: rows for name, rows in pairs.items() if settings.times.get(name, 1.0) > 0}
    per_epoch = batches_in(used, settings)
    progress = Progress(per_epoch * settings.epochs)
    kept = [number for number in range(settings.epochs, 0, -1) if _epoch_file(folder, number).exists()]
    last = kept[0] if kept else 0
    if last:
        table.load(_epoch_file(folder, last))
        progress.done = last * per_epoch
        log.info("vectors: %d of %d epochs kept from before", last, settings.epochs)
    for number in range(last, settings.epochs):
        for name, batch in epoch(encoded, used, settings, number):
            progress.note(name, step(table, batch, settings, progress.rate_scale))
        table.save(_epoch_file(folder, number + 1))
        _epoch_file(folder, number).unlink(missing_ok=True)


def _epoch_file(folder: Path, number: int) -> Path:
    return folder / f"epoch-{number}.pt"


class Progress:
    """How far training is, and the running loss of each kind of pairs."""

    def __init__(self, total: int) -> None:
        self.done = 0
        self._total = total
        self._started = time.monotonic()
        self._losses: dict[str, float] = {}

    @property
    def rate_scale(self) -> float:
        """What the learning rate is multiplied with now."""
        return max(0.1, 1 - self.done / self._total)

    def note(self, name: str, loss: float) -> None:
        """Count one step, with its kind and loss."""
        self._losses[name] = 0.9 * self._losses.get(name, loss) + 0.1 * loss
        self.done += 1
        if self.done % 50 == 0 or self.done == self._total:
            shown = " ".join(f"{kind}={value:.2f}" for kind, value in sorted(self._losses.items()))
            log.info("step %d/%d %.0f s %s", self.done, self._total, time.monotonic() - self._started, shown)
