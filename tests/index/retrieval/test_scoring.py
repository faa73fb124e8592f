from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from index.retrieval import scoring


def test_parts_of_one_candidate_and_of_many_are_the_same() -> None:
    of = {"words": 2.0, "meaning": -0.5}
    candidates = [{"words": 0.25, "meaning": 1.0}, {"words": 1.0, "meaning": 0.5}]
    many = {name: np.array([features[name] for features in candidates]) for name in of}
    assert scoring.points(candidates, of) == [{"words": 0.5, "meaning": -0.5}, {"words": 2.0, "meaning": -0.25}]
    assert {name: part.tolist() for name, part in scoring.parts(many, of).items()} == {
        "words": [0.5, 2.0],
        "meaning": [-0.5, -0.25],
    }


def test_what_has_no_weight_or_no_feature_adds_nothing() -> None:
    assert scoring.parts({"words": 1.0, "unknown": 5.0}, {"words": 2.0, "absent": 3.0}) == {"words": 2.0}


def test_a_chance_is_the_logistic_of_a_sum() -> None:
    assert scoring.chance(0.0) == 0.5
    assert scoring.chance(math.log(3)) == pytest.approx(0.75)


def test_fitted_weights_take_the_place_of_one_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `benchmarks/calibrate.py --write` does."""
    file = tmp_path / "weights.json"
    file.write_bytes(scoring.FILE.read_bytes())
    before = dict(scoring.weights("passage"))
    with monkeypatch.context() as patched:
        patched.setattr(scoring, "FILE", file)
        scoring.write("confidence", {"one": -1.5, "coverage": 2.0})
        assert scoring.weights("confidence") == {"one": -1.5, "coverage": 2.0}
        assert scoring.weights("passage") == before
    scoring.forget()
