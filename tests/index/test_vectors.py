"""The vector index alone: a mapped checkpoint with changes beside it is the same as an index in memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.store.database import PassageVectors
from index.store.vectors import VectorIndex

DIM = 8


ANY = np.full(DIM, DIM**-0.5, dtype=np.float32)


def passage(row: int, units: int) -> PassageVectors:
    vectors = np.random.default_rng(row).standard_normal((units, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return PassageVectors(row=row, article=1, vectors=vectors.astype(np.float16))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sets(st.integers(1, 30), min_size=1, max_size=6)),
        st.tuples(st.just("remove"), st.sets(st.integers(1, 30), min_size=1, max_size=6)),
        st.tuples(st.just("save"), st.just(frozenset[int]())),
    ),
    max_size=12,
)


@given(steps=steps, query=st.integers(0, 99), limit=st.integers(1, 40), wanted=st.sets(st.integers(1, 30)))
@settings(max_examples=60, deadline=None)
def test_changes_beside_a_mapped_checkpoint(tmp_path_factory, steps, query, limit, wanted):
    file = tmp_path_factory.mktemp("vectors") / "vectors.faiss"
    plain, mapped, held = VectorIndex(DIM), VectorIndex(DIM), set[int]()
    for kind, rows in steps:
        if kind == "save":
            mapped.save(file)
            continue
        for index in (plain, mapped):
            index.remove(rows)
            if kind == "add":
                index.add(passage(row, 1 + row % 3) for row in sorted(rows))
        held = held | rows if kind == "add" else held - rows
        assert len(plain) == len(mapped) == sum(1 + row % 3 for row in held)
    if file.exists():
        mapped.save(file)
        assert dict(VectorIndex.load(file, DIM).search(ANY, 99)) == pytest.approx(dict(mapped.search(ANY, 99)))
    vector = passage(1000 + query, 1).vectors[0].astype(np.float32)
    for rows in (None, sorted(wanted)):
        expected, found = (dict(index.search(vector, limit, rows)) for index in (plain, mapped))
        assert found == pytest.approx(expected)
        assert list(found.values()) == sorted(found.values(), reverse=True)


def test_a_checkpoint_cut_short(tmp_path):
    file = tmp_path / "vectors.faiss"
    made = VectorIndex(DIM)
    made.add(passage(row, 2) for row in range(1, 200))
    made.save(file)
    whole = file.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"vectors\.faiss"):
            VectorIndex.load(file, DIM)
