"""FAISS over the vectors of all units, derived from the database.

A vector's id is its passage's row id and its place within the passage, so no table is needed between them. The file is
a checkpoint stamped with its generation; what came later is replayed from the database in memory.
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

from index.encoder import Vectors
from index.store.database import HalfVectors, PassageVectors

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
        flat = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        self._index: Any = faiss.IndexIDMap2(flat)

    @classmethod
    def load(cls, path: Path, dim: int) -> VectorIndex:
        """Read a checkpoint.

        Raises:
            ValueError: the file is missing, damaged or of another dimension; derive it again.
        """
        try:
            stamp = json.loads(_stamp(path).read_text())
            loaded = faiss.read_index(str(path))
            found = cls(dim)
            if loaded.d != dim or loaded.ntotal != stamp["vectors"]:
                raise ValueError(f"{path}: holds {loaded.ntotal} vectors of {loaded.d}, expected {stamp}")
            found._index, found.generation = loaded, int(stamp["generation"])
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
        fresh = path.with_suffix(".new")
        faiss.write_index(self._index, str(fresh))
        _stamp(path).unlink(missing_ok=True)
        os.replace(fresh, path)
        stamp = _stamp(path).with_suffix(".new")
        stamp.write_text(json.dumps({"generation": self.generation, "vectors": self._index.ntotal}))
        os.replace(stamp, _stamp(path))

    def __len__(self) -> int:
        return int(self._index.ntotal)

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
        if gone.size and len(self):
            ids = faiss.vector_to_array(self._index.id_map)
            self._index.remove_ids(ids[np.isin(ids // UNITS_PER_PASSAGE, gone)])

    def search(self, query: Vectors, limit: int, rows: list[int] | None = None) -> list[tuple[int, float]]:
        """Passage row ids with the cosine of their best unit, highest first, from the `limit` best units."""
        if not len(self) or limit < 1 or rows == []:
            return []
        parameters = None
        if rows is not None:
            ids = faiss.vector_to_array(self._index.id_map)
            admitted = ids[np.isin(ids // UNITS_PER_PASSAGE, np.asarray(rows, dtype=np.int64))]
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBatch(admitted))  # type: ignore[call-arg]
        scores, ids = self._index.search(query[None, :], min(limit, len(self)), params=parameters)
        best: dict[int, float] = {}
        for score, vector_id in zip(scores[0].tolist(), ids[0].tolist(), strict=True):
            if vector_id >= 0:
                best.setdefault(vector_id // UNITS_PER_PASSAGE, score)
        return list(best.items())


def _stamp(path: Path) -> Path:
    return path.with_suffix(".json")
