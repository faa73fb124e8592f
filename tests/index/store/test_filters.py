from __future__ import annotations

import threading
from pathlib import Path

import faiss
import pytest

from index.store.local import FilterRows, LocalStore
from index.types import Filters
from tests.conftest import BigramEncoder
from tests.index.retrieval.test_search import store_of

QUERY = BigramEncoder().encode_query("苹果很甜")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = store_of(tmp_path, a="苹果很甜。\n\n梨不甜。", b="苹果和梨都很甜。", c="汽车很快。")
    assert isinstance(store, LocalStore)
    return store


@pytest.mark.parametrize("filters", [Filters(), Filters(collection=("docs",)), Filters(path="docs/*")], ids=str)
def test_a_filter_that_admits_everything_is_none(store: LocalStore, filters: Filters) -> None:
    admission = FilterRows(store.database)
    assert admission.documents(filters) is None and admission.passages(filters) is None
    assert admission.of(filters, [3, 1]) == [3, 1]


def test_a_filter_that_admits_some(store: LocalStore) -> None:
    admission, filters = FilterRows(store.database), Filters(path="docs/[ab].txt")
    found = admission.passages(filters)
    assert found is not None
    rows = found.tolist()
    assert {Path(passage.path).stem for passage in store.passages(rows).values()} == {"a", "b"}
    assert sorted(rows) == rows
    assert admission.of(filters, range(100)) == rows


def test_the_first_that_a_wide_filter_admits(store: LocalStore) -> None:
    admission, filters = FilterRows(store.database), Filters(path="docs/[ab].txt")
    rows = admission.passages(filters)
    assert rows is not None
    everything = [(row, 1 / (1 + row)) for row in range(100)]
    asked = []

    def find(limit: int) -> list[tuple[int, float]]:
        asked.append(limit)
        return everything[:limit]

    assert admission.first(filters, 1, find) == [everything[rows[0]]]
    assert asked == [2 * store.counts()[1] // len(rows)]
    assert admission.first(filters, 50, find) is None  # there are not so many
    assert admission.first(Filters(path="docs/*"), 1, find) is None
    assert admission.first(Filters(path="docs/x"), 1, find) is None


def test_a_filter_that_admits_nothing(store: LocalStore) -> None:
    admission, filters = FilterRows(store.database), Filters(collection=("elsewhere",))
    assert admission.documents(filters) == admission.of(filters, [1, 2]) == []
    assert store.search_vectors(QUERY, 10, filters) == []


def test_the_nearest_of_few_passages_are_the_nearest_of_all_that_are_among_them(store: LocalStore) -> None:
    filters = Filters(path="docs/[ac].txt")
    among = {row for row in store.passages(range(100)) if store.passages([row])[row].path != "docs/b.txt"}
    wanted = [(row, score) for row, score in store.search_vectors(QUERY, 100, Filters()) if row in among]
    found = store.search_vectors(QUERY, 100, filters)
    assert [row for row, _ in found] == [row for row, _ in wanted]
    assert [score for _, score in found] == pytest.approx([score for _, score in wanted], abs=1e-3)
    assert store.search_vectors(QUERY, 1, filters) == found[:1]


def test_a_thread_that_searches_needs_no_other(store: LocalStore) -> None:
    threads = []

    def search() -> None:
        faiss.omp_set_num_threads(4)
        store.search_vectors(QUERY, 10, Filters())
        threads.append(faiss.omp_get_max_threads())

    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    assert threads == [1]
