"""FAISS over the vectors of all units, derived from the database.

A vector's id is its passage's row id and its place within the passage, so no table is needed between them. The file is
a checkpoint stamped with its generation. It is mapped, not read, so all processes of a machine share one copy of it;
what came later is replayed from the database into memory beside it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from index.encoder import Vectors
from index.store.database import HalfVectors, PassageVectors

Ids = NDArray[np.int64]

UNITS_PER_PASSAGE = 1 << 12
# Vectors are added in parts, so that no copy of them all is in memory.
_BATCH = 2000


class VectorIndex:
    """Exact inner-product search over unit vectors, half precision, one thread a search."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.generation = 0
        # Several threads a search wait for each other as soon as several searches run.
        faiss.omp_set_num_threads(1)
        self._rest_on(None, None)

    def _rest_on(self, file: Path | None, mapped: Any) -> None:  # noqa: ANN401 - faiss has no types
        """Start from a mapped checkpoint. It can't change: beside it is what came since and what has left it."""
        self._file, self._mapped = file, mapped
        flat = faiss.IndexScalarQuantizer(self.dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        self._index: Any = faiss.IndexIDMap(flat)
        self._gone = np.empty(0, dtype=np.int64)

    @classmethod
    def load(cls, path: Path, dim: int) -> VectorIndex:
        """Read a checkpoint.

        Raises:
            ValueError: the file is missing, damaged or of another dimension; derive it again.
        """
        try:
            stamp = json.loads(_stamp(path).read_text())
            size = path.stat().st_size
            if size != stamp.get(
                "bytes", size
            ):  # what is mapped beyond a file's end kills the process that looks at it
                raise ValueError(f"{path}: has {size} bytes, expected {stamp}")
            loaded = _map(path)
            found = cls(dim)
            if loaded.d != dim or loaded.ntotal != stamp["vectors"]:
                raise ValueError(f"{path}: holds {loaded.ntotal} vectors of {loaded.d}, expected {stamp}")
            found._rest_on(path, loaded)
            found.generation = int(stamp["generation"])
        except (OSError, RuntimeError, KeyError, TypeError) as exc:
            raise ValueError(f"{path}: {exc}") from exc
        return found

    @staticmethod
    def stamp(path: Path) -> tuple[int, int]:
        """Generation and number of vectors of a checkpoint; zeros where there is none."""
        try:
            stamp = json.loads(_stamp(path).read_text())
            return int(stamp["generation"]), int(stamp["vectors"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0, 0

    def save(self, path: Path) -> None:
        """Write a checkpoint; a reader sees the old one or the new one, never half of one."""
        fresh, vectors = path.with_suffix(".new"), len(self)
        faiss.write_index(self._whole(), str(fresh))
        _stamp(path).unlink(missing_ok=True)
        size = fresh.stat().st_size
        os.replace(fresh, path)
        stamp = _stamp(path).with_suffix(".new")
        stamp.write_text(json.dumps({"generation": self.generation, "vectors": vectors, "bytes": size}))
        os.replace(stamp, _stamp(path))
        self._rest_on(path, _map(path))

    def _whole(self) -> Any:  # noqa: ANN401
        """One index of all vectors, which is what a checkpoint holds."""
        if self._file is None:
            return self._index
        whole: Any = faiss.read_index(str(self._file))
        whole.remove_ids(self._gone)
        if added := self._index.ntotal:
            flat: Any = faiss.downcast_index(self._index.index)
            whole.add_sa_codes(faiss.vector_to_array(flat.codes).reshape(added, -1), _ids(self._index))
        return whole

    def __len__(self) -> int:
        before = self._mapped.ntotal - len(self._gone) if self._mapped is not None else 0
        return int(self._index.ntotal) + before

    def add(self, batch: Iterable[PassageVectors]) -> None:
        """Add the units of passages."""
        passages = iter(batch)
        while part := list(islice(passages, _BATCH)):
            vectors: list[HalfVectors] = [passage.vectors for passage in part]
            ids = [
                passage.row * UNITS_PER_PASSAGE + number for passage in part for number in range(len(passage.vectors))
            ]
            self._index.add_with_ids(np.concatenate(vectors).astype(np.float32), np.asarray(ids, dtype=np.int64))

    def remove(self, rows: Iterable[int]) -> None:
        """Remove the units of passages; unknown rows are ignored."""
        gone = np.asarray(list(rows), dtype=np.int64)
        if not gone.size:
            return
        self._index.remove_ids(_of_passages(self._index, gone))
        if self._mapped is not None:
            self._gone = np.union1d(self._gone, _of_passages(self._mapped, gone))

    def search(self, query: Vectors, limit: int, rows: list[int] | None = None) -> list[tuple[int, float]]:
        """Passage row ids with the cosine of their best unit, highest first, from the `limit` best units."""
        if not len(self) or limit < 1 or rows == []:
            return []
        wanted = None if rows is None else np.asarray(rows, dtype=np.int64)
        found = _nearest(self._index, query, limit, wanted, self._gone[:0])
        if self._mapped is not None:
            found += _nearest(self._mapped, query, limit, wanted, self._gone)
            found.sort(key=lambda pair: -pair[0])
        best: dict[int, float] = {}
        for score, vector_id in found[:limit]:
            best.setdefault(vector_id // UNITS_PER_PASSAGE, score)
        return list(best.items())


def _map(path: Path) -> Any:  # noqa: ANN401
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)


def _ids(index: Any) -> Ids:  # noqa: ANN401
    ids: Ids = faiss.vector_to_array(index.id_map)
    return ids


def _of_passages(index: Any, rows: Ids) -> Ids:  # noqa: ANN401
    """The vectors of these passages that an index holds."""
    ids = _ids(index)
    return ids[np.isin(ids // UNITS_PER_PASSAGE, rows)]


def _nearest(index: Any, query: Vectors, limit: int, rows: Ids | None, gone: Ids) -> list[tuple[float, int]]:  # noqa: ANN401
    """Scores and ids of the nearest vectors of `rows`, or of all, that are not gone."""
    if not index.ntotal:
        return []
    selector: Any = None
    if rows is not None:
        selector = faiss.IDSelectorBatch(np.setdiff1d(_of_passages(index, rows), gone))
    elif gone.size:
        hidden = faiss.IDSelectorBatch(gone)
        selector = faiss.IDSelectorNot(hidden)
    parameters = faiss.SearchParameters(sel=selector) if selector else None  # type: ignore[call-arg]
    scores, ids = index.search(query[None, :], min(limit, index.ntotal), params=parameters)
    return [(score, found) for score, found in zip(scores[0].tolist(), ids[0].tolist(), strict=True) if found >= 0]


def _stamp(path: Path) -> Path:
    return path.with_suffix(".json")
