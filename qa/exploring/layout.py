"""Texts laid out on a plane by their meaning: near in meaning, near on the map.

A few hundred landmarks are laid out by t-SNE (van der Maaten and Hinton, 2008), which keeps neighbours together; all
others are put between the landmarks that are nearest to them. So the time is bounded, whatever the corpus holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.encoder import Vectors
from index.store import Store
from index.store.codes import decode

Positions = NDArray[np.float32]

MAX_LANDMARKS = 1000
_PERPLEXITY = 30
# With fewer there are no neighbourhoods to keep; the two widest directions show more.
_MIN_FOR_NEIGHBOURS = 12
_REDUCED_DIM = 50
# Half of what is usual; the picture is the same to the eye.
_STEPS = 500
_NEAREST = 4
_SHARPNESS = 20.0
_SEED = 0
# A long text is known by so many of its passages, taken evenly.
_PASSAGES_A_TEXT = 48
_BATCH = 2000


@dataclass(frozen=True, slots=True)
class Layout:
    """Landmarks, `(n, dim)` unit vectors, and where they are, `(n, 2)` within -1 to 1."""

    landmarks: Vectors
    positions: Positions

    def place(self, vectors: Vectors) -> Positions:
        """Where texts with these unit vectors, `(m, dim)`, belong: `(m, 2)`."""
        if not len(self.landmarks) or not len(vectors):
            return np.zeros((len(vectors), 2), dtype=np.float32)
        near = vectors @ self.landmarks.T
        count = min(_NEAREST, near.shape[1])
        nearest = np.argpartition(-near, count - 1, axis=1)[:, :count]
        cosines = np.take_along_axis(near, nearest, axis=1)
        weights = np.exp(_SHARPNESS * (cosines - cosines.max(axis=1, keepdims=True)))
        # A landmark, or its equal, stays where it is.
        weights[cosines > 1 - 1e-4] *= 1e6
        weights /= weights.sum(axis=1, keepdims=True)
        placed: Positions = np.einsum("nk,nkd->nd", weights, self.positions[nearest]).astype(np.float32)
        return placed


def lay_out(vectors: Vectors) -> Layout:
    """A layout of unit vectors, `(n, dim)`, the same for the same vectors."""
    step = -(-len(vectors) // MAX_LANDMARKS) or 1
    landmarks = vectors[::step]
    return Layout(landmarks, _scaled(_plane(landmarks)))


def _plane(vectors: Vectors) -> Positions:
    """Coordinates `(n, 2)` at any scale."""
    if len(vectors) < 2:
        return np.zeros((len(vectors), 2), dtype=np.float32)
    centred = vectors - vectors.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    reduced = (left * sizes)[:, :_REDUCED_DIM]
    first = np.zeros((len(vectors), 2), dtype=np.float32)
    first[:, : min(2, reduced.shape[1])] = reduced[:, :2]
    spread = first.std(axis=0)[0]
    if len(vectors) < _MIN_FOR_NEIGHBOURS or not spread:
        return first
    from sklearn.manifold import TSNE  # takes most of a second to load
    from threadpoolctl import threadpool_limits

    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    start = first / spread * 1e-4
    made = TSNE(perplexity=perplexity, init=start, max_iter=_STEPS, random_state=_SEED)
    # Threads that wait for each other while questions are answered take several times as long as one does.
    with threadpool_limits(1):
        positions: Positions = made.fit_transform(reduced)
    return positions


def _scaled(positions: Positions) -> Positions:
    """The same picture within -1 to 1, around its middle."""
    if not len(positions):
        return positions
    low, high = positions.min(axis=0), positions.max(axis=0)
    size = float((high - low).max()) or 1.0
    scaled: Positions = ((positions - (low + high) / 2) * (2 / size)).astype(np.float32)
    return scaled


def means(groups: Sequence[Sequence[int]], store: Store) -> Vectors:
    """A unit vector, `(n, dim)`, for each group of passage rows: the direction that their units have together."""
    chosen = [group[:: -(-len(group) // _PASSAGES_A_TEXT) or 1] for group in groups]
    of_row = {row: number for number, group in enumerate(chosen) for row in group}
    rows = list(of_row)
    sums: Vectors = np.zeros((0, 0), dtype=np.float32)
    for start in range(0, len(rows), _BATCH):
        for stored in store.vectors(rows[start : start + _BATCH]):
            if not sums.size:
                sums = np.zeros((len(groups), store.dim), dtype=np.float32)
            sums[of_row[stored.row]] += decode(stored.codes, store.dim).sum(axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True) if sums.size else np.ones((len(groups), 1))
    unit: Vectors = np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 0) if sums.size else sums
    return unit
