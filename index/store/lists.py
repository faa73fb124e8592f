"""Inverted lists of product-quantised codes: how many, trained on what, and filled in less time (FAISS)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import faiss

from index.encoder import Vectors

METRIC = faiss.METRIC_INNER_PRODUCT
# Twice the root of the number of vectors.
_LISTS_PER_ROOT = 2
# So many training vectors a list, and rounds; twice as many of both give the same recall.
_TRAINING_PER_LIST = 32
_TRAINING_ROUNDS = 6
# With so many lists, those that vectors belong to are found by way of coarse codes of the centroids.
_MANY_LISTS = 1024
_CENTROIDS_COMPARED = 8


def training(about: int) -> int:
    """How many of about so many vectors the lists are to be trained on."""
    return _lists(about) * _TRAINING_PER_LIST


def trained(sample: Vectors, about: int) -> Any:  # noqa: ANN401 - FAISS has no types
    """An empty index with lists for about so many vectors like those of the sample, `(n, dim)`."""
    dim = sample.shape[1]
    index: Any = faiss.index_factory(dim, f"IVF{_lists(about)},PQ{_split(dim, 2)}x4fs", METRIC)
    index.cp.niter = _TRAINING_ROUNDS
    index.cp.min_points_per_centroid = 1  # or FAISS writes to the terminal what it would rather have
    index.train(sample)
    return index


@contextmanager
def assigning(index: Any) -> Iterator[None]:  # noqa: ANN401
    """Vectors that are added find their lists in a quarter of the time, and one in a hundred the second best."""
    if not isinstance(index, faiss.IndexIVF) or index.nlist < _MANY_LISTS:
        yield
        return
    exact = index.quantizer
    centroids = exact.reconstruct_n(0, index.nlist)
    coarse: Any = faiss.index_factory(index.d, f"PQ{_split(index.d, 4)}x4fs", METRIC)
    coarse.train(centroids)
    coarse.add(centroids)
    quick: Any = faiss.IndexRefineFlat(coarse, faiss.swig_ptr(centroids))
    quick.k_factor = _CENTROIDS_COMPARED
    index.quantizer = quick
    try:
        yield
    finally:
        index.quantizer = exact


def _lists(about: int) -> int:
    return 1 << round(math.log2(_LISTS_PER_ROOT * math.sqrt(about)))


def _split(dim: int, size: int) -> int:
    """Into how many codes a vector is split, each for so many dimensions, or for one."""
    return dim // size if dim % size == 0 else dim
