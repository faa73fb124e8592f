"""The trained parameters: a vector for each piece and each shared part, a weight for each piece; lazy Adam."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from torch import Tensor

from training.settings import Settings

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8
# A piece with this share of all text starts at 0.7 of the weight of a rare one.
_COMMON = 1e-4
_LEAST_WEIGHT = 0.03


class LazyAdam:
    """Adam on the rows that a batch touches; the others stand still."""

    def __init__(self, values: Tensor, rate: float) -> None:
        self.values = values
        self.rate = rate
        self._first = torch.zeros_like(values)
        self._second = torch.zeros_like(values)
        self._steps = torch.zeros(len(values), 1)

    def state(self) -> list[Tensor]:
        """The values and what Adam remembers of them."""
        return [self.values, self._first, self._second, self._steps]

    def step(self, rows: Tensor, gradient: Tensor, scale: float) -> None:
        """Move `rows` against `gradient`, at `scale` times the learning rate."""
        steps = self._steps[rows] + 1
        first = self._first[rows].mul_(_BETAS[0]).add_(gradient, alpha=1 - _BETAS[0])
        second = self._second[rows].mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
        self._steps[rows], self._first[rows], self._second[rows] = steps, first, second
        denominator = (second / (1 - _BETAS[1] ** steps)).sqrt_().add_(_EPSILON)
        update = first.div(1 - _BETAS[0] ** steps).div_(denominator)
        self.values[rows] = self.values[rows].sub_(update, alpha=self.rate * scale)


@dataclass(slots=True)
class Touched:
    """The rows of one batch as leaves of the graph, and what they compose to."""

    pieces: Tensor
    columns: Tensor
    leaves: list[Tensor]
    composed: Tensor


class Table:
    """Vectors of pieces = weight x (own vector + shared parts)."""

    def __init__(self, own: Tensor, shared: Tensor, weights: Tensor, parts: csr_matrix, rate: float) -> None:
        self.parts = parts
        self._own = LazyAdam(own, rate)
        self._shared = LazyAdam(shared, rate)
        self._weights = LazyAdam(weights, rate * 2)

    def touch(self, pieces: npt.NDArray[np.int64]) -> Touched:
        """Compose the vectors of `pieces`, ready for gradients."""
        rows = self.parts[pieces]
        columns, inverse = np.unique(rows.indices, return_inverse=True)
        chosen, used = torch.from_numpy(pieces), torch.from_numpy(columns.astype(np.int64))
        leaves = [self._own.values[chosen], self._shared.values[used], self._weights.values[chosen]]
        for leaf in leaves:
            leaf.requires_grad_()
        offsets = torch.from_numpy(rows.indptr[:-1].astype(np.int64))
        shared = torch.nn.functional.embedding_bag(
            torch.from_numpy(inverse.astype(np.int64)),
            leaves[1],
            offsets,
            mode="sum",
            per_sample_weights=torch.from_numpy(rows.data),
        )
        return Touched(chosen, used, leaves, (leaves[0] + shared) * leaves[2].exp())

    def step(self, touched: Touched, scale: float) -> None:
        """One step of Adam with the gradients of `touched`."""
        for adam, rows, leaf in zip(
            (self._own, self._shared, self._weights),
            (touched.pieces, touched.columns, touched.pieces),
            touched.leaves,
            strict=True,
        ):
            if leaf.grad is not None and len(rows):
                adam.step(rows, leaf.grad, scale)

    def save(self, path: Path) -> None:
        """Keep the parameters and the state of Adam in `path`."""
        unfinished = path.with_suffix(".new")
        torch.save([adam.state() for adam in (self._own, self._shared, self._weights)], unfinished)
        unfinished.rename(path)

    def load(self, path: Path) -> None:
        """Go on from what `save` kept."""
        for adam, state in zip((self._own, self._shared, self._weights), torch.load(path), strict=True):
            for kept, value in zip(adam.state(), state, strict=True):
                kept.copy_(value)

    def vectors(self) -> npt.NDArray[np.float32]:
        """All pieces' vectors, float32."""
        shared = self.parts @ self._shared.values.numpy()
        composed: npt.NDArray[np.float32] = (self._own.values.numpy() + shared) * np.exp(self._weights.values.numpy())
        return composed.astype(np.float32)


def initial(frequencies: npt.NDArray[np.float64], parts: csr_matrix, settings: Settings) -> Table:
    """Random vectors; common pieces start with small weights (the root of a / (a + p), after Arora et al. 2017)."""
    generator = torch.Generator().manual_seed(settings.seed)
    own = torch.randn(len(frequencies), settings.dim, generator=generator) / settings.dim**0.5
    shared = torch.randn(parts.shape[1], settings.dim, generator=generator) / settings.dim**0.5
    weights = np.sqrt(_COMMON / (_COMMON + frequencies)).clip(_LEAST_WEIGHT)
    return Table(own, shared, torch.from_numpy(np.log(weights)).float()[:, None], parts, settings.rate)
