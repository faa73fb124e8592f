"""Training stays apart from measuring and from running."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.conftest import ROOT
from training.sources import EvaluationFileError, guard


@pytest.mark.parametrize("name", ["xquad.zh.json", "xquad.en.json", "union_questions.jsonl"])
def test_evaluation_files_are_refused(name: str) -> None:
    with pytest.raises(EvaluationFileError, match=name):
        guard(Path("data") / name)


def test_training_files_are_let_through() -> None:
    assert guard(Path("data/laws_cn.jsonl.xz")).name == "laws_cn.jsonl.xz"


def test_nothing_of_training_is_imported_at_run_time() -> None:
    code = "import sys, qa.cli.main, qa.serving.server; sys.exit(any(m.startswith('training') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, check=False).returncode == 0


if TYPE_CHECKING:
    import torch


def halves(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    left, right = vectors.chunk(2)
    return left, right


@pytest.mark.slow
def test_the_gradient_of_the_loss_is_the_one_that_autograd_finds() -> None:
    import torch
    from torch.nn import functional

    from training.contrast import loss_of

    torch.manual_seed(1)
    left = torch.randn(64, 32)
    pooled = torch.cat([left, left + torch.randn(64, 32)]).requires_grad_()
    vectors = functional.normalize(pooled, dim=1)
    loss, gradient = loss_of(*halves(vectors.detach()), np.arange(128), temperature=0.07, nearly=1.1)
    first, second = vectors.chunk(2)
    scores, target = first @ second.T / 0.07, torch.arange(64)
    expected = (functional.cross_entropy(scores, target) + functional.cross_entropy(scores.T, target)) / 2
    (slope,) = torch.autograd.grad(expected, vectors)
    assert loss == pytest.approx(float(expected.detach()), rel=0.01)
    assert float((gradient - slope).norm() / slope.norm()) < 0.01


@pytest.mark.slow
def test_a_text_equal_or_nearly_equal_to_the_right_one_is_no_negative() -> None:
    import torch
    from torch.nn import functional

    from training.contrast import loss_of

    vectors = functional.normalize(torch.eye(4)[[0, 1, 2, 0, 1, 2]] + 0.01, dim=1)
    apart, _ = loss_of(*halves(vectors), np.arange(6), temperature=1.0, nearly=1.1)
    same, _ = loss_of(*halves(vectors), np.array([7, 7, 2, 3, 4, 5]), temperature=1.0, nearly=1.1)
    nearly, _ = loss_of(*halves(vectors), np.arange(6), temperature=1.0, nearly=0.0)
    assert apart > same > nearly == pytest.approx(0.0, abs=0.01)
