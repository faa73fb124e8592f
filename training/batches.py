"""Batches: pairs of one kind each, as flat piece ids with offsets, in an order that the seed fixes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.settings import Settings

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Encoded:
    """All texts as piece ids: text i is `flat[offsets[i] : offsets[i + 1]]`."""

    flat: npt.NDArray[np.int32]
    offsets: Ids

    def frequencies(self, pieces: int) -> npt.NDArray[np.float64]:
        """The share of each piece in all text."""
        counted = np.bincount(self.flat, minlength=pieces).astype(np.float64)
        share: npt.NDArray[np.float64] = counted / counted.sum()
        return share


@dataclass(frozen=True, slots=True)
class Batch:
    """Both sides of the pairs: `ids` with `offsets` hold the left texts, then the right; `texts` says which."""

    ids: Ids
    offsets: Ids
    texts: Ids


def gather(
    encoded: Encoded, texts: Ids, drop: npt.NDArray[np.float64], longest: int, rng: np.random.Generator
) -> Batch:
    """The ids of `texts`, each cut to `longest`, each id left out with its text's probability `drop`."""
    starts = encoded.offsets[texts]
    lengths = np.minimum(encoded.offsets[texts + 1] - starts, longest)
    places = np.repeat(starts - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) + np.arange(lengths.sum())
    owners = np.repeat(np.arange(len(texts)), lengths)
    ids = encoded.flat[places].astype(np.int64)
    kept = (ids != 0) & (rng.random(len(ids)) >= np.where(lengths > 3, drop, 0)[owners])
    counted = np.bincount(owners[kept], minlength=len(texts))
    return Batch(ids[kept], np.concatenate([[0], np.cumsum(counted)[:-1]]), texts)


def batches_in(pairs: Mapping[str, npt.NDArray[np.int32]], settings: Settings) -> int:
    """How many batches an epoch has."""
    return sum(-(-int(len(rows) * settings.times.get(name, 1.0)) // settings.batch) for name, rows in pairs.items())


def epoch(
    encoded: Encoded, pairs: Mapping[str, npt.NDArray[np.int32]], settings: Settings, number: int
) -> Iterator[tuple[str, Batch]]:
    """Epoch `number`: each kind as often as the settings say, in batches of one kind, the kinds mixed."""
    rng = np.random.default_rng([settings.seed, number])
    plan: list[tuple[str, Ids]] = []
    for name, rows in pairs.items():
        wanted = int(len(rows) * settings.times.get(name, 1.0))
        if not wanted:
            continue
        order = np.concatenate([rng.permutation(len(rows)) for _ in range(-(-wanted // len(rows)))])[:wanted]
        plan += [(name, order[start : start + settings.batch]) for start in range(0, wanted, settings.batch)]
    for place in rng.permutation(len(plan)):
        name, chosen = plan[place]
        both = pairs[name][chosen].astype(np.int64)
        probability = np.repeat([settings.drop, settings.drop / 4], len(both))
        yield name, gather(encoded, both.T.reshape(-1), probability, settings.longest, rng)
