"""The vector index alone: a mapped checkpoint with changes beside it is the same as an index in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.store import vectors
from index.store.codes import decode, encode
from index.store.vectors import VectorIndex, extend, is_whole, write
from index.types import PassageVectors

DIM = 8
ANY = np.full(DIM, DIM**-0.5, dtype=np.float32)


def passage(row: int, units: int) -> PassageVectors:
    vectors = np.random.default_rng(row).standard_normal((units, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return PassageVectors(row=row, article=1, codes=encode(vectors.astype(np.float32)))


def passages(rows: range | list[int] | set[int]) -> list[PassageVectors]:
    return [passage(row, row % 4) for row in sorted(rows)]


def exact(rows: set[int], query: np.ndarray, limit: int) -> dict[int, float]:
    """Rows with the cosine of their best unit, from the `limit` best units."""
    units = [(float(v @ query), p.row) for p in passages(rows) for v in decode(p.codes, DIM)]
    best: dict[int, float] = {}
    for score, row in sorted(units, reverse=True)[:limit]:
        best.setdefault(row, score)
    return best


@given(
    first=st.integers(0, 40),
    added=st.integers(0, 20),
    gone=st.sets(st.integers(1, 60)),
    limit=st.integers(1, 40),
    wanted=st.none() | st.sets(st.integers(1, 60)),
    query=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_changes_beside_a_mapped_checkpoint(tmp_path_factory, first, added, gone, limit, wanted, query):
    file = tmp_path_factory.mktemp("vectors") / "vectors.faiss"
    write(file, DIM, 7, lambda: iter(passages(range(1, first + 1))), first)
    found = VectorIndex.load(file, DIM)
    assert found.generation == 7
    gone = {row for row in gone if row <= first}
    found.remove(gone)
    new = range(first + 1, first + added + 1)
    found.add(passages(new))
    held = {*range(1, first + 1), *new} - gone
    assert len(found) == sum(row % 4 for row in held)
    vector = decode(passage(1000 + query, 1).codes, DIM)[0]
    result = found.search(vector, limit, None if wanted is None else found.admit(sorted(wanted)))
    assert dict(result) == pytest.approx(exact(held if wanted is None else held & wanted, vector, limit), abs=2e-3)
    assert [score for _, score in result] == sorted((score for _, score in result), reverse=True)


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint with trained lists."""
    monkeypatch.setattr(vectors, "FLAT_VECTORS", 1000)
    file = tmp_path / "vectors.faiss"
    write(file, DIM, 1, lambda: iter(passages(range(1, 2001))), 3000)
    return file


def test_lists_find_what_exact_search_finds(lists: Path) -> None:
    found = VectorIndex.load(lists, DIM)
    assert len(found) == sum(row % 4 for row in range(1, 2001))
    hits = sum(row in dict(found.search(decode(passage(row, 3).codes, DIM)[2], 20)) for row in range(3, 2001, 40))
    assert found.is_rough
    assert hits >= 48  # of 50; nobody's nearest neighbour lies beyond the lists that are looked through but by chance
    # A filter that admits little is answered from lists further away.
    (only,) = found.search(ANY, 5, found.admit([1799]))
    assert only[0] == 1799


def test_lists_are_extended_in_place_and_reduced(lists: Path) -> None:
    gone, new = set(range(1, 2001, 3)), range(2001, 2101)
    extend(lists, 9, gone, passages(new))
    found = VectorIndex.load(lists, DIM)
    held = {*range(1, 2001), *new} - gone
    assert (found.generation, len(found)) == (9, sum(row % 4 for row in held))
    for row in (1, 2, 4, 5, 2003, 2050, 1999):
        near = found.search(decode(passage(row, 3).codes, DIM)[0], 200, found.admit([row]))
        assert [found for found, _ in near] == ([row] if row in held else [])
    extend(lists, 10, new, [])
    assert len(VectorIndex.load(lists, DIM)) == sum(row % 4 for row in held if row <= 2000)


def test_a_checkpoint_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "vectors.faiss"
    write(file, DIM, 1, lambda: iter(passages(range(1, 200))), 199)
    whole = file.read_bytes()
    assert is_whole(file, DIM)
    assert not is_whole(file, DIM + 1)
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"vectors\.faiss"):
            VectorIndex.load(file, DIM)
        assert not is_whole(file, DIM)
