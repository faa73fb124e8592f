"""64 clients against `qa serve` while documents come and go: errors, times, exact citations, memory.

    python benchmarks/load.py [--clients N] [--seconds N | --minutes N] [--workers N] [--output FILE]

Each client keeps one connection and asks one question after the other, drawn from union_questions.jsonl. Meanwhile
documents are uploaded and deleted over HTTP. Every citation and every hit is compared with the text that the server
gives. Exits with 1 when something was wrong: a status other than 200 and the deliberate 429 and 503 (with Retry-After),
a broken connection, a span that is not the quote, a generation that goes back within one connection, p99 over 20 times
p50, or memory that still grows in the last third of a run of five minutes or more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

import httpx
from served import KEY, ROOT, Served, serving
from sync import chain, paragraph

QUESTIONS = ROOT / "benchmarks/union_questions.jsonl"
MOST_TIMES_P50 = 20
# Memory of the last third of a run may exceed that of the middle third by this share.
GROWTH = 0.05
# Threads and caches fill for some minutes; a shorter run says nothing of it.
JUDGED_AFTER_S = 300
PAUSE_S = 0.2
SAMPLE_S = 2.0
UPLOADED = 3
HEADERS = {"Authorization": f"Bearer {KEY}"}
REFUSALS = (429, 503)


@dataclass
class Seen:
    """What the clients saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    times_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    generations: set[int] = field(default_factory=set)
    spans: int = 0
    gone: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    memory: list[tuple[float, float, float]] = field(default_factory=list)


def main() -> None:
    """Run, print the table, keep the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--still", action="store_true", help="add and remove no documents")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    seconds = arguments.minutes * 60 if arguments.minutes else arguments.seconds
    seen = Seen()
    load = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        options = ["--workers", str(arguments.workers)] if arguments.workers > 1 else []
        with serving(Path(folder), *options) as served:
            asyncio.run(run(served, seen, arguments.clients, seconds, not arguments.still))
        log = (Path(folder) / "serve.log").read_text(encoding="utf-8")
    figures = {
        "load_before": load,
        "clients": arguments.clients,
        "workers": arguments.workers,
        **summary(seen, seconds),
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    for name, value in figures.items():
        print(f"{name:28} {value}")
    if "Traceback" in log:
        print(log[-4000:])
    wrong = [*verdict(figures), *(["the server's log holds a traceback"] if "Traceback" in log else [])]
    for line in wrong:
        print("WRONG:", line)
    sys.exit(1 if wrong else 0)


async def run(served: Served, seen: Seen, clients: int, seconds: float, with_changes: bool) -> None:
    """All clients, whoever changes documents, and whoever looks at the memory, for so long."""
    questions = [json.loads(line)["question"] for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    texts: dict[str, str] = {}
    until = time.monotonic() + seconds
    tasks = [client(served, seen, questions, texts, random.Random(n), until) for n in range(clients)]
    if with_changes:
        tasks.append(change(served, seen, until))
    tasks.append(watch_memory(served, seen, until))
    await asyncio.gather(*tasks)


async def client(
    served: Served, seen: Seen, questions: list[str], texts: dict[str, str], chance: random.Random, until: float
) -> None:
    """One connection that asks until the end."""
    generation, connection = 0, None
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None)
    async with httpx.AsyncClient(base_url=served.address, headers=HEADERS, timeout=60, limits=limits) as http:
        while time.monotonic() < until:
            body = {"query": chance.choice(questions), "top_k": chance.choice((1, 5, 5, 10))}
            route = chance.choice(("/v1/ask", "/v1/ask", "/v1/ask", "/v1/search"))
            started = time.perf_counter()
            response = await request(http, seen, "POST", route, json=body)
            if response is None:
                continue
            seen.times_ms.append((time.perf_counter() - started) * 1000)
            found = response.json()
            used = response.extensions["network_stream"].get_extra_info("client_addr")
            if used == connection and found["index"]["generation"] < generation:
                seen.errors["a generation went back"] += 1
            connection, generation = used, found["index"]["generation"]
            seen.generations.add(generation)
            await check_spans(http, seen, texts, found)


async def request(
    http: httpx.AsyncClient, seen: Seen, method: str, path: str, **options: object
) -> httpx.Response | None:
    """The response when it is one to go on with; anything else is counted."""
    try:
        response = await http.request(method, path, **options)
    except httpx.HTTPError as exc:
        seen.errors[f"{method} {path.split('/')[2]}: {type(exc).__name__}"] += 1
        return None
    kind = path.split("/")[2]
    seen.statuses[f"{kind} {response.status_code}"] += 1
    if response.status_code in REFUSALS:
        if "retry-after" not in response.headers:
            seen.errors[f"{response.status_code} without Retry-After"] += 1
        await asyncio.sleep(min(1.0, float(response.headers.get("retry-after", 1))))
        return None
    if response.status_code >= 400 and not (response.status_code == 404 and kind == "documents"):
        seen.errors[f"{method} {kind}: {response.status_code} {response.text[:200]}"] += 1
        return None
    return response


async def check_spans(http: httpx.AsyncClient, seen: Seen, texts: dict[str, str], found: dict[str, Any]) -> None:
    """Compare every quote and hit with the document's text as it is served; the text of an id never changes here."""
    spans = [(it["document_id"], it["start"], it["end"], it["quote"]) for it in found.get("citations", ())]
    spans += [(it["document_id"], it["start"], it["end"], it["text"]) for it in found["hits"]]
    for document, start, end, quote in spans:
        if document not in texts:
            response = await request(http, seen, "GET", f"/v1/documents/{document}/text")
            if response is None:
                continue
            if response.status_code == 404:  # removed since
                seen.gone += 1
                continue
            texts[document] = response.text
        seen.spans += 1
        if texts[document][start:end] != quote:
            seen.errors["a quote is not what stands there"] += 1


