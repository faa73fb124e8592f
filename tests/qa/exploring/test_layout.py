from __future__ import annotations

import numpy as np
import pytest

from index.encoder import Vectors
from index.store.codes import encode
from index.types import PassageVectors
from qa.exploring.layout import MAX_LANDMARKS, lay_out, means


def unit(vectors: np.ndarray) -> Vectors:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def bundles(count: int, groups: int = 3, dim: int = 16) -> Vectors:
    """Unit vectors in a few tight bundles, one after the other."""
    random = np.random.default_rng(1)
    middles = np.eye(dim)[:groups]
    return unit(middles[np.arange(count) % groups] + 0.05 * random.standard_normal((count, dim)))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 11, 12, 90])
def test_positions_fill_a_square(count):
    vectors = bundles(count)
    positions = lay_out(vectors).positions
    assert positions.shape == (count, 2) and np.isfinite(positions).all()
    assert (np.abs(positions) <= 1 + 1e-6).all()
    assert count < 2 or np.abs(positions).max() == pytest.approx(1)


def test_bundles_stay_together_and_apart_from_others():
    positions = lay_out(bundles(90)).positions
    middles = np.array([positions[group::3].mean(axis=0) for group in range(3)])
    spread = max(np.linalg.norm(positions[group::3] - middles[group], axis=1).mean() for group in range(3))
    assert min(np.linalg.norm(middles[a] - middles[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > 3 * spread


def test_equal_vectors_make_no_error():
    assert np.isfinite(lay_out(np.tile(bundles(1), (50, 1))).positions).all()


def test_the_same_vectors_give_the_same_picture():
    assert (lay_out(bundles(40)).positions == lay_out(bundles(40)).positions).all()


def test_landmarks_are_bounded_and_stay_where_they_are():
    vectors = bundles(MAX_LANDMARKS * 2 + 1)
    layout = lay_out(vectors)
    assert len(layout.landmarks) <= MAX_LANDMARKS
    some = layout.landmarks[::97]
    assert np.abs(layout.place(some) - layout.positions[::97]).max() < 1e-3
    near = unit(layout.landmarks[:9] + 0.001)
    assert np.linalg.norm(layout.place(near) - layout.positions[:9], axis=1).mean() < 0.2
    assert layout.place(vectors[:0]).shape == (0, 2)


class Rows:
    """As much of a store as `means` needs."""

    dim = 4

    def vectors(self, rows: list[int]) -> list[PassageVectors]:
        return [PassageVectors(row, 1, encode(np.eye(4, dtype=np.float32)[[row % 4]])) for row in reversed(rows)]


def test_a_text_is_known_by_the_mean_of_its_passages():
    found = means([(0,), (1, 2), tuple(range(4, 1004))], Rows())  # type: ignore[arg-type]
    assert found == pytest.approx(unit(np.array([[1, 0, 0, 0], [0, 1, 1, 0], found[2]])))
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)
    assert not means([], Rows()).size  # type: ignore[arg-type]
