"""sentence-transformers models: their own prompts, truncation and dimension, and where they come from."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index.encoder import EncoderOptions, load_encoder
from index.encoder.transformer import TransformerEncoder
from index.errors import EncoderError
from tests.conftest import seed
from tests.index.models import MINILM, hub, save_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def minilm() -> TransformerEncoder:
    encoder = load_encoder(MINILM)
    assert isinstance(encoder, TransformerEncoder)
    return encoder


def test_a_transformer_from_pypi(minilm: TransformerEncoder) -> None:
    near, same, far = minilm.encode_documents(
        ["The union paid for their studies.", "Workers' children got a grant.", "It rains."]
    )
    question = minilm.encode_query("Who helped pupils with money?")
    assert (minilm.dim, near.dtype) == (384, np.float32)
    assert min(question @ near, question @ same) > question @ far + 0.2
    assert minilm.fingerprint == load_encoder(MINILM).fingerprint != load_encoder().fingerprint


def test_it_goes_to_another_process_by_name(minilm: TransformerEncoder) -> None:
    there = pickle.loads(pickle.dumps(minilm))
    assert there.fingerprint == minilm.fingerprint
    assert "_model" not in vars(there)  # that process loads it itself


def test_text_without_words_and_text_without_end(minilm: TransformerEncoder) -> None:
    texts = ["", "。，！？", "工会", "words " * 170_000, "工" * 1_000_000, seed(0)]
    found = minilm.encode_documents(texts)
    assert np.linalg.norm(found, axis=1) == pytest.approx([0, 0, 1, 1, 1, 1], abs=1e-5)
    assert minilm.encode_documents([]).shape == (0, 384)
    assert not minilm.encode_query("？").any()
    # The model reads 256 word pieces, and its own truncation says so.
    assert found[3] == pytest.approx(minilm.encode_documents(["words " * 300])[0], abs=1e-5)


def test_many_threads_ask_at_once(minilm: TransformerEncoder) -> None:
    questions = [f"How many of {number} were there?" for number in range(24)]
    expected = [minilm.encode_documents([question])[0] for question in questions]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(load_encoder(MINILM).encode_query, questions))
    assert np.stack(found) == pytest.approx(np.stack(expected), abs=1e-5)


@pytest.mark.parametrize(
    ("prompts", "options", "query", "document"),
    [
        ({}, EncoderOptions(), "", ""),
        ({"query": "query: ", "passage": "passage: "}, EncoderOptions(), "query: ", "passage: "),
        ({"query": "Instruct: find\nQuery:", "document": ""}, EncoderOptions(), "Instruct: find\nQuery:", ""),
        ({"retrieval.query": "Q: ", "retrieval.passage": "P: "}, EncoderOptions(), "Q: ", "P: "),
        (
            {"query": "query: ", "passage": "passage: "},
            EncoderOptions(query_prompt="", document_prompt="文："),
            "",
            "文：",
        ),
    ],
    ids=["none", "e5", "qwen3", "jina", "overridden"],
)
def test_prompts(tmp_path: Path, prompts: dict[str, str], options: EncoderOptions, query: str, document: str) -> None:
    bare = load_encoder(str(save_model(tmp_path / "bare", {})))
    encoder = load_encoder(str(save_model(tmp_path / "prompted", prompts)), options)
    assert (encoder.prompts.query.text, encoder.prompts.document.text) == (query, document)
    assert encoder.encode_query("工会") == pytest.approx(bare.encode_query(f"{query}工会"), abs=1e-5)
    assert encoder.encode_documents(["工会"]) == pytest.approx(bare.encode_documents([f"{document}工会"]), abs=1e-5)


def test_a_default_prompt_is_for_neither_side(tmp_path: Path) -> None:
    prompts = {"query": "query: ", "sts": "alike: "}
    encoder = load_encoder(str(save_model(tmp_path / "it", prompts, default_prompt_name="sts")))
    bare = load_encoder(str(save_model(tmp_path / "bare", {})))
    assert encoder.encode_documents(["工会"]) == pytest.approx(bare.encode_documents(["工会"]), abs=1e-5)


@pytest.mark.parametrize(
    ("folder", "query", "document"),
    [
        ("multilingual-e5-small", "query: ", "passage: "),
        ("bge-base-zh-v1.5", "为这个句子生成表示以用于检索相关文章：", ""),
        ("bge-m3", "", ""),
    ],
)
def test_prompts_that_only_the_model_card_states(tmp_path: Path, folder: str, query: str, document: str) -> None:
    prompts = load_encoder(str(save_model(tmp_path / folder, {}))).prompts
    assert (prompts.query.text, prompts.document.text) == (query, document)


def test_the_dimension_is_the_model_s(tmp_path: Path) -> None:
    encoder = load_encoder(str(save_model(tmp_path / "short", {}, truncate_dim=5)))
    found = encoder.encode_documents(["工会", "职工"])
    assert (encoder.dim, found.shape) == (5, (2, 5))
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1], abs=1e-5)


def test_the_fingerprint_is_of_what_the_vectors_depend_on(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "it", {"query": "query: "})
    before = load_encoder(str(folder)).fingerprint
    assert load_encoder(str(folder), EncoderOptions(batch_size=8, device="cpu", query_prompt="?")).fingerprint == before
    assert load_encoder(str(folder), EncoderOptions(document_prompt="p: ")).fingerprint != before
    (folder / "README.md").write_text("# Ours")
    assert load_encoder(str(folder)).fingerprint == before
    config = folder / "config_sentence_transformers.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "prompts": {"document": "p: "}}))
    changed = load_encoder(str(folder)).fingerprint
    assert changed != before
    weights = next(folder.rglob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert load_encoder(str(folder)).fingerprint not in (before, changed)


def damaged(folder: Path, name: str, content: bytes) -> str:
    save_model(folder, {})
    next(folder.rglob(name)).write_bytes(content)
    return str(folder)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: str(folder), "holds no modules.json or config.json, so no model; give a model folder"),
        (lambda folder: str(folder / "missing"), "no such folder; give a model folder"),
        (lambda _: "./missing", "no such folder"),
        (lambda _: "a name", "neither a folder nor a hub name"),
        (lambda folder: damaged(folder, "modules.json", b"{"), "cannot load .* with sentence-transformers"),
        (lambda folder: damaged(folder, "*.safetensors", b"x" * 99), "cannot load .* with sentence-transformers"),
    ],
    ids=["empty", "missing", "relative", "spaces", "modules", "weights"],
)
def test_what_is_no_model_is_one_clear_line(tmp_path: Path, make: Callable[[Path], str], words: str) -> None:
    encoder = load_encoder(make(tmp_path))
    with pytest.raises(EncoderError, match=words) as caught:
        encoder.encode_query("兰州")
    assert str(caught.value).startswith("encoder.model: ")
    assert "\n" not in str(caught.value)


def test_a_model_that_does_not_say_how_it_pools(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from transformers import BertConfig, BertModel

    shutil.copytree(
        MINILM, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors", "modules.json")
    )
    shape: dict[str, Any] = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(**shape)).save_pretrained(tmp_path)
    assert load_encoder(str(tmp_path)).encode_query("union").shape == (8,)
    assert "its token vectors are averaged" in caplog.text


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="nowhere"):
        load_encoder(str(save_model(tmp_path, {})), EncoderOptions(device="nowhere")).encode_query("工会")


def test_vectors_that_are_not_finite(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    weights = next(save_model(tmp_path, {}).rglob("*.safetensors"))
    save_file({name: np.full_like(rows, np.nan) for name, rows in load_file(weights).items()}, weights)
    with pytest.raises(EncoderError, match="not finite"):
        load_encoder(str(tmp_path)).encode_documents(["工会"])


def run_python(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "QA_"))}
    environment |= {"HF_HOME": str(folder / "hub"), "HF_HUB_DISABLE_XET": "1", "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120
    )


FROM_THE_HUB = """
from index.encoder import EncoderOptions, load_encoder
from index.errors import EncoderError

