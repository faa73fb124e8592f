"""How long a person waits: `qa ask` as a whole process, with an index and for the very first time.

    python benchmarks/startup.py

Prints medians of whole-process wall and processor time, and writes benchmarks/results/startup.json. For comparison in
the same run: the Python interpreter alone, and one that imports sentence-transformers.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from qa.schemas import EXAMPLE_QUESTION

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "startup.json"
RUNS = 7


def timed(command: Sequence[str], before: Callable[[], object]) -> dict[str, float]:
    """Medians over RUNS, in seconds; `before` runs ahead of each and is not counted."""
    walls, processors = [], []
    for _ in range(RUNS):
        before()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        walls.append(time.perf_counter() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processors.append(after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime)
    return {"wall_s": round(median(walls), 3), "processor_s": round(median(processors), 3)}


def main() -> None:
    """Measure and keep."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        config.write_text(f"corpus: [{ROOT / 'seeds'}]\n", encoding="utf-8")
        data = Path(folder, "data")
        ask = [str(Path(sys.executable).with_name("qa")), "ask", "--config", str(config), EXAMPLE_QUESTION]
        cases = {
            "python -c pass": ([sys.executable, "-c", "pass"], lambda: None),
            "python -c 'import sentence_transformers'": (
                [sys.executable, "-c", "import sentence_transformers"],
                lambda: None,
            ),
            "qa ask, no index yet": (ask, lambda: shutil.rmtree(data, ignore_errors=True)),
            "qa ask, index built": (ask, lambda: None),
        }
        result = {name: timed(command, before) for name, (command, before) in cases.items()}
    for name, figures in result.items():
        print(f"{name:42} wall {figures['wall_s']:.2f} s  processor {figures['processor_s']:.2f} s")
    RESULTS.parent.mkdir(exist_ok=True)
    load = round(os.getloadavg()[0], 1)
    RESULTS.write_text(json.dumps({"load": load, "runs": RUNS, "medians": result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
