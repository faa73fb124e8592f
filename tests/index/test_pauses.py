"""Pauses double up to a bound, for as long as someone asks."""

from __future__ import annotations

from itertools import islice

from index.pauses import pauses


def test_pauses_double_up_to_a_bound() -> None:
    assert list(islice(pauses(0.5, 3.0), 5)) == [0.5, 1.0, 2.0, 3.0, 3.0]
