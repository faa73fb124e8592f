"""How work grows with its input, as ratios of processor time: floods of one thing, and a bound for what they cost."""

from __future__ import annotations

import gc
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

_STEP = 8
# Eight times the input is to cost about eight times as much; this is 2.7 for each doubling, and a square makes 64.
_MOST = 20.0
_NEGLIGIBLE_S, _ENOUGH_S = 0.004, 0.01
_TRIES = 3


def floods(literals: Iterable[str] = (), endings: Iterable[str] = ("",)) -> list[tuple[str, str]]:
    """Units to repeat, each with an ending: `FLOODS`, the literals, and both in turn."""
    words = list(literals)
    units = [*FLOODS, *words, *(word + unit for word in words for unit in (" ", "\n", "1", "a", "中"))]
    return [(unit, ending) for unit in dict.fromkeys(units) for ending in endings]


def assert_linear(
    work: Callable[[str], object],
    cases: Iterable[tuple[str, str]],
    smallest: int = 1_000,
    largest: int = 64_000,
    begin: str = "",
) -> None:
    """Fail when the processor time of `work` grows faster than its input.

    Each case is a unit that is repeated and what stands behind it; the input grows eightfold from `smallest` characters
    until the work takes a hundredth of a second, or to `largest`.
    """
    for unit, ending in cases:
        chars, cost = smallest, 0.0
        while chars < largest and cost < _ENOUGH_S:
            less, more = (begin + unit * (size // len(unit)) + ending for size in (chars, chars * _STEP))
            chars *= _STEP
            cost = _cost(work, more)
            tries = 0
            while cost > _NEGLIGIBLE_S and (growth := cost / max(_cost(work, less), 1e-9)) > _MOST:
                tries += 1
                assert tries < _TRIES, f"{growth:.0f} times the work for {_STEP} times {unit!r}…{ending!r} ({chars})"
                cost = _cost(work, more)


def _cost(work: Callable[[str], object], text: str) -> float:
    """The processor time of this thread, in seconds, without collections of garbage, which look at all that lives."""
    gc.disable()
    try:
        start = time.thread_time()
        work(text)
        return time.thread_time() - start
    finally:
        gc.enable()
