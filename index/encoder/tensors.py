"""Tensors of a safetensors file, mapped into memory: the library's own reader copies them for each process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {"I8": np.int8, "I32": np.int32, "F32": np.float32, "F64": np.float64}


def mapped(path: Path, *names: str) -> list[NDArray[Any]]:
    """The tensors of these names.

    Raises:
        OSError, ValueError, KeyError: the file is missing, damaged or of another kind.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    return [
        np.memmap(path, _TYPES[tensor["dtype"]], "r", 8 + size + tensor["data_offsets"][0], tuple(tensor["shape"]))
        for tensor in (header[name] for name in names)
    ]