async def change(served: Served, seen: Seen, until: float) -> None:
    """Upload documents and delete them again, each a job that is waited for."""
    after, chance = chain(), random.Random(1)
    number = 0
    async with httpx.AsyncClient(base_url=served.address, headers=HEADERS, timeout=60) as http:
        while time.monotonic() < until:
            number += 1
            files = []
            for part in range(UPLOADED):
                text = f"第{number}批第{part}号文件\n\n" + "\n\n".join(paragraph(after, chance) for _ in range(4))
                files.append(("file", (f"load-{number}-{part}.txt", text.encode())))
            made = await job(http, seen, "POST", "/v1/documents", "uploads", files=files)
            for document in made.get("document_ids", ()):
                await job(http, seen, "DELETE", f"/v1/documents/{document}", "deletions")


async def job(
    http: httpx.AsyncClient, seen: Seen, method: str, path: str, name: str, **options: object
) -> dict[str, Any]:
    """A change asked for and waited for."""
    response = await request(http, seen, method, path, **options)
    while response is not None:
        found: dict[str, Any] = response.json()
        if found.get("status") not in ("queued", "running"):
            seen.changes[f"{name} {found.get('status')}"] += 1
            return found
        await asyncio.sleep(PAUSE_S)
        response = await request(http, seen, "GET", f"/v1/jobs/{found['id']}") or response
    return {}


async def watch_memory(served: Served, seen: Seen, until: float) -> None:
    """RSS and PSS over time."""
    started = time.monotonic()
    while time.monotonic() < until:
        rss, pss = await asyncio.to_thread(served.memory_mb)
        seen.memory.append((round(time.monotonic() - started), rss, pss))
        await asyncio.sleep(SAMPLE_S)


def summary(seen: Seen, seconds: float) -> dict[str, Any]:
    """The figures."""
    times = sorted(seen.times_ms) or [0.0]
    p50, p99 = median(times), times[int(len(times) * 0.99)]
    third = len(seen.memory) // 3
    middle, last = seen.memory[third : 2 * third], seen.memory[2 * third :]
    step = max(1, len(seen.memory) // 10)
    return {
        "seconds": seconds,
        "questions": len(seen.times_ms),
        "questions_per_s": round(len(seen.times_ms) / seconds, 1),
        "p50_ms": round(p50, 1),
        "p99_ms": round(p99, 1),
        "p99_over_p50": round(p99 / p50, 1) if p50 else 0,
        "max_ms": round(times[-1], 1),
        "statuses": dict(sorted(seen.statuses.items())),
        "changes": dict(sorted(seen.changes.items())),
        "generations_seen": len(seen.generations),
        "spans_checked": seen.spans,
        "documents_gone_meanwhile": seen.gone,
        "errors": dict(seen.errors),
        "rss_mb_at_s": {str(at): rss for at, rss, _ in seen.memory[::step]},
        "pss_mb_at_s": {str(at): pss for at, _, pss in seen.memory[::step]},
        "pss_mb_middle_third": round(mean(pss for _, _, pss in middle), 1) if middle else 0,
        "pss_mb_last_third": round(mean(pss for _, _, pss in last), 1) if last else 0,
    }


def verdict(figures: dict[str, Any]) -> list[str]:
    """What is wrong."""
    wrong = [f"{name}: {count} times" for name, count in figures["errors"].items()]
    if figures["p99_over_p50"] > MOST_TIMES_P50:
        wrong.append(f"p99 is {figures['p99_over_p50']} times p50")
    is_long = figures["seconds"] >= JUDGED_AFTER_S
    if is_long and figures["pss_mb_last_third"] > figures["pss_mb_middle_third"] * (1 + GROWTH):
        wrong.append("memory grows")
    return wrong


if __name__ == "__main__":
    main()
