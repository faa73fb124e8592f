"""Which passages say the same thing. Pure.

A passage is sketched as the set of its character 5-grams and the row of its figures. MinHash keys find the few that may
be copies (Broder 1997; the signatures are rensa's), and the sketches decide exactly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import rensa
from numpy.typing import NDArray

# Two passages that share this much of the smaller one's character 5-grams say the same thing.
NEAR_DUPLICATE = 0.8
_GRAM_CHARS = 5
# Passages whose sets have the Jaccard index J share a key with probability 1 - (1 - J^2)^24: 0.999 for a copy cut down
# to half, 0.94 to a third. One value a key would find shorter pieces, and thousands of strangers in a large index.
_KEYS = 24
_VALUES_PER_KEY = 2
_SEED = 1
_MISSED = 0.001
STAMP = f"2: rensa {rensa.RMinHash.ALGORITHM_VERSION}, {_KEYS} keys of {_VALUES_PER_KEY}, {_GRAM_CHARS}-grams"

_HAN_NUMBER = "[〇零一二两三四五六七八九十百千万亿]+"
_FIGURE = re.compile(f"[0-9]+(?:[.,][0-9]+)*|{_HAN_NUMBER}")
# The number of a heading or list item says where a text stands, not what it says.
_ENUMERATOR = re.compile(f"[(]?第?(?:[0-9]+|{_HAN_NUMBER})[篇章节)、.:](?![0-9])")
# Odd constants that spread neighbouring code points and values over 64 bits (Fibonacci hashing).
_SPREAD = 0x9E3779B97F4A7C15
_POWERS = np.array([pow(_SPREAD, power, 1 << 64) for power in range(1, _GRAM_CHARS + 1)], dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class Sketch:
    """`grams` are the sorted hashes of a text's distinct character 5-grams; `figures` its numbers in order."""

    grams: NDArray[np.uint64]
    figures: tuple[str, ...]


def sketch(folded: str) -> Sketch:
    """The sketch of a folded text; white space does not count. A text shorter than a gram is one."""
    text = "".join(folded.split())
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    size = max(1, min(_GRAM_CHARS, len(codes)))
    windows = np.lib.stride_tricks.sliding_window_view(np.append(codes, np.uint64(0))[: max(len(codes), 1)], size)
    hashes = windows @ _POWERS[:size]
    enumerator = _ENUMERATOR.match(text)
    found = _FIGURE.findall(text, enumerator.end() if enumerator else 0)
    figures = tuple(figure.replace(",", "") for figure in found)
    return Sketch(np.unique(_mix(hashes)), figures)


def keys(sketches: Sequence[Sketch]) -> NDArray[np.int32]:
    """`(len(sketches), 1 + _KEYS)`: sketches that may be copies share a key, save for the odds named above.

    The first key is that of the whole: equal texts share it, and few others.
    """
    if not sketches:
        return np.zeros((0, 1 + _KEYS), dtype=np.int32)
    whole = np.array([found.grams.sum(dtype=np.uint64) for found in sketches], dtype=np.uint64)
    ends = np.cumsum([len(found.grams) for found in sketches]).tolist()
    grams = np.concatenate([found.grams for found in sketches])
    matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(grams, [0, *ends], _KEYS * _VALUES_PER_KEY, _SEED)
    values = np.array(matrix.to_rows(), dtype=np.uint64).reshape(len(sketches), _KEYS, _VALUES_PER_KEY)
    joined = ((values[:, :, 0] << np.uint64(32)) | values[:, :, 1]) + np.arange(_KEYS, dtype=np.uint64)
    mixed = _mix(np.column_stack([whole, joined]))
    return (mixed >> np.uint64(32)).astype(np.uint32).view(np.int32)


@cache
def keys_needed(first: int, second: int, keys: int) -> int:
    """How many of `keys` two texts of so many grams share at least, were they copies; one in a thousand shares fewer.

    Copies have most of the smaller one in common, so that texts of like length must share many keys, and a piece of a
    text only one.
    """
    ratio = min(first, second) / max(first, second, 1)
    jaccard = NEAR_DUPLICATE * ratio / (1 + (1 - NEAR_DUPLICATE) * ratio)
    odds = jaccard**_VALUES_PER_KEY
    fewer = 0.0
    for count in range(keys):
        fewer += math.comb(keys, count) * odds**count * (1 - odds) ** (keys - count)
        if fewer > _MISSED:
            return max(1, count)
    return max(1, keys)


def shared(first: Sketch, second: Sketch) -> int:
    """How many grams two copies share; 0 when neither is a copy of the other.

    A piece of a text counts as its copy. Texts that name other figures, or the same ones in another order, are none.
    """
    small, large = (first, second) if len(first.grams) <= len(second.grams) else (second, first)
    remaining = iter(large.figures)
    if not all(figure in remaining for figure in small.figures):
        return 0
    common = len(np.intersect1d(small.grams, large.grams, assume_unique=True))
    return common if common >= NEAR_DUPLICATE * len(small.grams) else 0


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed: NDArray[np.uint64] = (values ^ (values >> np.uint64(32))) * np.uint64(_SPREAD)
    return mixed ^ (mixed >> np.uint64(29))
