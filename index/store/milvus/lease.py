"""One writer at a time, on a server that knows no locks.

Who wants to write enters a claim and then looks: it writes only if there is no other. Two that enter at once see each
other, both withdraw, and try again after a moment that is of other length for each. A claim is renewed while its holder
lives; one that has not been for a while, or whose process is no more on this machine, counts for nothing. A holder that
could not renew its claim in time stops writing. Clocks of machines that write may differ by a few seconds.
"""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
from pathlib import Path
from uuid import uuid4

from index.errors import CitedQAError, IndexBusyError
from index.store.milvus.connection import Table, literal

_CLAIM = "claim/"
# A claim holds for so long after it was renewed; renewals are tried often enough to miss some.
_HOLDS_S = 30.0
_RENEW_S = 5.0
_TRIES = 4
_PAUSE_S = 0.3


class Lease:
    """The right to write, held while the block lasts.

    Raises:
        IndexBusyError: someone else holds it.
    """

    def __init__(self, state: Table, where: str) -> None:
        self._state = state
        self._where = where
        self._key = f"{_CLAIM}{uuid4().hex}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="qa-lease", daemon=True)
        self._renewed = 0.0

    def __enter__(self) -> Lease:
        attempt = 0
        while True:
            self._claim()
            other = self._other()
            if other is None:
                self._thread.start()
                return self
            self._withdraw()
            attempt += 1
            if other["held"] or attempt == _TRIES:
                raise IndexBusyError(
                    f"{self._where}: another process is writing this index ({other['process']} on {other['host']}); "
                    "try again when it is done"
                )
            time.sleep(_PAUSE_S * random.uniform(0.2, 1) * 2**attempt)  # noqa: S311

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._withdraw()

    def check(self) -> None:
        """Raise IndexBusyError when the right may have gone to someone else."""
        if time.monotonic() - self._renewed > _HOLDS_S - _RENEW_S:
            raise IndexBusyError(
                f"{self._where}: the server could not be reached for {_HOLDS_S:.0f} s, and another process may be"
                " writing this index now; run qa index again"
            )

    def _claim(self, *, held: bool = False) -> None:
        asked = time.monotonic()
        claim = {
            "until": time.time() + _HOLDS_S,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "machine": _machine(),
            "held": held,
        }
        self._state.write([{"key": self._key, "value": json.dumps(claim)}], replace=True)
        self._renewed = asked

    def _withdraw(self) -> None:
        try:
            self._state.delete("key", [self._key])
        except CitedQAError:
            pass  # it ends by itself

    def _other(self) -> dict[str, object] | None:
        """The claim of someone else, one that is held first; claims of the dead are removed."""
        found: list[dict[str, object]] = []
        for row in self._state.read(f"key like {literal(_CLAIM + '%')}"):
            claim = json.loads(row["value"])
            if row["key"] == self._key:
                continue
            if claim["until"] < time.time() or _is_dead(claim):
                self._state.delete("key", [row["key"]])
            else:
                found.append(claim)
        return max(found, key=lambda claim: bool(claim["held"]), default=None)

    def _keep(self) -> None:
        is_renewed = False
        while not self._ended.wait(_RENEW_S if is_renewed else 0):
            try:
                self._claim(held=True)
                is_renewed = True
            except CitedQAError:  # `check` stops the writer when this lasts
                is_renewed = not self._ended.wait(1)


def _is_dead(claim: dict[str, object]) -> bool:
    """Whether a claim is of a process of this machine that is no more."""
    if claim["machine"] != _machine() or claim["process"] == os.getpid():
        return False
    try:
        os.kill(int(str(claim["process"])), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _machine() -> str:
    """What numbers of processes are unique within: this start of a machine, and within it a container."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()
