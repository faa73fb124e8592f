"""The bundled model, read by us and by the libraries whose format it has; and any other model by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model2vec import StaticModel
from tokenizers import Tokenizer

from index.encoder import BUNDLED_FOLDER, StaticEncoder, load_encoder
from index.encoder.transformer import TransformerEncoder
from index.encoder.unigram import UnigramTrie
from index.errors import EncoderError
from index.text.fold import fold_text
from tests.conftest import seed

TEXTS = [
    "兰州帮扶中心资助了多少学生",
    "蘭州幫扶中心資助了多少學生",
    "How many students did the Lanzhou centre support?",
    "ISO9000 质量管理体系, 2.04 万份",
    "労働組合は何人を支援しましたか",
    "",
    "。，！？",
    "\u2060\U0001f600",
    seed(2)[:3000],
]


@pytest.fixture(scope="module")
def bundled() -> StaticEncoder:
    encoder = load_encoder()
    assert isinstance(encoder, StaticEncoder)
    return encoder


def test_vectors_are_unit_or_zero(bundled: StaticEncoder) -> None:
    vectors = bundled.encode_documents(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), bundled.dim), np.dtype(np.float32))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 1, 1, 0, 0, 0, 1], abs=1e-5)
    assert bundled.encode_documents([]).shape == (0, bundled.dim)
    assert np.array_equal(bundled.encode_query(TEXTS[0]), vectors[0])


@pytest.mark.slow
def test_model2vec_and_sentence_transformers_give_the_same_vectors(bundled: StaticEncoder) -> None:
    ours = bundled.encode_documents(TEXTS)
    folded = [fold_text(text) for text in TEXTS]
    library = StaticModel.from_pretrained(BUNDLED_FOLDER).encode(folded, use_multiprocessing=False)
    torch = TransformerEncoder(str(BUNDLED_FOLDER)).encode_documents(folded)
    assert ours == pytest.approx(np.asarray(library), abs=1e-5)
    assert ours == pytest.approx(torch, abs=1e-5)


def test_script_does_not_matter_and_meaning_does(bundled: StaticEncoder) -> None:
    simplified, traditional, english, *_ = bundled.encode_documents(TEXTS)
    assert simplified @ traditional == pytest.approx(1.0, abs=1e-5)
    unrelated = bundled.encode_query("苹果手机的屏幕尺寸")
    assert simplified @ english > simplified @ unrelated


def test_the_model_is_at_most_40_mb() -> None:
    assert sum(path.stat().st_size for path in BUNDLED_FOLDER.rglob("*") if path.is_file()) <= 40_000_000


@pytest.mark.slow
def test_a_folder_is_loaded_through_sentence_transformers() -> None:
    encoder = load_encoder(str(BUNDLED_FOLDER))
    assert isinstance(encoder, TransformerEncoder)
    assert encoder.dim == 256
    assert encoder.encode_documents([]).shape == (0, 256)
    assert encoder.encode_query("兰州") @ encoder.encode_documents(["兰州"])[0] == pytest.approx(1.0, abs=1e-5)


@pytest.fixture(scope="module")
def cuts() -> Callable[[str], tuple[list[int], list[int]]]:
    """The pieces of a text as the short way and as the tokenizer finds them."""
    pieces, tokenizer = UnigramTrie(BUNDLED_FOLDER), Tokenizer.from_file(str(BUNDLED_FOLDER / "tokenizer.json"))
    tokenizer.normalizer = None

    def cut(text: str) -> tuple[list[int], list[int]]:
        folded = fold_text(text)
        return pieces.ids(folded), [id for id in tokenizer.encode(folded, add_special_tokens=False).ids if id]

    return cut


def test_short_texts_are_cut_as_the_tokenizer_cuts_them(cuts: Callable[[str], tuple[list[int], list[int]]]) -> None:
    scripts = "Łódź 𠮷野家 กรุงเทพ नमस्ते مرحبا ĝ Ελλάδα"
    for text in [*TEXTS, scripts, *(line for number in range(5) for line in seed(number).splitlines())]:
        short, whole = cuts(text)
        assert short == whole, text


@given(text=st.text(max_size=30))
def test_any_short_text_is(cuts: Callable[[str], tuple[list[int], list[int]]], text: str) -> None:
    short, whole = cuts(text)
    assert short == whole


def test_a_folder_that_is_no_model_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EncoderError, match=r"encoder\.model: cannot load .*bundled") as caught:
        load_encoder(str(tmp_path)).encode_query("兰州")
    assert "\n" not in str(caught.value)


def test_a_damaged_bundled_model_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(EncoderError, match="reinstall"):
        StaticEncoder(tmp_path).encode_query("兰州")
    with pytest.raises(EncoderError, match="reinstall"):
        _ = StaticEncoder(tmp_path / "nowhere").fingerprint
