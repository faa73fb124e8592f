"""What was read of a generation, so that it is not read again: rows don't change under a reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Values by row, those read last; for many threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: dict[int, T] = {}

    def find(self, rows: Iterable[int], read: Callable[[list[int]], Mapping[int, T]]) -> dict[int, T]:
        """Values of rows, in their order; those that are not kept are `read`, and left out where that finds none."""
        wanted = list(dict.fromkeys(rows))
        known = self._values
        missing = [row for row in wanted if row not in known]
        fresh = read(missing) if missing else {}
        found = {row: known[row] if row in known else fresh[row] for row in wanted if row in known or row in fresh}
        if fresh:
            known.update(fresh)
            if len(known) > 2 * self._limit:
                # Another dictionary in the place of this one: other threads may be looking into it.
                self._values = dict(list(known.items())[-self._limit :])
        return found
