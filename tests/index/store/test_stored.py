"""What the database keeps of a document: its text in pieces, offsets in few bytes, vectors as codes, and counts."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.errors import IndexDamagedError
from index.store.codes import cosines, decode, encode, width
from index.store.database import Database
from index.store.rows import BLOCK_CHARS, blocks, integers, integers_of, pack, spans, spans_of, unpack
from index.types import Document, Section, Units

DIM = 8


@given(st.lists(st.one_of(st.integers(0, 300), st.integers(0, 2**30))), st.integers(0, 2**30))
def test_offsets_are_kept(values: list[int], base: int) -> None:
    assert integers_of(integers(values, base), base) == tuple(values)


def test_neighbouring_spans_take_a_byte_an_offset() -> None:
    found = [(100_004, 100_020), (100_021, 100_090), (100_090, 100_300)]
    assert len(spans(found, 100_000)) == 1 + 6
    assert spans_of(spans(found, 100_000), 100_000) == tuple(found)
    assert (spans(()), spans_of(b"")) == (b"", ())


def test_an_offset_beyond_32_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="beyond 32 bits: 8589934592"):
        integers([1 << 33])


@given(st.text())
def test_a_text_is_kept_to_the_letter(text: str) -> None:
    assert unpack(pack(text + "\ud800")) == text + "\ud800"


@given(st.lists(st.tuples(st.integers(0, 9 * BLOCK_CHARS), st.integers(1, 2 * BLOCK_CHARS))), st.integers(0, 5000))
def test_pieces_cover_a_text_and_cut_no_passage(starts: list[tuple[int, int]], beyond: int) -> None:
    passages = [(start, start + count) for start, count in starts]
    length = max((end for _, end in passages), default=0) + beyond
    found = list(blocks(length, passages))
    assert (found[0][0], found[-1][1]) == (0, length)
    assert all(left[1] == right[0] for left, right in zip(found, found[1:], strict=False))
    for start, end in passages:
        assert sum(first <= start and end <= last for first, last in found) >= 1
    if not passages:
        assert all(last - first <= 2 * BLOCK_CHARS for first, last in found)


def test_vectors_are_kept_as_codes() -> None:
    vectors = np.random.default_rng(1).standard_normal((40, 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[7] = 0
    codes = encode(vectors)
    assert len(codes) == 40 * width(256) == 40 * 260
    found = decode(codes, 256)
    assert np.linalg.norm(found, axis=1) == pytest.approx([1.0] * 7 + [0.0] + [1.0] * 32)
    assert np.abs(found @ vectors.T - vectors @ vectors.T).max() < 0.003
    half = 12 * width(256)
    assert cosines([codes[:half], b"", codes[half:]], vectors[:3]) == pytest.approx(found @ vectors[:3].T, abs=1e-6)
    assert (encode(vectors[:0]), decode(b"", 256).shape) == (b"", (0, 256))


def put(database: Database, id: str, passages: int, chars: int = 300) -> Document:
    """A document of two articles, the passages of which say different things."""
    chance = random.Random(id)
    text = "".join(chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(passages * chars))
    sections = [
        Section(number // 4, f"第{number // 4}篇", ("一、",), None, number + 1, number * chars, (number + 1) * chars)
        for number in range(passages)
    ]
    units = [Units(((0, chars),), encode(np.eye(DIM, dtype=np.float32)[[n % DIM]])) for n in range(passages)]
    document = Document(id, id, "docs", f"{id}.txt", id, text, "", len(text), 0, "2026-11-21T00:00:00+00:00")
    database.put(document, sections, units)
    return document


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(tmp_path / "index.sqlite")
    made.create()
    return made


def test_a_passage_is_read_from_one_piece(database: Database) -> None:
    document = put(database, "large", 400)
    with database._reading() as connection:
        first, count = connection.execute("SELECT first_piece, pieces FROM documents").fetchone()
        assert count == pytest.approx(400 * 300 / BLOCK_CHARS, rel=0.3)
        # All but the third are damaged.
        connection.execute("UPDATE texts SET text = X'00' WHERE row <> ?", (first + 2,))
        held = [row for (row,) in connection.execute("SELECT row FROM passages WHERE piece = ?", (first + 2,))]
    found = database.passages(held)
    assert len(found) == len(held) >= 5
    assert all(passage.text == document.text[passage.start : passage.end] for passage in found.values())
    with pytest.raises(IndexDamagedError, match=r"index\.sqlite: a text is damaged .*run: qa index --rebuild"):
        database.document("large")


def test_rows_of_what_went_are_never_given_again(database: Database) -> None:
    first = [put(database, name, 5) for name in "abc"]
    rows = database.passage_rows_of(["a", "b", "c"])
    assert rows == {"a": [1, 2, 3, 4, 5], "b": [6, 7, 8, 9, 10], "c": [11, 12, 13, 14, 15]}
    since = database.generation
    assert database.remove("c")
    assert not database.remove("c")
    database.purge(database.generation)
    assert put(database, "c", 3).text != first[2].text
    assert database.passage_rows_of(["c"]) == {"c": [16, 17, 18]}
    assert database.removed_since("passages", since) == rows["c"]
    assert database.removed_since("articles", since) == [5, 6]
    assert [passage.id for passage in database.document_passages("c", 9, after=1)] == ["c-2", "c-3"]
    assert [passage.row for passage in database.article_passages([7, 1])] == [1, 2, 3, 4, 16, 17, 18]
    with closing(sqlite3.connect(database.path)) as connection:
        tables = ("documents", "articles", "passages", "vectors")
        counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
    assert counts == [3, 5, 13, 13]


def test_counts_are_those_of_a_generation(database: Database) -> None:
    """Counted while others write, and not by reading what there is."""
    seen = {}
    for change in range(30):
        name = "abcd"[change * 7 % 4]
        if change % 3 == 2:
            database.remove(name)
        else:
            put(database, name, 1 + change % 5, 20)
        with database._reading() as connection:
            (passages,) = connection.execute(
                "SELECT count(*) FROM passages p JOIN documents d ON d.row = p.document"
            ).fetchone()
        seen[database.generation] = (len(database.documents()), passages)
    assert {generation: database.at(generation).counts() for generation in seen} == seen
    assert database.counts() == seen[database.generation]
