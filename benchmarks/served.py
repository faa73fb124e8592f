"""A real `qa serve` over a copy of the shipped documents, for measurements over HTTP."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parent.parent
QA = [sys.executable, "-c", "from qa.cli.main import main; main()"]
KEY = "measured-0123456789abcdef0123456789abcdef"  # of a server that lives as long as the script
_END_S = 60


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers: where, in which folder, and as which process."""

    address: str
    folder: Path
    process: int

    def memory_mb(self) -> tuple[float, float]:
        """RSS and PSS of the server and its workers together."""
        return memory_mb(self.process)


def memory_mb(process: int) -> tuple[float, float]:
    """RSS and PSS of a process and all that came of it."""
    rss = pss = 0
    for member in _family(process):
        try:
            rollup = Path(f"/proc/{member}/smaps_rollup").read_text()
        except OSError:
            continue  # it ended meanwhile
        sizes = {line.split()[0]: line.split()[1] for line in rollup.splitlines()[1:]}
        rss += int(sizes["Rss:"])
        pss += int(sizes["Pss:"])
    return round(rss / 1024, 1), round(pss / 1024, 1)


def environment() -> dict[str, str]:
    """The environment of this process, with the key and without other settings of cited-qa."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QA_")}
    return kept | {"QA_SERVER_API_KEYS": f"measured:admin:{KEY}", "PYTHONPATH": str(ROOT)}


@contextmanager
def serving(folder: Path, *options: str, settings: str = "") -> Iterator[Served]:
    """A server over a copy of the seeds in `folder`, with a key that may do everything; its log goes to `serve.log`."""
    shutil.copytree(ROOT / "seeds", folder / "seeds", dirs_exist_ok=True)
    (folder / "config.yaml").write_text(f"corpus: [seeds]\n{settings}", encoding="utf-8")
    process = subprocess.Popen(
        [*QA, "serve", "--port", "0", *options],
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert process.stderr is not None
    try:
        with (folder / "serve.log").open("w", encoding="utf-8") as log:
            address = _announced(process.stderr, log)
            if address is None:
                raise SystemExit(f"qa serve ended before it could answer: {Path(log.name).read_text()}")
            rest = threading.Thread(target=shutil.copyfileobj, args=(process.stderr, log))
            rest.start()
            yield Served(address, folder, process.pid)
            process.send_signal(signal.SIGTERM)
            process.wait(_END_S)
            rest.join()
    finally:
        if process.poll() is None:
            process.kill()


def _announced(lines: IO[str], log: IO[str]) -> str | None:
    for line in lines:
        log.write(line)
        log.flush()
        if " answers questions" in line:
            return str(re.findall(r"https?://[^\s\"]+", line)[0])  # the line may be JSON
    return None


def _family(process: int) -> Iterator[int]:
    """A process and all that came of it."""
    yield process
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from _family(int(child))
