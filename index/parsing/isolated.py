"""Reading in a process of its own, with limits on time and memory.

Parsers of PDF and Office files are large; a file that is broken, or was made to, can crash them, or keep them busy
for hours. Here that costs one process and one line in the report. The answers are JSON, not pickle: a parser that was
taken over must not get further.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

from index.parsing import contents, is_plain, ocr
from index.parsing.found import Caption, Found, ReadText, Unread
from index.types import Notice

# For each document. A thousand pages of PDF take five seconds.
TIMEOUT_S = 60.0
# OCR takes seconds a page.
OCR_TIMEOUT_S = 1800.0
_SLOW_SUFFIXES = {".pdf", ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".zip", ".eml"}
_ROOT = Path(__file__).parents[2]


class Reader:
    """Reads files, those that need a parser in a process that is started when the first one comes.

    Use it as a context manager, so that the process ends.
    """

    def __init__(self, timeout_s: float | None = None) -> None:
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def contents(self, path: Path, data: bytes) -> Iterator[Found]:
        """What a file holds; see `index.parsing.contents`."""
        if is_plain(path) and not data.startswith((b"%PDF-", b"PK\x03\x04")):
            yield from contents(path, data)
            return
        is_done = False
        try:
            yield from self._ask(path, data)
            is_done = True
        finally:
            if not is_done:  # the caller went away half way; what is still to come must not answer the next request
                self._stop()

    def _ask(self, path: Path, data: bytes) -> Iterator[Found]:
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        limit_s = self._limit_s(path)
        with _Deadline(process, limit_s) as deadline:
            try:
                header = json.dumps({"name": path.name, "size": len(data)})
                process.stdin.write(f"{header}\n".encode())
                process.stdin.write(data)
                process.stdin.flush()
            except BrokenPipeError:
                pass  # it ended; reading says so
            while (line := process.stdout.readline()).strip():
                deadline.stop()  # the time that the caller takes is not the parser's
                yield _found(json.loads(line))
                deadline.restart()
        if not line:
            self._stop()
            if deadline.has_passed:
                yield Unread(f"takes longer than {limit_s:.0f} s to read; split it, or save it in another format")
            else:
                yield Unread("makes its parser crash; save it again, or in another format")

    def _limit_s(self, path: PurePath) -> float:
        if self._timeout_s is not None:
            return self._timeout_s
        return OCR_TIMEOUT_S if path.suffix.lower() in _SLOW_SUFFIXES and ocr.is_available() else TIMEOUT_S

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._stop()
            # -P: a folder named `index` where the user stands must not stand in for ours.
            path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "index.parsing.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
            )
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass  # what was still to be written has no reader any more


class _Deadline:
    """Kills a process that gives no sign for so many seconds; its reader then meets the end of the file."""

    def __init__(self, process: subprocess.Popen[bytes], limit_s: float) -> None:
        self.has_passed = False
        self._process = process
        self._limit_s = limit_s
        self._timer: threading.Timer | None = None

    def __enter__(self) -> _Deadline:
        self.restart()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def restart(self) -> None:
        self.stop()
        self._timer = threading.Timer(self._limit_s, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _expire(self) -> None:
        self.has_passed = True
        self._process.kill()


def _found(answer: dict[str, Any]) -> Found:
    if answer["kind"] == "unread":
        return Unread(answer["reason"], answer["member"])
    return ReadText(
        text=answer["text"],
        encoding=answer["encoding"],
        member=answer["member"],
        pages=tuple(answer["pages"]),
        captions=tuple(Caption(**caption) for caption in answer["captions"]),
        notices=tuple(Notice(**notice) for notice in answer["notices"]),
    )
