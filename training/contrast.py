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


def loss_of(
    left: Tensor, right: Tensor, texts: npt.NDArray[np.int64], temperature: float, nearly: float
) -> tuple[float, Tensor]:
    """Symmetric InfoNCE with in-batch negatives, and its gradient with respect to the unit vectors `left`, `right`.

    A text equal or nearly equal to the right one is no negative. The gradient is written out, and the products are
    taken in bfloat16, because two cores spend most of the training here: a quarter of the time autograd takes.
    """
    first, second = torch.from_numpy(texts).chunk(2)
    half_left, half_right = left.bfloat16(), right.bfloat16()
    masked = (first[:, None] == first[None, :]) | (second[:, None] == second[None, :])
    masked |= (half_left @ half_left.T > nearly) | (half_right @ half_right.T > nearly)
    masked.fill_diagonal_(False)
    # No cosine exceeds 1, so that exp((cosine - 1) / temperature) can't overflow.
    shares = (half_left @ half_right.T).float().sub_(1).div_(temperature)
    own = shares.diagonal().mean()
    shares = shares.exp_().masked_fill_(masked, 0)
    rows, columns = shares.sum(1), shares.sum(0)
    loss = (rows.log().mean() + columns.log().mean()) / 2 - own
    shares.mul_(1 / rows[:, None] + 1 / columns[None, :]).diagonal().sub_(2)
    slope = shares.div_(2 * len(left) * temperature).bfloat16()
    return float(loss), torch.cat([slope @ half_right, slope.T @ half_left]).float()


def step(table: Table, batch: Batch, settings: Settings, scale: float) -> float:
    """One step on `batch`; its loss."""
    pieces, inverse = np.unique(batch.ids, return_inverse=True)
    touched = table.touch(pieces)
    pooled = functional.embedding_bag(
        torch.from_numpy(inverse), touched.composed, torch.from_numpy(batch.offsets), mode="sum"
    )
    vectors = functional.normalize(pooled, dim=1)
    left, right = vectors.detach().chunk(2)
    loss, gradient = loss_of(left, right, batch.texts, settings.temperature, settings.nearly)
    vectors.backward(gradient)  # type: ignore[no-untyped-call]
    table.step(touched, scale)
    return loss


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
