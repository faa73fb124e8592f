"""What an index of 10,000, 100,000 and a million passages costs: to build, to keep, to ask, to change.

    python benchmarks/scale.py [--passages N ...] [--folder DIR] [--reuse] [--output FILE]

Each size is built and served by processes of its own. Answers are checked against facts planted in the documents
(recombined.py), the dense leg against exact search over the stored vectors. `--folder` keeps the documents and the
index; with `--reuse` an index that is there is measured again. The table goes to stdout, the figures to
results/scale.json, the plot to results/scale.svg (extra `bench`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import httpx
import numpy as np
from recombined import Recombined
from served import memory_mb
from sync import size_mb

from index.retrieval.search import DENSE_CANDIDATES, best_cosines, encode_wordings
from index.store.codes import cosines
from index.types import Filters
from qa.engine import Engine

ROOT = Path(__file__).parent.parent
QA = Path(sys.executable).with_name("qa")
SIZES = (10_000, 100_000, 1_000_000)
WARM_UP, ROUNDS, CHANGES, CLIENTS = 20, 3, 5, 8
HTTP_QUESTIONS = 800
_LOOK_S = 1.0
ROWS = (
    ("passages", "passages"),
    ("vectors", "vectors"),
    ("load before the run", "load"),
    ("first index, passages/s, wall", "build_passages_per_s"),
    ("first index, passages/s of processor time", "build_passages_per_processor_s"),
    ("first index, all processes, MB (PSS, mapped files too)", "build_pss_mb"),
    ("disk, MB", "disk_mb"),
    ("open and first answer, s", "first_answer_s"),
    ("ask p50, ms", "ask_p50_ms"),
    ("ask p99, ms", "ask_p99_ms"),
    ("ask p50, processor ms", "ask_processor_p50_ms"),
    ("ask p99, processor ms", "ask_processor_p99_ms"),
    ("questions/s over HTTP, 8 clients", "http_per_s"),
    ("HTTP p50, ms, one client", "http_p50_ms"),
    ("HTTP p99, ms, one client", "http_p99_ms"),
    ("memory of the server, MB (PSS)", "server_pss_mb"),
    ("dense recall@10", "dense_recall_at_10"),
    ("planted: hit@1", "hit_at_1"),
    ("planted: value right", "value_right"),
    ("add one document until it answers, s", "add_s"),
    ("remove it, s", "remove_s"),
)


def main() -> None:
    """Measure each size in turn; print, plot and keep the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--passages", type=int, nargs="+", default=SIZES)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--reuse", action="store_true")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/scale.json")
    parser.add_argument("--child", choices=["build", "ask"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child = build if arguments.child == "build" else ask
        print(json.dumps(child(arguments.folder, arguments.passages[0])))
        return
    known = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    for passages in arguments.passages:
        with tempfile.TemporaryDirectory() as temporary:
            base = (arguments.folder or Path(temporary)) / str(passages)
            known[str(passages)] = measure(base, passages, known.get(str(passages), {}), arguments.reuse)
        found = dict(sorted(known.items(), key=lambda item: int(item[0])))
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")
        print(table(list(found.values())), flush=True)
        plot(list(found.values()), arguments.output.with_suffix(".svg"))


def measure(base: Path, passages: int, before: dict[str, object], reuse: bool) -> dict[str, object]:
    """All figures of one size."""
    figures: dict[str, object] = {"load": round(os.getloadavg()[0], 1)}
    if reuse and (base / "data").exists():
        figures = {**before, "load": before.get("load", figures["load"])}
    else:
        Recombined(passages).write(base / "docs")
        (base / "config.yaml").write_text("corpus: [docs]\n")
        figures |= run_child("build", base, passages)
    figures["disk_mb"] = size_mb(base / "data")
    figures |= run_child("ask", base, passages)
    figures |= serve(base, [planted.question for planted in Recombined(passages).questions])
    return figures


def run_child(task: str, base: Path, passages: int) -> dict[str, object]:
    """What a process of its own finds out; its progress goes to stderr."""
    command = [sys.executable, __file__, "--child", task, "--folder", str(base), "--passages", str(passages)]
    peak = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, memory_mb(process.pid)[1])
            time.sleep(_LOOK_S)
        if process.returncode:
            raise SystemExit(f"{task} of {passages:,} passages ended with {process.returncode}")
        assert process.stdout is not None
        found: dict[str, object] = json.loads(process.stdout.read())
    return found | {f"{task}_pss_mb": round(peak)}


def build(base: Path, passages: int) -> dict[str, object]:
    """Index as `qa index` does."""
    engine = Engine.open(base / "config.yaml")
    told = time.monotonic()

    def progress(what: str, done: float, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > 20:
            told = time.monotonic()
            print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)

    used = sum(os.times()[:4])
    report = engine.index(progress=progress)
    used = sum(os.times()[:4]) - used
    return {
        "passages": report.passages,
        "build_s": round(report.seconds, 1),
        "build_processor_s": round(used, 1),
        "build_passages_per_s": round(report.passages / report.seconds),
        "build_passages_per_processor_s": round(report.passages / used),
    }


def ask(base: Path, passages: int) -> dict[str, object]:
    """Questions in process, the dense leg against exact search, and what a change costs."""
    planted = Recombined(passages).questions
    started = time.perf_counter()
    engine = Engine.open(base / "config.yaml")
    engine.ask(planted[0].question)
    first = time.perf_counter() - started
    for fact in planted[:WARM_UP]:
        engine.ask(fact.question)
    seconds, processor, hits, values = [], [], 0, 0
    for number in range(ROUNDS):
        for fact in planted:
            started = time.perf_counter()
            # Another ending each time, so that no round is asked the same.
            used = time.process_time()
            found = engine.ask(fact.question + ("", "?", "呢")[number])
            seconds.append(time.perf_counter() - started)
            processor.append(time.process_time() - used)
            hits += fact.evidence in found.hits[0].text if found.hits else 0
            values += found.answer is not None and found.answer.value == fact.answer
    asked = ROUNDS * len(planted)
    return {
        "passages": engine.store.counts()[1],
        "vectors": engine.store.units,
        "first_answer_s": round(first, 2),
        "ask_p50_ms": round(1000 * median(seconds), 1),
        "ask_p99_ms": round(1000 * sorted(seconds)[int(0.99 * asked)], 1),
        "ask_processor_p50_ms": round(1000 * median(processor), 1),
        "ask_processor_p99_ms": round(1000 * sorted(processor)[int(0.99 * asked)], 1),
        "hit_at_1": round(hits / asked, 3),
        "value_right": round(values / asked, 3),
        "dense_recall_at_10": dense_recall(engine, [fact.question for fact in planted]),
        **changes(engine, base),
    }


def dense_recall(engine: Engine, questions: Sequence[str]) -> float:
    """The share of the ten passages nearest in truth that are among the ten nearest candidates of the dense leg."""
    store = engine.store
    queries = encode_wordings(engine.encoder, questions)
    scores, rows = [], []
    for passage in store.database.vectors_since(0):
        rows.append(passage.row)
        scores.append(cosines([passage.codes], queries).max(axis=0))
    nearest = np.argsort(-np.stack(scores), axis=0)[:10]
    found = 0
    for query, truth in zip(queries, nearest.T, strict=True):
        candidates = store.vectors(row for row, _ in store.search_vectors(query, DENSE_CANDIDATES, Filters()))
        near = best_cosines([candidate.codes for candidate in candidates], query[None])
        best = sorted(zip(near, (candidate.row for candidate in candidates), strict=True), reverse=True)[:10]
        found += len({row for _, row in best} & {rows[place] for place in truth})
    return round(found / (10 * len(questions)), 4)


def changes(engine: Engine, base: Path) -> dict[str, object]:
    """Seconds from a new file to an answer from it, and from its end to none."""
    added, removed = [], []
    for number in range(CHANGES):
        path = base / "docs" / f"new-{number}.txt"
        started = time.perf_counter()
        path.write_text(f"琼崖{number}厂工会情况\n\n全厂现有长颈鹿饲养员{4000 + number}名。\n", encoding="utf-8")
        engine.index([path])
        found = engine.ask(f"琼崖{number}厂有多少名长颈鹿饲养员")
        assert found.answer is not None and found.answer.value == f"{4000 + number}名", found
        added.append(time.perf_counter() - started)
        started = time.perf_counter()
        path.unlink()
        engine.index([path.parent] if number == 0 else None)
        assert not engine.search("长颈鹿饲养员").hits[0].text.startswith("全厂现有长颈鹿")
        removed.append(time.perf_counter() - started)
    return {"add_s": round(median(added), 2), "remove_s": round(median(removed), 2)}


def serve(base: Path, questions: Sequence[str]) -> dict[str, object]:
    """Latency of one client and rate of several over HTTP, and the server's memory then."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen([QA, "serve", "--port", str(port)], cwd=base, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=url, timeout=60) as client:
            wait(client)
            seconds = []
            for question in questions * 4:
                started = time.perf_counter()
                client.post("/v1/ask", json={"query": question}).raise_for_status()
                seconds.append(time.perf_counter() - started)
        seconds = seconds[len(questions) :]
        rate = asyncio.run(load(url, questions))
        return {
            "http_p50_ms": round(1000 * median(seconds), 1),
            "http_p99_ms": round(1000 * sorted(seconds)[int(0.99 * len(seconds))], 1),
            "http_per_s": round(rate),
            "server_pss_mb": round(memory_mb(server.pid)[1]),
        }
    finally:
        server.terminate()
        server.wait()


def wait(client: httpx.Client) -> None:
    """Until the server answers."""
    while True:
        try:
            client.get("/readyz").raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.1)


async def load(url: str, questions: Sequence[str]) -> float:
    """Answers a second to several clients at once."""
    left = iter(list(questions) * (HTTP_QUESTIONS // len(questions)))

    async def client() -> int:
        done = 0
        async with httpx.AsyncClient(base_url=url, timeout=60) as own:
            for question in left:
                (await own.post("/v1/ask", json={"query": question})).raise_for_status()
                done += 1
        return done

    started = time.perf_counter()
    done = await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return sum(done) / (time.perf_counter() - started)


def table(figures: Sequence[dict[str, object]]) -> str:
    """The figures as Markdown, a column for each size."""
    lines = ["| | " + " | ".join("" for _ in figures) + " |", "|---" * (len(figures) + 1) + "|"]
    for title, key in ROWS:
        cells = (f"{found[key]:,}" if isinstance(found.get(key), int) else str(found.get(key, "")) for found in figures)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(figures: Sequence[dict[str, object]], path: Path) -> None:
    """Latency, memory and disk, change and rate over the number of passages."""
    from matplotlib import pyplot

    shown = [
        ("ask, ms", ("ask_p50_ms", "ask_p99_ms")),
        ("MB", ("disk_mb", "server_pss_mb", "build_pss_mb")),
        ("one document, s", ("add_s", "remove_s")),
        ("passages/s", ("build_passages_per_s",)),
    ]
    figure, axes = pyplot.subplots(1, len(shown), figsize=(14, 3.2), layout="constrained")
    for axis, (title, keys) in zip(axes, shown, strict=True):
        for key in keys:
            points = [(found["passages"], found[key]) for found in figures if key in found and "passages" in found]
            axis.plot(*zip(*points, strict=True), marker="o", label=key)
        axis.set(xscale="log", title=title, xlabel="passages", ylim=(0, None))
        axis.legend(fontsize="small")
    figure.savefig(path)


if __name__ == "__main__":
    main()
