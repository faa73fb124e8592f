"""The pairs on disk: every text once, one a line, and the pairs as line numbers, by kind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.pairs import Pair

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts, and for each kind of pairs an (n, 2) array of places in `texts`."""

    texts: list[str]
    pairs: dict[str, npt.NDArray[np.int32]]


def write(folder: Path, kinds: dict[str, Callable[[], Iterator[Pair]]], sample: int | None) -> None:
    """Write all pairs under `folder`; at most `sample` of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    places: dict[str, int] = {}
    arrays: dict[str, npt.NDArray[np.int32]] = {}
    for name, pairs in kinds.items():
        rows = []
        for left, right in pairs():
            line = " ".join(left.split()), " ".join(right.split())
            if all(line) and line[0] != line[1]:
                rows.append([places.setdefault(text, len(places)) for text in line])
            if sample and len(rows) >= sample:
                break
        arrays[name] = np.array(rows, np.int32).reshape(-1, 2)
        log.info("pairs: %s %d", name, len(rows))
    (folder / "texts.txt").write_text("\n".join(places), encoding="utf-8")
    np.savez(folder / "pairs.npz", allow_pickle=False, **arrays)


def read(folder: Path) -> Corpus:
    """What `write` wrote."""
    texts = (folder / "texts.txt").read_text(encoding="utf-8").split("\n")
    with np.load(folder / "pairs.npz") as arrays:
        return Corpus(texts, {name: arrays[name] for name in arrays.files if name != "allow_pickle"})
