"""Unit vectors as they are stored: a byte a dimension.

A vector's code is `dim` int8, then one little-endian float32: the scale that makes a unit vector of them. The codes of
a passage's units follow one another. Cosines change by 0.003 at most in 256 dimensions, and by 0.0005 mostly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from index.encoder import Vectors

_LARGEST = 127
_SCALE = np.dtype("<f4")


def width(dim: int) -> int:
    """How many bytes the code of one vector has."""
    return dim + _SCALE.itemsize


def encode(vectors: Vectors) -> bytes:
    """The codes of vectors `(n, dim)`."""
    steps = np.abs(vectors).max(axis=1, keepdims=True) / _LARGEST
    values = np.rint(vectors / np.where(steps > 0, steps, 1)).astype(np.int8)
    lengths = np.linalg.norm(values.astype(np.float32), axis=1, keepdims=True)
    scales = np.divide(1, lengths, where=lengths > 0, out=np.zeros_like(lengths)).astype(_SCALE)
    return np.concatenate([values, scales.view(np.int8)], axis=1).tobytes()


def decode(codes: bytes, dim: int) -> Vectors:
    """The vectors of some codes, `(n, dim)`, unit length, or zero where a vector was."""
    values, scales = _parts(codes, dim)
    return np.multiply(values, scales, dtype=np.float32)


def cosines(codes: Sequence[bytes], queries: Vectors) -> Vectors:
    """The cosine of each vector of several passages, in their order, with each of `queries`, `(m, dim)`: `(n, m)`."""
    values, scales = _parts(b"".join(codes), queries.shape[1])
    # The scales last: there are as many products as vectors, and `dim` times as many values. Not by BLAS, whose threads
    # spin between questions and take twice the processor time for nothing.
    products: Vectors = np.einsum("nd,md->nm", values.astype(np.float32), queries) * scales
    return products


def _parts(codes: bytes, dim: int) -> tuple[NDArray[np.int8], Vectors]:
    table = np.frombuffer(codes, np.int8).reshape(-1, width(dim))
    return table[:, :dim], np.ascontiguousarray(table[:, dim:]).view(_SCALE)
