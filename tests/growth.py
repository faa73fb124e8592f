"""How work grows with its input, as ratios of processor time: floods of one thing, and a bound for what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

# What a stranger floods a pattern with; a test adds the literals of the patterns that it is about.
FLOODS = (
    *("1", "0.", "1,", "1 ", "-1", "一", "十亿", "年", "第1条"),
    *(" ", "\n", "\r", "\t", " \n", "\u3000", "\u200b"),
    *("[", "]", "(", ")", "<", ">", "{", '{"', "[1", "[1]", "【", "（", "）", "《", "“"),
    *("*", "_", "`", "|", "\\", "#", "~", "$", "@", "-", ".", ",", "。", "，", "：", ":", "?", "!", "…", "'"),
    *("a", "A", "中", "é", "あ", "😀", "a ", "A.", "A. ", "中 ", "a\n", "中\n"),
)

_SMALLEST = 1_000
_ENOUGH_S = 0.04
_TRIES = 3
# Twice the input is to cost about twice as much; four times is quadratic.
_MOST = 3.0


def floods(literals: Iterable[str] = (), endings: Iterable[str] = ("",)) -> list[tuple[str, str]]:
    """Units to repeat, each with an ending: `FLOODS`, the literals, and both in turn."""
    words = list(literals)
    units = [*FLOODS, *words, *(word + unit for word in words for unit in (" ", "\n", "1", "a", "中"))]
    return [(unit, ending) for unit in dict.fromkeys(units) for ending in endings]


def assert_linear(
    work: Callable[[str], object],
    cases: Iterable[tuple[str, str]],
    largest: int = 256_000,
    begin: str = "",
) -> None:
    """Fail when `work` on twice a flood takes much more than twice the processor time.

    Each case is a unit that is repeated and what stands behind it; the size grows from a thousand characters until
    the work takes some hundredths of a second, or up to `largest`.
    """
    for unit, ending in cases:

        def flood(chars: int, unit: str = unit, ending: str = ending) -> str:
            return begin + unit * (chars // len(unit)) + ending

        chars = _SMALLEST
        while (cost := _cost(work, flood(chars), 1)) < _ENOUGH_S and chars < largest:
            chars *= 2
        if cost < _ENOUGH_S:
            continue
        growth = 0.0
        for _ in range(_TRIES):
            growth = _cost(work, flood(2 * chars), 2) / max(_cost(work, flood(chars), 2), 1e-9)
            if growth <= _MOST:
                break
        assert growth <= _MOST, f"{growth:.1f} times the work for twice {unit!r}…{ending!r} ({chars} characters)"


def _cost(work: Callable[[str], object], text: str, tries: int) -> float:
    """The least processor time of some tries, in seconds."""
    costs = []
    for _ in range(tries):
        start = time.thread_time()
        work(text)
        costs.append(time.thread_time() - start)
    return min(costs)
