"""Eight clients send what hurts while an honest one asks once a second, which is to notice nothing.

    python benchmarks/hostile.py [--requests N] [--seed N] [--minutes N] [--output FILE]

Questions, messages, bodies, heads and files are grown from grammars with a fixed seed and sent to every route and
dialect of a real `qa serve` on loopback. Exits with 1 when an honest answer failed, was wrong or took over 2 s, when
anything was answered with a 5xx other than 503 and 504, when the server took more memory than it may, or when the time
was over before all was sent.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from attacks import TIMEOUT_S, attacks
from served import KEY, ROOT, Served, serving

sys.path.insert(0, str(ROOT))
from tests.index.parsing.broken_files import make_broken_files

CANONICAL, VALUE = "兰州帮扶中心资助了多少学生", "1097名"
CLIENTS = 8
REFUSALS = ("503", "504")
HONEST_EVERY_S = 1.0
HONEST_MAX_MS = 2000.0
# Two workers under 64 clients hold 1.2 GB, and a file that is read may take 1 GB of its own for a while.
MOST_MEMORY_MB = 2500
MOST_FILE_BYTES = 2_000_000
HEADERS = {"Authorization": f"Bearer {KEY}"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attack: its status, or the name of an error, or - where none was to come."""

    kind: str
    status: str
    took_ms: float


@dataclass
class Honest:
    """What the honest client saw."""

    times_ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)


def attack(address: str, number: int, seed: int, minutes: float, files: list[Path]) -> list[Outcome]:
    """Send so many attacks from as many clients as there are, as long as there is time."""
    outcomes: list[Outcome] = []
    turn, until = threading.Lock(), time.monotonic() + 60 * minutes
    waiting = attacks(number, seed, files)

    def send() -> None:
        with httpx.Client(base_url=address, timeout=TIMEOUT_S, headers=HEADERS) as client:
            while time.monotonic() < until:
                with turn:
                    one = next(waiting, None)
                if one is None:
                    return
                started = time.perf_counter()
                try:
                    status = str(one.send(client) or "-")
                except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as exc:
                    status = type(exc).__name__
                outcomes.append(Outcome(one.kind, status, 1000 * (time.perf_counter() - started)))

    clients = [threading.Thread(target=send) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return outcomes


def ask(served: Served, honest: Honest) -> None:
    """Ask once, on a connection of its own as people's browsers do."""
    started = time.perf_counter()
    try:
        response = httpx.post(f"{served.address}/v1/ask", json={"query": CANONICAL}, headers=HEADERS, timeout=60)
        if response.status_code != 200 or response.json()["answer"]["value"] != VALUE:
            honest.failures.append(f"{response.status_code}: {response.text[:300]}")
    except (httpx.HTTPError, TypeError, KeyError) as exc:
        honest.failures.append(repr(exc))
    honest.times_ms.append(1000 * (time.perf_counter() - started))
    honest.memory_mb.append(served.memory_mb()[1])


def run(served: Served, number: int, seed: int, minutes: float, files: list[Path]) -> tuple[list[Outcome], Honest]:
    """All attacks, from a process of their own, beside the honest client in this one."""
    honest = Honest()
    with ProcessPoolExecutor(1) as pool:
        attacking = pool.submit(attack, served.address, number, seed, minutes, files)
        while not attacking.done():
            ask(served, honest)
            time.sleep(HONEST_EVERY_S)
        return attacking.result(), honest


def figures_of(outcomes: list[Outcome], honest: Honest, seed: int) -> dict[str, Any]:
    """What is kept."""
    kinds: dict[str, Any] = {}
    for kind in sorted({one.kind for one in outcomes}):
        times = [one.took_ms for one in outcomes if one.kind == kind]
        statuses = Counter(one.status for one in outcomes if one.kind == kind)
        row = {"sent": len(times), "p50_ms": round(median(times), 1), "max_ms": round(max(times), 1)}
        kinds[kind] = {**row, "statuses": dict(sorted(statuses.items()))}
    return {
        "seed": seed,
        "sent": len(outcomes),
        "kinds": kinds,
        "errors": sum(one.status[0] == "5" and one.status not in REFUSALS for one in outcomes),
        "honest": {
            "asked": len(honest.times_ms),
            "failed": len(honest.failures),
            "failures": honest.failures[:5],
            "p50_ms": round(median(honest.times_ms), 1),
            "max_ms": round(max(honest.times_ms), 1),
        },
        "memory_mb": {"first": honest.memory_mb[0], "most": max(honest.memory_mb), "last": honest.memory_mb[-1]},
        "load": round(os.getloadavg()[0], 1),
    }


def print_table(figures: dict[str, Any]) -> None:
    """The figures, to be read."""
    for kind, row in figures["kinds"].items():
        times = f"p50 {row['p50_ms']:8.1f} ms, max {row['max_ms']:9.1f} ms"
        print(f"{kind:10} {row['sent']:5} sent, {times}  {row['statuses']}")
    honest, memory = figures["honest"], figures["memory_mb"]
    times = f"p50 {honest['p50_ms']:8.1f} ms, max {honest['max_ms']:9.1f} ms"
    print(f"honest     {honest['asked']:5} asked, {times}, {honest['failed']} failed")
    print(f"memory     {memory['first']} MB at first, {memory['most']} MB at most, {memory['last']} MB at last")


def main() -> None:
    """Run, print the table, keep the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=20261128)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        broken = make_broken_files(Path(folder) / "broken")
        files = sorted(path for path in broken if path.is_file() and not path.is_symlink())
        files = [path for path in files if path.stat().st_size <= MOST_FILE_BYTES]
        home = Path(folder) / "server"
        home.mkdir()
        with serving(home) as served:
            outcomes, honest = run(served, given.requests, given.seed, given.minutes, files)
    figures = figures_of(outcomes, honest, given.seed)
    if given.output:
        given.output.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    print_table(figures)
    is_well = (
        not honest.failures
        and figures["honest"]["max_ms"] <= HONEST_MAX_MS
        and figures["errors"] == 0
        and figures["memory_mb"]["most"] <= MOST_MEMORY_MB
        and figures["sent"] >= given.requests
    )
    print("well" if is_well else "NOT WELL", *honest.failures[:3])
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
