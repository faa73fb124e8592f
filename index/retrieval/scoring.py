"""What every score is: named features in, weighted parts out, their sum the score.

The weights are data, in weights.json beside this file, one section a sum: `retrieval` ranks what search finds,
`passage` what was read for an answer, `clause` the clauses that may answer, `figure` the figures in the best of them;
`confidence` is a logistic regression. The other sections hold what features are worth by what they are. All were chosen
on benchmarks/union_questions.jsonl, DRCD and CMRC (benchmarks/README.md has the tables); `benchmarks/calibrate.py` fits
`confidence` and writes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).with_name("weights.json")
Weights = Mapping[str, float]
# One number, or one for each of many candidates.
Value = TypeVar("Value", float, NDArray[np.float64])


@cache
def weights(section: str) -> Weights:
    """The weights of one sum, by feature."""
    return _sections()[section]


@cache
def _sections() -> dict[str, dict[str, float]]:
    sections: dict[str, dict[str, float]] = json.loads(FILE.read_text(encoding="utf-8"))
    return sections


def parts(features: Mapping[str, Value], of: Weights) -> dict[str, Value]:
    """What each feature adds to the score. A feature without a weight, and a weight without one, add nothing."""
    return {name: weight * features[name] for name, weight in of.items() if name in features}


def points(candidates: Iterable[Mapping[str, float]], of: Weights) -> list[dict[str, float]]:
    """The `parts` of each candidate's score."""
    return [parts(features, of) for features in candidates]


def chance(total: float) -> float:
    """A sum as a probability, by the logistic function."""
    return 1 / (1 + math.exp(-total))


def write(section: str, fitted: Weights) -> None:
    """Put fitted weights in the place of a section's."""
    sections = {**_sections(), section: dict(fitted)}
    lines = (f"  {json.dumps(name)}: {json.dumps(held)}" for name, held in sections.items())
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    forget()


def forget() -> None:
    """Read the file again when the next weights are asked for."""
    weights.cache_clear()
    _sections.cache_clear()
