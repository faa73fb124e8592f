"""Parsing and cutting into passages in a process of its own, with limits on time and memory.

Parsers of PDF and Office files are large; a file that is broken, or was made to, can crash them, or keep them busy
for hours. Here that costs one process and one line in the report. The answers are JSON, not pickle: a parser that was
taken over must not get further.

The process, `python -m index.parsing.isolated`, takes requests on stdin, a JSON line `{"name", "size"}` and as many
bytes; it answers on stdout with a JSON line for each document and an empty line at the end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, BinaryIO

from index.chunking.passages import with_passages
from index.parsing import Content, contents, is_text, ocr
from index.types import Caption, Notice, ReadText, Section, Unread

# For each document. A thousand pages of PDF take five seconds.
TIMEOUT_S = 60.0
# OCR takes seconds a page.
OCR_TIMEOUT_S = 1800.0
# All that an archive or a message holds may take so many times what a document may.
_ARCHIVE_TIMES = 15
# More than any document needs; what a document that was made to exhaust memory gets.
MAX_MEMORY_BYTES = 4 << 30
# Plain text up to here is read and cut where it is wanted, in less time than it takes to hand it over.
IN_PLACE_BYTES = 64 << 10
_SLOW_SUFFIXES = {".pdf", ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".zip", ".eml"}
_ROOT = Path(__file__).parents[2]


class IsolatedParser:
    """Reads files, all but small plain texts in a process that is started when the first one comes.

    Use it as a context manager, so that the process ends.
    """

    def __init__(self, timeout_s: float | None = None) -> None:
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> IsolatedParser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def contents(self, path: Path, data: bytes) -> Iterator[Content]:
        """What a file holds; see `index.parsing.contents`. What was read by the process is cut into passages."""
        if is_text(path, data) and len(data) <= IN_PLACE_BYTES:
            yield from contents(path, data)
            return
        is_done = False
        try:
            yield from self._ask(path, data)
            is_done = True
        finally:
            if not is_done:  # the caller went away half way; what is still to come must not answer the next request
                self._stop()

    def _ask(self, path: Path, data: bytes) -> Iterator[Content]:
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        limit_s = self._limit_s(path)
        with _Deadline(process, limit_s, _ARCHIVE_TIMES * limit_s) as deadline:
            try:
                header = json.dumps({"name": path.name, "size": len(data)})
                process.stdin.write(f"{header}\n".encode())
                process.stdin.write(data)
                process.stdin.flush()
            except BrokenPipeError:
                pass  # it ended; reading says so
            while (line := process.stdout.readline()).strip():
                deadline.stop()  # the time that the caller takes is not the parser's
                yield _decoded(json.loads(line))
                deadline.restart()
        if not line:
            self._stop()
            yield Unread(deadline.reason or "makes its parser crash; save it again, or in another format")

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
                [sys.executable, "-P", "-m", "index.parsing.isolated"],
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
    """Kills a process that gives no sign for so many seconds, or takes too long in all; `reason` then says which.

    Its reader meets the end of the file.
    """

    def __init__(self, process: subprocess.Popen[bytes], limit_s: float, total_s: float) -> None:
        self.reason = ""
        self._process = process
        self._limit_s = limit_s
        self._left_s = self._total_s = total_s
        self._started = 0.0
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
            self._left_s -= time.monotonic() - self._started

    def restart(self) -> None:
        self._started = time.monotonic()
        self._timer = threading.Timer(min(self._limit_s, max(0.0, self._left_s)), self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _expire(self) -> None:
        if self._limit_s < self._left_s:
            self.reason = f"takes longer than {self._limit_s:.0f} s to read; split it, or save it in another format"
        else:
            self.reason = f"takes longer than {self._total_s:.0f} s to read all that is in it; unpack it"
        self._process.kill()


def _decoded(answer: dict[str, Any]) -> Content:
    """What the process sent of a document."""
    if "reason" in answer:
        return Unread(**answer)
    captions = tuple(Caption(**caption) for caption in answer.pop("captions"))
    notices = tuple(Notice(**notice) for notice in answer.pop("notices"))
    sections = tuple(_section(section) for section in answer.pop("sections"))
    return replace(
        ReadText(**answer), pages=tuple(answer["pages"]), captions=captions, notices=notices, sections=sections
    )


def _section(answer: dict[str, Any]) -> Section:
    pairs = {name: tuple(map(tuple, answer[name])) for name in ("hidden", "damaged")}
    flat = {name: tuple(answer[name]) for name in ("heading_path", "page_breaks", "context")}
    return Section(**answer | pairs | flat)


def _answer(path: PurePath, data: bytes, answers: BinaryIO) -> None:
    for content in contents(path, data, with_passages):
        answers.write(json.dumps(asdict(content), ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        answers.flush()
    answers.write(b"\n")
    answers.flush()


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit; there the time limit must do
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MAX_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MAX_MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def main() -> None:
    """Serve requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints must not get among the answers.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _limit_memory()
    while header := sys.stdin.buffer.readline():
        request = json.loads(header)
        _answer(PurePath(request["name"]), sys.stdin.buffer.read(request["size"]), answers)


if __name__ == "__main__":
    main()
