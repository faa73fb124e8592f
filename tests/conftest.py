"""What all tests share: the shipped seeds, and an encoder whose vectors can be worked out by hand."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from index.encoder import Vectors
from index.encoder.base import Prompts
from index.text.fold import fold_text
from tests.marks import marks

ROOT = Path(__file__).parent.parent
SEEDS = ROOT / "seeds"
CANONICAL = "兰州帮扶中心资助了多少学生"


class BigramEncoder:
    """Counts character bigrams into 64 buckets: equal texts have cosine 1, texts that share nothing about 0."""

    fingerprint = "bigrams:1"
    dim = 64
    batch_size = 4096
    is_slow = False
    prompts = Prompts()

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            folded = "".join(char for char in fold_text(text) if char.isalnum())
            for start in range(len(folded) - 1):
                vectors[row, zlib.crc32(folded[start : start + 2].encode()) % self.dim] += 1
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)

    def encode_query(self, text: str) -> Vectors:
        vector: Vectors = self.encode_documents([text])[0]
        return vector


def require(what: str, is_there: object) -> None:
    """Skip a test that needs something beyond Python which is not there; CI sets CITED_QA_REQUIRE_ALL and fails."""
    if not is_there:
        (pytest.fail if os.environ.get("CITED_QA_REQUIRE_ALL") else pytest.skip)(f"needs {what}")


@pytest.fixture
def encoder() -> BigramEncoder:
    return BigramEncoder()


def seed(number: int) -> str:
    """The text of one of the shipped documents, line ends as they are."""
    (path,) = SEEDS.glob(f"{number:03}_*.txt")
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test bears the marks of what it starts."""
    for item in items:
        if isinstance(item, pytest.Function):
            for mark in sorted(marks(item)):
                item.add_marker(mark)
