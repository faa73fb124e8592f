"""Any sentence-transformers model, by hub name or folder."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from index.encoder.base import EncoderOptions, Prompt, Prompts, Vectors, encode_worded, prompts_of
from index.errors import EncoderError

logger = logging.getLogger(__name__)

# What sentence-transformers itself takes.
_BATCH_SIZE = 32
_PROBE_TIMEOUT_S = 5.0
_REMEMBERED_QUERIES = 256
_SAMPLE_BYTES = 1 << 20
_REASON_CHARS = 200
# The files of a model that its vectors depend on.
_PARTS = frozenset({".json", ".safetensors", ".bin", ".txt", ".model", ".py"})
_HOW = "give a model folder, a hub name that can be downloaded, or 'bundled'"


class TransformerEncoder:
    """A sentence-transformers model with its own prompts, pooling, truncation and dimension.

    Its vectors are always brought to unit length, also for a model that was made for dot products of other lengths:
    hybrid search adds cosines to lexical scores.
    """

    is_slow = True

    def __init__(self, model: str, options: EncoderOptions = EncoderOptions()) -> None:  # noqa: B008 - frozen
        self._name = model
        self._options = options
        # Tokenizers of transformers can't be used by two threads at once.
        self._one_at_a_time = threading.Lock()
        self.encode_query = lru_cache(_REMEMBERED_QUERIES)(self._encode_query)

    def __reduce__(self) -> tuple[type[TransformerEncoder], tuple[str, EncoderOptions]]:
        """For another process, which loads the model itself."""
        return TransformerEncoder, (self._name, self._options)

    @property
    def batch_size(self) -> int:
        return self._options.batch_size or _BATCH_SIZE

    @cached_property
    def fingerprint(self) -> str:
        folder = local_folder(self._name)
        if folder is None:
            _ = self._model  # downloads it
            folder = local_folder(self._name)
        if folder is None:
            raise EncoderError(f"encoder.model: {self._name!r} was loaded, but its files are nowhere; {_HOW}")
        digest = _digest(folder)
        if self._options.document_prompt is not None:
            digest.update(f"\0{self._options.document_prompt}".encode())
        return f"{Path(self._name).name}:{digest.hexdigest()[:12]}"

    @cached_property
    def dim(self) -> int:
        return int(self._model.get_embedding_dimension() or len(self._model.encode("1")))

    @cached_property
    def prompts(self) -> Prompts:
        options = self._options
        return prompts_of(self._name, self._model.prompts, options.query_prompt, options.document_prompt)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        return encode_worded(texts, self.dim, lambda worded: self._encode(worded, self.prompts.document, "document"))

    def _encode_query(self, text: str) -> Vectors:
        vector: Vectors = encode_worded([text], self.dim, lambda it: self._encode(it, self.prompts.query, "query"))[0]
        vector.setflags(write=False)
        return vector

    def _encode(self, texts: list[str], prompt: Prompt, kind: str) -> Vectors:
        # Models with adapters, as jina-embeddings-v3, name the adapter like the prompt: retrieval.query.
        task = prompt.name if prompt.name and "." in prompt.name else kind
        model = self._model
        with self._one_at_a_time, _one_line(f"{self._name!r} failed", "try a smaller encoder.batch_size"):
            vectors = model.encode(
                texts,
                prompt=prompt.text,
                task=task,
                batch_size=self.batch_size,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        return np.asarray(vectors, dtype=np.float32)

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 - importing the class for its name would import torch
        quiet()
        is_local = local_folder(self._name) is not None
        if not is_local:
            _check_reachable(self._name)
            logger.warning("downloading the encoder model %s, once", self._name)
        from sentence_transformers import SentenceTransformer

        with _one_line(f"cannot load {self._name!r} with sentence-transformers", _HOW):
            model = SentenceTransformer(
                self._name,
                device=self._options.device,
                local_files_only=is_local,
                trust_remote_code=self._options.trust_remote_code,
            )
        folder = local_folder(self._name)
        if folder and not (folder / "modules.json").is_file():
            logger.warning(
                "%s does not say how it makes one vector of many: its token vectors are averaged", self._name
            )
        return model


def local_folder(model: str) -> Path | None:
    """Where the model's files are: its own folder, or the cache of the hub; None when it must be downloaded.

    Raises:
        EncoderError: the folder holds no model, or the name can be no hub name.
    """
    folder = Path(model)
    if folder.is_dir():
        if not any((folder / name).is_file() for name in ("modules.json", "config.json")):
            raise EncoderError(f"encoder.model: {model}: holds no modules.json or config.json, so no model; {_HOW}")
        return folder
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1 or "\\" in model:
        raise EncoderError(f"encoder.model: cannot load {model!r}: no such folder; {_HOW}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    # Names without an owner are those of sentence-transformers itself, or of the first transformer models.
    for name in [model] if "/" in model else [f"sentence-transformers/{model}", model]:
        try:
            snapshot = snapshot_download(
                name, cache_dir=os.environ.get("SENTENCE_TRANSFORMERS_HOME"), local_files_only=True
            )
        except LocalEntryNotFoundError:
            continue
        except HFValidationError as exc:
            raise EncoderError(f"encoder.model: {model!r} is neither a folder nor a hub name; {_HOW}") from exc
        if any(Path(snapshot).rglob("*.safetensors")) or any(Path(snapshot).rglob("*.bin")):
            return Path(snapshot)
    return None


def _check_reachable(model: str) -> None:
    """Raise EncoderError when the hub does not answer soon; its own library would try for minutes."""
    import httpx2
    from huggingface_hub import constants

    reason = "HF_HUB_OFFLINE is set"
    if not constants.HF_HUB_OFFLINE:
        try:
            httpx2.head(constants.ENDPOINT, timeout=_PROBE_TIMEOUT_S)
            return
        except httpx2.HTTPError as exc:
            reason = f"{constants.ENDPOINT} can't be reached: {exc or type(exc).__name__}"
    raise EncoderError(
        f"encoder.model: cannot load {model!r}: it is no folder here, nor downloaded yet, and {reason}; "
        "download it once with a network, give a model folder, or use 'bundled'"
    )


def _digest(folder: Path) -> hashlib._Hash:
    """Of all parts of a model; of large files the size, the beginning and the end, which another training changes."""
    digest = hashlib.sha256()
    parts = [path.relative_to(folder) for path in folder.rglob("*") if path.suffix in _PARTS and path.is_file()]
    for part in sorted(parts, key=Path.as_posix):
        if any(name.startswith(".") for name in part.parts):
            continue
        with (folder / part).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            digest.update(f"{part.as_posix()}\0{size}\0".encode())
            file.seek(0)
            digest.update(file.read(_SAMPLE_BYTES))
            file.seek(max(_SAMPLE_BYTES, size - _SAMPLE_BYTES))
            digest.update(file.read())
    return digest


@contextmanager
def _one_line(what: str, hint: str) -> Iterator[None]:
    """Turn whatever the libraries raise into one line."""
    try:
        yield
    except EncoderError:
        raise
    except Exception as exc:
        reason = shorten(str(exc), _REASON_CHARS, placeholder="…") or type(exc).__name__
        if "trust_remote_code" in str(exc):
            hint = "if you trust its source, set encoder.trust_remote_code to true"
        raise EncoderError(f"encoder.model: {what} ({reason}); {hint}") from exc


def quiet() -> None:
    """Keep the model libraries from writing to the terminal; to be called before they are imported."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # Without a network, or a model, they warn of every attempt; our error says it once.
    for name in ("huggingface_hub", "sentence_transformers", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
