"""FAISS over the vectors of all units, derived from the database.

    vectors.faiss       a checkpoint, mapped into memory: opening it reads nothing, and processes share it
    vectors.rows.npy    for each vector of it the row id of its passage, ascending; mapped as well
    vectors.json        what both hold

What came and went since the checkpoint is replayed from the database: vectors in a small exact index beside it, row ids
in a mask over it. Row ids are never used twice, so neither can bring back what is gone.

Up to FLAT_VECTORS the checkpoint is exact. Beyond that it has inverted lists of product-quantised codes, two bits a
dimension, many of which are compared at a time in registers (IVF, PQ4 fast-scan: a fifth of the time of scalar codes,
in half of the bytes). Their cosines are rough, so more candidates are taken than were asked for, whose cosines are then
to be computed from the database's own vectors (benchmarks/README.md has the figures). The lists are trained again when
the index has doubled or halved.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from index.encoder import Vectors
from index.store import codes
from index.types import PassageVectors

FLAT_VECTORS = 200_000
# Vectors are added in parts, so that no copy of them all is in memory.
_BATCH = 2000
# How many lists a search looks through for each root of their number: with so many candidates for each that is wanted,
# that gives recall@10 of 0.97 for half a million vectors and for five (benchmarks/README.md).
_PROBES_PER_ROOT = 8
_CANDIDATES = 3
_METRIC = faiss.METRIC_INNER_PRODUCT
# Twice the root of the number of vectors.
_LISTS_PER_ROOT = 2
# So many training vectors a list, and rounds; twice as many of both give the same recall.
_TRAINING_PER_LIST = 32
_TRAINING_ROUNDS = 6
# With so many lists, those that vectors belong to are found by way of coarse codes of the centroids.
_MANY_LISTS = 1024
_CENTROIDS_COMPARED = 8

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a checkpoint holds: its generation, how many vectors, how many it was trained for (0: exact), its bytes."""

    generation: int = 0
    vectors: int = 0
    trained: int = 0
    bytes: int = 0

    @classmethod
    def read(cls, path: Path) -> Stamp:
        """Of the checkpoint at `path`; zeros where there is none."""
        try:
            return cls(**json.loads(_stamp(path).read_text()))
        except (OSError, ValueError, TypeError):
            return cls()

    def fits(self, vectors: int) -> bool:
        """Whether an index of so many vectors can go on with the lists of this one."""
        return vectors > FLAT_VECTORS and self.trained / 2 <= vectors <= 2 * self.trained


class Selected:
    """Positions of a FAISS index that a search keeps to."""

    def __init__(self, places: Mask) -> None:
        self.places = places
        self.left_out = len(places) - int(np.count_nonzero(places))
        self.share = 1 - self.left_out / len(places) if len(places) else 0.0
        self.selector = _selector(places)


@dataclass(frozen=True, slots=True)
class AdmittedVectors:
    """What a search keeps to in the checkpoint, and in what came since."""

    checkpoint: Selected
    since: Selected


