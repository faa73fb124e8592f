"""What syncing 10,000 documents costs: rate and memory while it runs, then one file touched, changed, moved, removed.

    python benchmarks/sync.py [--documents N] [--output FILE]

The documents are made of the seeds' words, in the order in which a chain of word pairs gives them, so that sentences
are new and words are as frequent as in real text; every twentieth document is another one, cut short.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median

import rjieba

ROOT = Path(__file__).parent.parent
QA = Path(sys.executable).with_name("qa")
RUNS = 5
STEPS = 10


def main() -> None:
    """Make the documents, run the commands, print and keep the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/sync.json")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        sync_and_report(arguments.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        make(base / "docs", arguments.documents)
        (base / "config.yaml").write_text("corpus: [docs]\n")
        load = round(os.getloadavg()[0], 1)
        figures = {"load": load, "documents": arguments.documents, **first_sync(base), **later_syncs(base)}
    arguments.output.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


def make(folder: Path, documents: int) -> None:
    """Write the documents, 500 a folder."""
    chance = random.Random(1)
    after = chain()
    texts: list[str] = []
    for number in range(documents):
        if number % 20 == 19:
            copied = chance.choice(texts)
            text = copied[: int(len(copied) * chance.uniform(0.4, 1))]
        else:
            paragraphs = [paragraph(after, chance) for _ in range(chance.randint(4, 10))]
            text = f"第{number}号文件\n\n" + "\n\n".join(paragraphs)
        texts.append(text)
        path = folder / f"{number // 500:03}" / f"{number:05}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def chain() -> dict[str, list[str]]:
    """For each word of the seeds the words that follow it."""
    after: defaultdict[str, list[str]] = defaultdict(list)
    for seed in sorted((ROOT / "seeds").glob("*.txt")):
        words = rjieba.cut(re.sub(r"\s+", "", seed.read_text(encoding="utf-8")))
        for word, following in zip(words, words[1:], strict=False):
            after[word].append(following)
    return after


def paragraph(after: dict[str, list[str]], chance: random.Random) -> str:
    """A few sentences; figures are drawn anew."""
    words = ["。"]
    length = chance.randint(60, 400)
    while length > 0 or words[-1] != "。":
        following = chance.choice(after.get(words[-1]) or ["。"])
        words.append(str(chance.randint(2, 9999)) if following.isdecimal() else following)
        length -= len(words[-1])
        if length < -200:
            words.append("。")
    return "".join(words[1:])


def first_sync(base: Path) -> dict[str, object]:
    """Rate of the first sync, and its memory at steps, as the child process tells."""
    child = [sys.executable, __file__, "--child", base]
    output = subprocess.run(child, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    steps = [json.loads(line) for line in output.splitlines()]
    done = steps[-1]
    return {
        "passages": done["passages"],
        "first_sync_s": done["seconds"],
        "documents_per_s": round(done["documents"] / done["seconds"]),
        "passages_per_s": round(done["passages"] / done["seconds"]),
        "memory_mb_at_documents": {str(step["documents"]): step["rss_mb"] for step in steps[:-1]},
        "memory_mb_peak": done["peak_mb"],
        "index_mb": size_mb(base / "data"),
    }


def sync_and_report(base: Path) -> None:
    """Sync as `qa index` does; a JSON line every tenth of the way."""
    from qa.engine import Engine

    engine = Engine.open(base / "config.yaml")

    def progress(_: str, done: int, total: int) -> None:
        if done % max(1, total // STEPS) == 0:
            print(json.dumps({"documents": done, "rss_mb": memory_mb("VmRSS")}), flush=True)

    report = engine.index(progress=progress)
    found = {"documents": report.documents, "passages": report.passages, "seconds": round(report.seconds, 1)}
    print(json.dumps({**found, "peak_mb": memory_mb("VmHWM")}))


def memory_mb(field: str) -> int:
    """A field of this process's status, in MB."""
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(match[1]) // 1024 if match else 0


def size_mb(folder: Path) -> int:
    """What the files under a folder hold, in MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) >> 20


def later_syncs(base: Path) -> dict[str, object]:
    """Seconds of whole `qa index` commands after small changes: medians, and the worst."""
    files = sorted((base / "docs").rglob("*.txt"))

    def touch(number: int) -> None:
        os.utime(files[number])

    def change(number: int) -> None:
        files[number].write_text(f"{files[number].read_text(encoding='utf-8')}\n\n新的一段。", encoding="utf-8")

    def move(number: int) -> None:
        files[number] = files[number].rename(files[number].with_name(f"moved-{time.time_ns()}.txt"))

    def remove(number: int) -> None:
        files[number].unlink()

    steps: dict[str, Callable[[int], None]] = {"nothing": lambda number: None}
    steps |= {"touch_one": touch, "change_one": change, "move_one": move, "remove_one": remove}
    figures: dict[str, object] = {}
    for name, step in steps.items():
        walls, processors = [], []
        for run in range(RUNS):
            step(100 * run + len(figures))
            used = processor_s()
            started = time.perf_counter()
            subprocess.run([QA, "index"], cwd=base, check=True, capture_output=True)
            walls.append(round(time.perf_counter() - started, 2))
            processors.append(round(processor_s() - used, 2))
        figures[name] = {"wall_s": median(walls), "worst_wall_s": max(walls), "processor_s": median(processors)}
    return figures


def processor_s() -> float:
    """Processor time of the commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
