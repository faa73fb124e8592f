"""How long to wait between attempts.

What waits differs: for an event, with a server's own wish, for as long as a process lives. So a library of retries
(tenacity: 32 KB, 15 ms to import) made none of its callers shorter.
"""

from __future__ import annotations

from collections.abc import Iterator


def pauses(first_s: float, longest_s: float) -> Iterator[float]:
    """Seconds to wait before each next attempt: twice as long each time, up to `longest_s`. Never ends."""
    pause_s = first_s
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, longest_s)
