"""What the vectors of words are made of besides the word itself: its characters, shorter words, its beginnings.

The parts are shared between words, so that a word seldom or never seen in training has a sensible vector.
They are folded into the words' vectors when the model is written; nothing of them remains at run time.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

_LONGEST_BEGINNING = 7


def is_han(piece: str) -> bool:
    """Whether `piece` is Chinese characters."""
    return "\u3005" <= piece[0] <= "\u9fff" and not "\u3040" <= piece[0] <= "\u30ff"


def parts(piece: str, vocabulary: set[str]) -> list[str]:
    """The shared parts of `piece`."""
    if piece[0].isdigit():
        return []
    if is_han(piece):
        inner = [piece[i:j] for i in range(len(piece)) for j in range(i + 2, len(piece) + 1)]
        return [f"c{char}" for char in piece] + [f"w{word}" for word in inner if word in vocabulary]
    if "\u3040" <= piece[0] <= "\u30ff":
        return [f"k{piece[i : i + 2]}" for i in range(len(piece) - 1)]
    shortest = 2 if "\uac00" <= piece[0] <= "\ud7a3" else 3
    return [f"b{piece[:size]}" for size in range(shortest, min(len(piece), _LONGEST_BEGINNING) + 1)]


def matrix(pieces: list[str]) -> csr_matrix:
    """(pieces, parts) matrix, rows of norm 1, of the parts that at least two pieces share."""
    vocabulary = set(pieces)
    found = [parts(piece, vocabulary) if number else [] for number, piece in enumerate(pieces)]
    counted = Counter(part for row in found for part in set(row))
    columns = {part: place for place, part in enumerate(sorted(part for part, n in counted.items() if n > 1))}
    kept = [[columns[part] for part in row if part in columns] for row in found]
    lengths = np.array([len(row) for row in kept])
    values: npt.NDArray[np.float32] = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
    indices = np.array([column for row in kept for column in row], np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    made = csr_matrix((values, indices, offsets), shape=(len(pieces), len(columns)))
    made.sum_duplicates()
    return made