class VectorIndex:
    """Inner-product search over unit vectors, one thread a search."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.generation = 0
        self._checkpoint = _Part(_flat(dim), np.zeros(0, np.int64))
        self._since = _Part(_flat(dim), np.zeros(0, np.int64))

    @classmethod
    def load(cls, path: Path, dim: int) -> VectorIndex:
        """Open a checkpoint.

        Raises:
            ValueError: the file is missing, damaged or of another dimension; derive it again.
        """
        opened = cls(dim)
        stamp = Stamp.read(path)
        try:
            # What is mapped and cut short would end the process when it is read.
            if not stamp.bytes or path.stat().st_size != stamp.bytes:
                raise ValueError(f"{path}: is not the checkpoint that its stamp describes")
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
            rows = np.load(_rows(path), mmap_mode="r")
        except (OSError, RuntimeError, EOFError) as exc:
            raise ValueError(f"{path}: {exc}") from exc
        if index.d != dim or index.ntotal != stamp.vectors or len(rows) < index.ntotal:
            raise ValueError(f"{path}: holds {index.ntotal} vectors of {index.d}, expected {stamp}")
        opened._checkpoint = _Part(index, rows)
        opened.generation = stamp.generation
        return opened

    def __len__(self) -> int:
        return len(self._checkpoint) + len(self._since)

    def add(self, batch: Iterable[PassageVectors]) -> None:
        """Add the units of passages, whose row ids are beyond all that are held."""
        for rows, vectors in _parts(batch, self.dim):
            self._since.index.add(vectors)
            self._since.rows = np.concatenate([self._since.rows, rows])

    def remove(self, rows: Iterable[int]) -> None:
        """Remove the units of passages; unknown rows are ignored. To be done before `add`."""
        self._checkpoint.hide(rows)

    @property
    def is_rough(self) -> bool:
        """Whether cosines are only about right.

        `search` then takes more units than it is asked for, so that those with the best exact cosines are among them.
        """
        return self._checkpoint.lists > 0

    def admit(self, rows: Iterable[int]) -> AdmittedVectors:
        """These passages alone, for searching; to be kept, as it takes time where they are many."""
        return AdmittedVectors(self._checkpoint.admit(rows), self._since.admit(rows))

    def search(self, query: Vectors, limit: int, admitted: AdmittedVectors | None = None) -> list[tuple[int, float]]:
        """Passage row ids with the cosine of their best unit, highest first, from the `limit` best units.

        See `is_rough` for what that means.
        """
        if limit < 1:
            return []
        # OpenMP keeps this number for each thread. With more, its threads spin while they wait for the next question.
        faiss.omp_set_num_threads(1)
        limit *= _CANDIDATES if self.is_rough else 1
        first, second = (admitted.checkpoint, admitted.since) if admitted else (None, None)
        near = [*self._checkpoint.search(query, limit, first), *self._since.search(query, limit, second)]
        best: dict[int, float] = {}
        for row, score in sorted(near, key=lambda item: (-item[1], item[0]))[:limit]:
            best.setdefault(row, score)
        return list(best.items())


class _Part:
    """A FAISS index whose ids are positions in `rows`, the passages of the vectors."""

    def __init__(self, index: Any, rows: Rows) -> None:  # noqa: ANN401 - FAISS has no types
        self.index = index
        self.rows = rows
        self._alive: Selected | None = None
        self.lists = index.nlist if isinstance(index, faiss.IndexIVF) else 0

    def __len__(self) -> int:
        return int(self.index.ntotal) - (self._alive.left_out if self._alive else 0)

    def hide(self, rows: Iterable[int]) -> None:
        """Leave out the vectors of these passages."""
        gone = self.places(rows)
        if gone.any():
            self._alive = Selected(~gone)

    def admit(self, rows: Iterable[int]) -> Selected:
        """The vectors of these passages."""
        admitted = self.places(rows)
        return Selected(admitted & self._alive.places if self._alive else admitted)

    def places(self, rows: Iterable[int]) -> Mask:
        """Which positions belong to these passages."""
        wanted = np.fromiter(rows, np.int64)
        is_wanted = np.zeros(int(self.rows[-1]) + 1 if len(self.rows) else 0, np.bool_)
        is_wanted[wanted[wanted < len(is_wanted)]] = True
        return is_wanted[self.rows]

    def search(self, query: Vectors, limit: int, admitted: Selected | None) -> list[tuple[int, float]]:
        """Rows and cosines of the `limit` nearest vectors, or of those that were found."""
        selected = admitted or self._alive
        if not self.index.ntotal or (selected and not selected.share):
            return []
        scores, places = self.index.search(
            query[None, :], min(limit, len(self.rows)), params=self._parameters(selected)
        )
        is_there = places[0] >= 0
        return list(zip(self.rows[places[0][is_there]].tolist(), scores[0][is_there].tolist(), strict=True))

    def _parameters(self, selected: Selected | None) -> Any:  # noqa: ANN401
        selector = selected.selector if selected else None
        if self.lists:
            # What few vectors a filter admits lie in lists further away.
            share = selected.share if selected else 1.0
            probes = min(self.lists, math.ceil(_PROBES_PER_ROOT * math.sqrt(self.lists) / share))
            return faiss.SearchParametersIVF(sel=selector, nprobe=probes)  # type: ignore[call-arg]
        return faiss.SearchParameters(sel=selector) if selector else None  # type: ignore[call-arg]


def is_whole(path: Path, dim: int) -> bool:
    """Whether there is a checkpoint that can be opened."""
    try:
        VectorIndex.load(path, dim)
    except ValueError:
        return False
    return True


def write(path: Path, dim: int, generation: int, vectors: Callable[[], Iterator[PassageVectors]], about: int) -> None:
    """Make a checkpoint at `path` of all `vectors`, about so many, in ascending order of rows.

    They are read twice when lists are trained. A reader sees the old checkpoint or the new one, never half of one.
    """
    faiss.omp_set_num_threads(1)  # other threads derive what else there is
    index = _flat(dim) if about <= FLAT_VECTORS else _trained(dim, vectors(), about)
    rows = [np.zeros(0, np.int64)]
    with _assigning(index):
        for own, batch in _parts(vectors(), dim):
            index.add(batch)
            rows.append(own)
    _save(path, index, np.concatenate(rows), generation, 0 if about <= FLAT_VECTORS else about)


def extend(path: Path, generation: int, removed: Iterable[int], added: Iterable[PassageVectors]) -> None:
    """Make a checkpoint of the one at `path`, which has lists, by removing and adding vectors."""
    index = faiss.read_index(str(path))  # a copy of its own, that can be changed
    known: Rows = np.load(_rows(path))
    index.remove_ids(_selector(_Part(index, known).places(removed)))
    rows = [known]
    position = len(known)
    with _assigning(index):
        for own, batch in _parts(added, index.d):
            # Positions are not used again, so those of what was removed stay without a vector.
            index.add_with_ids(batch, np.arange(position, position + len(own), dtype=np.int64))
            position += len(own)
            rows.append(own)
    _save(path, index, np.concatenate(rows), generation, Stamp.read(path).trained)


def _save(path: Path, index: Any, rows: Rows, generation: int, trained: int) -> None:  # noqa: ANN401
    fresh, fresh_rows = path.with_suffix(".new"), _rows(path).with_suffix(".new")
    faiss.write_index(index, str(fresh))
    with fresh_rows.open("wb") as file:
        np.save(file, rows)
    stamp = Stamp(generation, int(index.ntotal), trained, fresh.stat().st_size)
    _stamp(path).unlink(missing_ok=True)
    os.replace(fresh_rows, _rows(path))
    os.replace(fresh, path)
    fresh_stamp = _stamp(path).with_suffix(".new")
    fresh_stamp.write_text(json.dumps(asdict(stamp)))
    os.replace(fresh_stamp, _stamp(path))


def _trained(dim: int, vectors: Iterator[PassageVectors], about: int) -> Any:  # noqa: ANN401
    """An empty index with lists for about so many vectors, trained on those of some passages."""
    wanted = min(1.0, _training(about) / about)
    chance = np.random.default_rng(1)
    sample = [batch for _, batch in _parts((passage for passage in vectors if chance.random() < wanted), dim)]
    return _with_lists(np.concatenate(sample), about)


def _training(about: int) -> int:
    """How many of about so many vectors the lists are to be trained on."""
    return _lists(about) * _TRAINING_PER_LIST


def _with_lists(sample: Vectors, about: int) -> Any:  # noqa: ANN401 - FAISS has no types
    """An empty index with lists for about so many vectors like those of the sample, `(n, dim)`."""
    dim = sample.shape[1]
    index: Any = faiss.index_factory(dim, f"IVF{_lists(about)},PQ{_split(dim, 2)}x4fs", _METRIC)
    index.cp.niter = _TRAINING_ROUNDS
    index.cp.min_points_per_centroid = 1  # or FAISS writes to the terminal what it would rather have
    index.train(sample)
    return index


@contextmanager
def _assigning(index: Any) -> Iterator[None]:  # noqa: ANN401
    """Vectors that are added find their lists in a quarter of the time, and one in a hundred the second best."""
    if not isinstance(index, faiss.IndexIVF) or index.nlist < _MANY_LISTS:
        yield
        return
    exact = index.quantizer
    centroids = exact.reconstruct_n(0, index.nlist)
    coarse: Any = faiss.index_factory(index.d, f"PQ{_split(index.d, 4)}x4fs", _METRIC)
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


def _selector(places: Mask) -> Any:  # noqa: ANN401
    return faiss.IDSelectorBitmap(np.packbits(places, bitorder="little"))  # type: ignore[arg-type, call-arg]


def _flat(dim: int) -> Any:  # noqa: ANN401
    return faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, _METRIC)


def _parts(batch: Iterable[PassageVectors], dim: int) -> Iterator[tuple[Rows, Vectors]]:
    """Vectors in parts, float32, each with the row of its passage."""
    passages = iter(batch)
    while part := list(islice(passages, _BATCH)):
        counts = [len(passage.codes) // codes.width(dim) for passage in part]
        rows = np.repeat(np.array([passage.row for passage in part], np.int64), counts)
        yield rows, codes.decode(b"".join(passage.codes for passage in part), dim)


def _rows(path: Path) -> Path:
    return path.with_suffix(".rows.npy")


def _stamp(path: Path) -> Path:
    return path.with_suffix(".json")
