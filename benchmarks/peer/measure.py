"""One measurement of one peer, in a process and an environment of its own: `python -m peer.measure TASK NAME FOLDER`.

FOLDER holds `input`, which corpus.py wrote, and `NAME`, where the peer's index lies and TASK.json is left. `speed` is
built first; the other tasks open what it kept, as a process does that comes later.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from served import memory_mb

from peer import Found, Passage, Peer, load

WARM_UP, TOP_K, POOL, DOCUMENT_POOL = 20, 5, 10, 60
# Each round asks in another form, so that no answer is remembered.
ENDINGS = ("", "?", "呢")


def main(task: str, name: str, folder: Path, *rest: str) -> None:
    """Measure, and leave the figures."""
    found = TASKS[task](load(name), name, folder, *rest)
    (folder / name / f"{task}.json").write_text(json.dumps(found, ensure_ascii=False))


def build(peer: Peer, name: str, folder: Path) -> dict[str, Any]:
    """Index for speed: from texts in memory to an index that is kept."""
    texts, _ = given(folder, "speed")
    place = emptied(folder / name / "speed")
    started = time.perf_counter()
    peer.build(place, texts)
    seconds = time.perf_counter() - started
    return {"index_s": round(seconds, 2), "passages": len(texts), "index_per_s": round(len(texts) / seconds)}


def cold(peer: Peer, name: str, folder: Path) -> None:
    """One question, for who times the whole process."""
    peer.open(folder / name / "speed")
    print(peer.search(given(folder, "speed")[1][0], TOP_K).hits[0].text)


def ask(peer: Peer, name: str, folder: Path) -> dict[str, Any]:
    """Milliseconds of a question in a process that has answered others."""
    peer.open(folder / name / "speed")
    _, questions = given(folder, "speed")
    for question in questions[:WARM_UP]:
        peer.search(question, TOP_K)
    seconds = []
    used = time.process_time()
    for ending in ENDINGS:
        for question in questions:
            started = time.perf_counter()
            peer.search(question + ending, TOP_K)
            seconds.append(time.perf_counter() - started)
    used = time.process_time() - used
    return {
        "ask_processor_ms": milliseconds(used / len(seconds)),
        "ask_p50_ms": milliseconds(median(seconds)),
        "ask_p99_ms": milliseconds(percentile(seconds, 0.99)),
        "ask_mb": round(memory_mb(os.getpid())[1]),
    }


def server(peer: Peer, name: str, folder: Path, port: str) -> dict[str, Any] | None:
    """How the peer's server is started and asked."""
    _, questions = given(folder, "speed")
    found = peer.server(folder / name / "speed", int(port), questions)
    return asdict(found) if found else None


def quality(peer: Peer, name: str, folder: Path, most: str) -> dict[str, Any]:
    """What is found for each question on the shipped documents and on XQuAD; judge.py says whether it is right."""
    seeds, _ = given(folder, "union")
    try:
        passages = peer.split([seed.text for seed in seeds])
    except NotImplementedError:
        passages = [Passage(*row) for row in json.loads((folder / "input/ours.json").read_text())]
    found: dict[str, Any] = {"splitter": peer.splitter, "union": searched(peer, name, folder, "union", passages, "0")}
    if (folder / "input/xquad.json").exists():
        texts, _ = given(folder, "xquad")
        found["xquad"] = searched(peer, name, folder, "xquad", texts, most)
    return found


def searched(peer: Peer, name: str, folder: Path, asked: str, texts: list[Passage], most: str) -> list[dict[str, Any]]:
    """Index, then ask every question, or `most` evenly spread; 0 for all."""
    peer.build(emptied(folder / name / asked), texts)
    _, questions = given(folder, asked)
    step = max(1, len(questions) // int(most)) if int(most) else 1
    # Documents of several passages need more of them before ten documents are among them.
    pool = DOCUMENT_POOL if name == "cited_qa" and asked == "xquad" else POOL
    return [{"number": n, **kept(peer.search(questions[n], pool))} for n in range(0, len(questions), step)]


def kept(found: Found) -> dict[str, Any]:
    """What was found, as JSON has it."""
    return {"refused": found.refused or not found.hits, "hits": [asdict(hit) for hit in found.hits]}


def given(folder: Path, name: str) -> tuple[list[Passage], list[str]]:
    """The texts and the questions of one input."""
    found = json.loads((folder / "input" / f"{name}.json").read_text())
    return [Passage(*row) for row in found["texts"]], found["questions"]


def emptied(folder: Path) -> Path:
    """The folder, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all lies below."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def milliseconds(seconds: float) -> float:
    """With three significant figures, as the peers lie far apart."""
    return float(f"{1000 * seconds:.3g}")


TASKS = {"build": build, "cold": cold, "ask": ask, "server": server, "quality": quality}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), *sys.argv[4:])
