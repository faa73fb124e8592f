"""What the ablations of the contrastive training vary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Settings:
    """What the ablations vary."""

    dim: int = 256
    rate: float = 3e-3
    temperature: float = 0.05
    nearly: float = 0.85  # texts of a greater cosine count as equal
    batch: int = 2048
    epochs: int = 2
    drop: float = 0.15
    longest: int = 192
    seed: int = 1
    times: Mapping[str, float] = field(default_factory=dict)