first = load_encoder("some/tiny")
print(first.fingerprint, first.prompts.document.text, first.encode_query("工会").tolist(), sep="|")
try:
    load_encoder("some/coded").encode_query("工会")
except EncoderError as exc:
    print(exc)
print(load_encoder("some/coded", EncoderOptions(trust_remote_code=True)).encode_query("工会").tolist(), flush=True)
input()
again = load_encoder("some/tiny")
assert again.fingerprint == first.fingerprint and again.encode_query("工会").any()
print("again")
"""


def test_a_hub_name_is_downloaded_once_and_then_needs_no_network(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "models" / "some" / "tiny", {"query": "query: ", "passage": "passage: "})
    vector = load_encoder(str(folder)).encode_query("工会").tolist()
    coded = folder.with_name("coded")
    shutil.copytree(folder, coded)
    (coded / "ours.py").write_text(
        "from sentence_transformers.sentence_transformer.modules import StaticEmbedding as Ours"
    )
    (coded / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "ours.Ours"}]))
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_DISABLE_XET": "1"}
    environment.pop("HF_HUB_OFFLINE", None)
    with hub(tmp_path / "models") as address:
        process = subprocess.Popen(
            [sys.executable, "-c", FROM_THE_HUB],
            env={**environment, "HF_ENDPOINT": address},
            text=True,
            encoding="utf-8",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
    shutil.rmtree(tmp_path / "models")
    out, errors = process.communicate("\n", timeout=60)
    assert (out, process.returncode) == ("again\n", 0), (lines, errors)
    assert errors.splitlines() == [
        f"downloading the encoder model some/{name}, once" for name in ("tiny", "coded", "coded")
    ]
    fingerprint, prompt, found = lines[0].split("|")
    assert (fingerprint.split(":")[0], prompt) == ("tiny", "passage: ")
    assert lines[1].startswith("encoder.model: cannot load 'some/coded' ") and "trust_remote_code" in lines[1], lines[1]
    assert json.loads(found) == json.loads(lines[2]) == pytest.approx(vector, abs=1e-5)


def test_a_hub_name_without_a_network_fails_soon(tmp_path: Path) -> None:
    code = "from qa.cli.main import main; import sys; sys.argv = ['qa', 'search', '工会']; main()"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        done = run_python(code, tmp_path, QA_ENCODER_MODEL="some/tiny", QA_DATA_DIR=str(tmp_path), HF_ENDPOINT=address)
        seconds = time.monotonic() - started
    assert done.returncode == 2
    assert done.stderr.startswith("qa: encoder.model: cannot load 'some/tiny': it is no folder here, nor downloaded")
    assert f"{address} can't be reached: " in done.stderr
    assert done.stderr.count("\n") == 1
    assert seconds < 20
