"""What cuts the texts of a large index into pieces gives what the tokenizer gives."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from index.chunking.passages import split
from index.chunking.sentences import clauses
from index.encoder import BUNDLED_FOLDER, StaticEncoder, row_sums, unigram
from index.encoder import static as static_module
from index.encoder.unigram import Stretches, UnigramTrie
from index.indexing.digest import digest, embed
from index.indexing.embeddings import Embedder
from index.parsing import ReadText
from index.store.codes import decode
from index.text.fold import HIDDEN, fold_text
from tests.conftest import seed

TEXTS = [
    *(seed(number)[start:end] for number in range(5) for start, end in clauses(seed(number))),
    "兰州 ２０２４ 年 abc 中心",
    "蘭州幫扶中心資助了多少學生",
    "…℃①㎡½ 工…会",
    "e\u0301cole l'École e\u0301",
    "ไทยกับแรงงาน हिन्दी العُمّال",
    "",
    "\n\n",
    "推动科" + HIDDEN * 2 + "学发展",
    "\U0001f600\U00020000薴\ud800工会",
    "Gewerkschaftsmitglieder unterstützen",
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    found = Tokenizer.from_file(str(BUNDLED_FOLDER / "tokenizer.json"))
    found.normalizer = None
    return found


@pytest.fixture(params=["first", "later"])
def stretches(tokenizer: Tokenizer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Stretches:
    if request.param == "later":
        monkeypatch.setattr(unigram, "_FEW", 0)
    return Stretches(UnigramTrie(BUNDLED_FOLDER), lambda: tokenizer)


def told_apart(stretches: Stretches, texts: list[str]) -> list[list[int]]:
    ids, counts = stretches.ids(texts)
    assert counts.sum() == len(ids)
    # What is no piece has a vector of zeros, and is left out.
    return [part[part > 0].tolist() for part in np.split(ids, np.cumsum(counts)[:-1])]


def test_the_tokenizer_gives_the_same_ids(stretches: Stretches, tokenizer: Tokenizer) -> None:
    texts = [text.replace("\ud800", "") for text in TEXTS]
    expected = [[id for id in tokenizer.encode(fold_text(text)).ids if id] for text in texts]
    assert told_apart(stretches, texts) == expected
    assert told_apart(stretches, texts[::-1]) == expected[::-1]


def test_what_is_known_is_forgotten_when_it_is_much(stretches: Stretches, monkeypatch: pytest.MonkeyPatch) -> None:
    before = told_apart(stretches, TEXTS)
    monkeypatch.setattr(unigram, "_MAX_KNOWN", 10)
    assert told_apart(stretches, TEXTS) == before
    assert told_apart(stretches, TEXTS[:3]) == before[:3]
    assert len(stretches._known) < 100


def test_many_texts_have_the_vectors_of_single_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = StaticEncoder(BUNDLED_FOLDER)
    alone = np.stack([encoder.encode_query(text) for text in TEXTS])
    monkeypatch.setattr(static_module, "_SHORT_CHARS", 0)
    assert encoder.encode_documents(TEXTS) == pytest.approx(alone, abs=1e-6)
    assert "_stretches" in vars(encoder)


def test_documents_embedded_together_have_the_units_of_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_module, "_SHORT_CHARS", 0)
    embedder = Embedder(StaticEncoder(BUNDLED_FOLDER), None)
    sections = [(text, section) for text in (seed(0), "短文", seed(2)) for section in split(text)]
    told: list[tuple[int, int]] = []
    together = embed(sections, embedder, lambda done, total: told.append((done, total)))
    for (text, section), units in zip(sections, together, strict=True):
        (alone,) = embed([(text, section)], embedder)
        assert alone.spans == units.spans
        assert decode(alone.codes, 256) == pytest.approx(decode(units.codes, 256), abs=1e-2)
    assert told[-1][0] == told[-1][1] > sum(len(units.spans) for units in together)


def test_a_digest_is_the_same_in_another_process() -> None:
    found = digest(ReadText(seed(1) + "\n坏\ufffd字"), Embedder(StaticEncoder(BUNDLED_FOLDER), None))
    copy = pickle.loads(pickle.dumps(found))
    assert (copy.sections, copy.notices) == (found.sections, found.notices)
    assert any(section.damaged for section in copy.sections)
    for first, second in zip(copy.units, found.units, strict=True):
        assert first.spans == second.spans
        assert first.codes == second.codes


@given(st.lists(st.lists(st.integers(0, 8), max_size=5), max_size=6))
def test_row_sums(chosen: list[list[int]]) -> None:
    rows = np.arange(27, dtype=np.float32).reshape(9, 3)
    counts = np.array([len(run) for run in chosen], dtype=np.int64)
    found = row_sums(rows, np.array(sum(chosen, []), dtype=np.int64), counts)
    assert found.tolist() == [rows[run].sum(axis=0).tolist() for run in chosen]
