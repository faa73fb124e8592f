"""The process that parses what others made: `python -m index.parsing.worker`.

Takes requests on stdin, a JSON line `{"name", "size"}` and as many bytes; answers on stdout with a JSON line for each
thing found and an empty line at the end. See `index.parsing.isolated` for the other side.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import PurePath
from typing import BinaryIO

from index.parsing import ReadText, contents

# More than any document needs; what a document that was made to exhaust memory gets.
MAX_MEMORY_BYTES = 4 << 30


def main() -> None:
    """Serve requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints must not get among the answers.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _limit_memory()
    while header := sys.stdin.buffer.readline():
        request = json.loads(header)
        _answer(PurePath(request["name"]), sys.stdin.buffer.read(request["size"]), answers)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit; there the time limit must do
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MAX_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MAX_MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _answer(path: PurePath, data: bytes, answers: BinaryIO) -> None:
    for found in contents(path, data):
        kind = "text" if isinstance(found, ReadText) else "unread"
        answers.write(
            json.dumps({"kind": kind, **asdict(found)}, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        )
        answers.flush()
    answers.write(b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
