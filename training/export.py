"""Writing the model folder that sentence-transformers and model2vec both load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from index.encoder import unigram

Vectors = npt.NDArray[np.float32]
_MODULES = [
    {"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.models.StaticEmbedding"},
    {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"},
]


def rotate(vectors: Vectors, importance: npt.NDArray[np.float64]) -> Vectors:
    """The same vectors turned so that the first dimensions hold most (Matryoshka order); products stay the same."""
    scaled = vectors * np.sqrt(importance)[:, None].astype(np.float32)
    _, axes = np.linalg.eigh((scaled.T @ scaled).astype(np.float64))
    turned: Vectors = vectors @ axes[:, ::-1].astype(np.float32)
    return turned


def quantise(vectors: Vectors) -> tuple[npt.NDArray[np.int8], Vectors]:
    """Rows as int8, and for each row what to multiply it with; row 0, the unknown piece, is nothing."""
    scales = np.abs(vectors).max(axis=1) / 127
    scales[scales == 0] = 1
    rows = np.rint(vectors / scales[:, None]).astype(np.int8)
    rows[0] = 0
    return rows, scales.astype(np.float32)


def dequantised(vectors: Vectors) -> Vectors:
    """`vectors` as a reader of the written model sees them."""
    rows, scales = quantise(vectors)
    seen: Vectors = rows * scales[:, None]
    return seen


def write(folder: Path, tokenizer: Tokenizer, vectors: Vectors, card: str) -> None:
    """Write the model to `folder`, replacing it only when all is written."""
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "1_Normalize").mkdir(parents=True)
    rows, scales = quantise(vectors)
    save_file({"embeddings": rows, "weights": scales}, fresh / "model.safetensors")
    (fresh / "model.safetensors").chmod(0o644)
    tokenizer.save(str(fresh / "tokenizer.json"), pretty=False)
    unigram.write(fresh)
    config = {
        "model_type": "model2vec",
        "architectures": ["StaticModel"],
        "hidden_dim": rows.shape[1],
        "embedding_dtype": "int8",
        "normalize": True,
        "max_length": None,
    }
    _dump(fresh / "config.json", config)
    _dump(fresh / "modules.json", _MODULES)
    _dump(fresh / "1_Normalize/config.json", {})
    (fresh / "README.md").write_text(card, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _dump(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
