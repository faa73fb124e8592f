"""Vectors kept by text and model, so that a slow encoder sees a text once."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.encoder import Vectors
from index.errors import EncoderError, IndexUnusableError
from index.indexing import embeddings
from index.indexing.build import sync
from index.indexing.embeddings import FILE, Embedder, EmbeddingCache
from index.retrieval.search import search
from tests.conftest import BigramEncoder


class SlowEncoder(BigramEncoder):
    """A deterministic encoder that notes what it was given, and can be made to fail."""

    batch_size = 3
    is_slow = True

    def __init__(self, fingerprint: str = "slow:1") -> None:
        self.fingerprint = fingerprint
        self.batches: list[list[str]] = []
        self.fails_after: int | None = None

    @property
    def texts(self) -> list[str]:
        return [text for batch in self.batches for text in batch]

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        if self.fails_after is not None and len(self.batches) >= self.fails_after:
            raise EncoderError("encoder.model: gone")
        self.batches.append(list(texts))
        return super().encode_documents(texts)

    def encode_query(self, text: str) -> Vectors:
        vector: Vectors = super().encode_documents([text])[0]
        return vector


def embed(encoder: BigramEncoder, folder: Path, texts: Sequence[str]) -> np.ndarray:
    with closing(Embedder(encoder, folder)) as embedder:
        return embedder.encode(texts)


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text(max_size=12), max_size=12), known=st.lists(st.text(max_size=12), max_size=5))
def test_vectors_are_the_encoder_s_in_the_order_of_the_texts(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], known: list[str]
) -> None:
    folder, encoder = tmp_path_factory.mktemp("cache"), SlowEncoder()
    embed(encoder, folder, known)
    found = embed(encoder, folder, texts)
    assert found.dtype == np.float32
    assert np.array_equal(found, BigramEncoder().encode_documents(texts).astype(np.float16))
    assert sorted(encoder.texts) == sorted({*texts, *known})
    assert max(map(len, encoder.batches), default=0) <= encoder.batch_size


def test_a_model_does_not_see_another_one_s_vectors(tmp_path: Path) -> None:
    first, second = SlowEncoder("slow:1"), SlowEncoder("slow:2")
    for encoder in (first, second, first):
        embed(encoder, tmp_path, ["工会", "职工"])
    assert len(first.texts) == len(second.texts) == 2


def test_a_fast_encoder_keeps_nothing(tmp_path: Path) -> None:
    assert embed(BigramEncoder(), tmp_path, ["工会"]).any()
    assert list(tmp_path.iterdir()) == []


def test_what_was_encoded_before_a_failure_is_kept(tmp_path: Path) -> None:
    encoder = SlowEncoder()
    encoder.fails_after = 2
    texts = [f"第{number}条" for number in range(10)]
    with pytest.raises(EncoderError, match="gone"):
        embed(encoder, tmp_path, texts)
    encoder.fails_after = None
    embed(encoder, tmp_path, texts)
    assert sorted(encoder.texts) == sorted(texts)


def test_the_oldest_are_dropped_beyond_twice_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "_KEPT_AT_LEAST", 4)
    encoder = SlowEncoder()
    with closing(Embedder(encoder, tmp_path)) as embedder:
        for number in range(9):
            embedder.encode([f"第{number}条"])
        embedder.trim(1)
    with closing(EmbeddingCache(tmp_path / FILE, "slow:1")) as cache, closing(sqlite3.connect(tmp_path / FILE)) as file:
        kept = [key for (key,) in file.execute("SELECT text FROM vectors ORDER BY row")]
        assert len(kept) == len(cache.find(kept)) == 4
    encoder.batches.clear()
    embed(encoder, tmp_path, [f"第{number}条" for number in range(9)])
    assert sorted(encoder.texts) == [f"第{number}条" for number in range(5)]


def test_vectors_outlive_an_index_that_was_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "_KEPT_AT_LEAST", 1)
    texts = [f"第{number}条" for number in range(9)]
    encoder = SlowEncoder()

    def sync_with(indexed: int) -> list[str]:
        encoder.batches.clear()
        with closing(Embedder(encoder, tmp_path)) as embedder:
            embedder.encode(texts)
            embedder.trim(indexed)
        return encoder.texts

    assert sorted(sync_with(len(texts))) == texts
    assert [sync_with(0), sync_with(0), sync_with(len(texts))] == [[], [], []]
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        file.execute("UPDATE sizes SET day = day - ?", (embeddings._KEPT_DAYS + 1,))
        file.commit()
    assert sync_with(0) == []
    assert len(sync_with(0)) == 9 - 1


def test_vectors_of_a_version_without_sizes_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "_KEPT_AT_LEAST", 1)
    embed(SlowEncoder(), tmp_path, [f"第{number}条" for number in range(8)])
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        file.execute("DROP TABLE sizes")
    with closing(EmbeddingCache(tmp_path / FILE, "slow:1")) as cache:
        cache.trim(0)
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        assert file.execute("SELECT count(*) FROM vectors").fetchone() == (8,)


def test_a_damaged_file_says_that_it_may_go(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database" * 100)
    with pytest.raises(IndexUnusableError, match=r"embeddings\.sqlite: .*delete the file") as caught:
        embed(SlowEncoder(), tmp_path, ["工会"])
    assert "\n" not in str(caught.value)


# A corpus with one file large enough for several batches.
LARGE = "\n\n".join(f"第{number}条 工会会员有权参加第{number}次代表大会的选举。" for number in range(20))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "large.txt").write_text(LARGE, encoding="utf-8")
    (folder / "small.txt").write_text("兰州市总工会帮助困难职工子女上大学。", encoding="utf-8")
    return folder


def test_progress_moves_inside_a_file(corpus: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float, int]] = []
    sync({"docs": corpus}, tmp_path / "data", SlowEncoder(), base=tmp_path, progress=lambda *what: told.append(what))
    inside = [(what, done) for what, done, _ in told if "embedded" in what]
    what, done = inside[0]
    assert what == "docs/large.txt (3 of 21 embedded)" and done == pytest.approx(3 / 21)
    assert len(inside) > 5
    files = [done for what, done, _ in told if what != "words"]
    assert files == sorted(files)
    assert (told[0], told[-1]) == (("docs/large.txt", 0, 2), ("words", 21, 21))


def test_an_interrupted_file_goes_on_where_it_stopped(corpus: Path, tmp_path: Path) -> None:
    encoder = SlowEncoder()
    encoder.fails_after = 4
    with pytest.raises(EncoderError):
        sync({"docs": corpus}, tmp_path / "data", encoder, base=tmp_path)
    before = set(encoder.texts)
    encoder.fails_after = None
    encoder.batches.clear()
    store, report = sync({"docs": corpus}, tmp_path / "data", encoder, base=tmp_path)
    assert len(before) == 12
    assert before.isdisjoint(encoder.texts)
    assert len(report.added) == 2
    assert search(store, encoder, "兰州大学")[0].passage.path == "docs/small.txt"


class UnloadedEncoder(SlowEncoder):
    """One whose model must not be loaded."""

    dim = property(lambda _: pytest.fail("the model was loaded"))


def test_renaming_and_rebuilding_encode_nothing(corpus: Path, tmp_path: Path) -> None:
    encoder = SlowEncoder()
    sync({"docs": corpus}, tmp_path / "data", encoder, base=tmp_path)
    encoder.batches.clear()
    (corpus / "large.txt").rename(corpus / "renamed.txt")
    report = sync({"docs": corpus}, tmp_path / "data", encoder, base=tmp_path)[1]
    assert (report.added, report.removed, report.moved) == ([], [], ["docs/renamed.txt"])
    sync({"docs": corpus}, tmp_path / "data", encoder, base=tmp_path, rebuild=True)
    assert encoder.texts == []
    (corpus / "renamed.txt").rename(corpus / "large.txt")
    for moved in (["docs/large.txt"], []):
        assert sync({"docs": corpus}, tmp_path / "data", UnloadedEncoder(), base=tmp_path)[1].moved == moved
