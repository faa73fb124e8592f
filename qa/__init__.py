"""A question to a cited answer: `Engine` for Python, `qa` on the terminal, HTTP for everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qa.engine import Engine

__all__ = ["Engine"]


def __getattr__(name: str) -> object:
    # Imported on first use: `qa --help` need not wait for FAISS.
    if name == "Engine":
        from qa.engine import Engine

        return Engine
    raise AttributeError(f"module 'qa' has no attribute {name!r}")
