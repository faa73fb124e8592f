"""What a question costs over HTTP: latency of one client, and questions a second of many, with one and two workers.

    python benchmarks/serve.py            writes benchmarks/results/serve.json

Starts a real `qa serve` over a copy of the shipped documents and asks the union questions, each in many wordings, so
that no question comes twice in a run. The clients are on the same machine; `wrk` (a Debian package) costs next to
nothing, without it httpx is used, which costs as much as the server. Processor time is that of all processes of a side,
by the kernel's own accounts.
"""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from urllib.parse import quote

import httpx
from served import KEY, Served, serving

QUESTIONS = Path(__file__).parent / "union_questions.jsonl"
RESULTS = Path(__file__).parent / "results" / "serve.json"
SINGLE = 800
SECONDS = 10
CLIENTS = (8, 16)
WORKERS = (1, 2)
# Ways to say the same question that change its text and leave what it asks for.
_BEFORE = (
    "",
    "请问",
    "我想知道",
    "请告诉我",
    "想问一下",
    "请问一下",
    "请教一下",
    "麻烦问一下",
    "你好,",
    "您好,",
    "打扰一下,",
)
_AFTER = ("", "?", "？", "呢", "呢?", "呢？", "??", "。", " ?", " 谢谢", "?谢谢", "。谢谢")
_HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
_WRK = """
local paths, n = {{}}, 0
for line in io.lines("{file}") do paths[#paths + 1] = line end
request = function()
  n = n % #paths + 1
  return wrk.format("GET", paths[n], {{["Authorization"] = "Bearer {key}"}})
end
"""


def wordings() -> Iterator[str]:
    """Questions, no two alike: all of them in one wording, then all in the next."""
    questions = [json.loads(line)["question"] for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    seen: set[str] = set()
    for before, after in itertools.product(_BEFORE, _AFTER):
        for question in questions:
            text = f"{before}{question.rstrip('?？。呢')}{after}"
            if text not in seen:
                seen.add(text)
                yield text


def processor_s(process: int) -> float:
    """Processor time of a process and all that came of it, so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(processor_s(int(child)) for child in children)


def address_of(question: str) -> str:
    """Where a question is asked in the address."""
    return f"/v1/ask?q={quote(question)}"


def one_client(served: Served, questions: Iterator[str], method: str, packed: bool = False) -> dict[str, float]:
    """Latency of a client that waits for each answer, in ms, and processor time of the server a question."""
    host = served.address.partition("://")[2].rstrip("/")
    connection = http.client.HTTPConnection(host, timeout=60)
    headers = _HEADERS | ({"Accept-Encoding": "gzip"} if packed else {})
    walls: list[float] = []
    used = processor_s(served.process)
    for question in itertools.islice(questions, SINGLE):
        body = json.dumps({"query": question}).encode() if method == "POST" else None
        path = "/v1/ask" if method == "POST" else address_of(question)
        started = time.perf_counter()
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        response.read()
        walls.append(time.perf_counter() - started)
        assert response.status == 200, response.status
    used = processor_s(served.process) - used
    return {
        "p50_ms": round(1000 * median(walls), 2),
        "p99_ms": round(1000 * sorted(walls)[int(0.99 * len(walls))], 2),
        "server_processor_ms": round(1000 * used / len(walls), 2),
    }


def many_clients(served: Served, questions: Iterator[str], clients: int) -> dict[str, float]:
    """Questions a second of clients that ask without a pause, and processor time a question on both sides, in ms."""
    paths = [address_of(question) for question in itertools.islice(questions, 600 * SECONDS)]
    server, client = processor_s(served.process), _own_s()
    if shutil.which("wrk"):
        done, seconds = _wrk(served, paths, clients)
    else:
        done, seconds = asyncio.run(_httpx(served, paths, clients))
    server, client = processor_s(served.process) - server, _own_s() - client
    return {
        "per_s": round(done / seconds),
        "server_processor_ms": round(1000 * server / done, 2),
        "client_processor_ms": round(1000 * client / done, 2),
    }


def _own_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _wrk(served: Served, paths: list[str], clients: int) -> tuple[int, float]:
    file, script = served.folder / "paths.txt", served.folder / "ask.lua"
    file.write_text("\n".join(paths))
    script.write_text(_WRK.format(file=file, key=KEY))
    command = ["wrk", "-t1", f"-c{clients}", f"-d{SECONDS}s", "-s", str(script), served.address]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise SystemExit(f"not every question was answered:\n{told}")
    done, seconds = re.findall(r"(\d+) requests in ([0-9.]+)s", told)[0]
    return int(done), float(seconds)


async def _httpx(served: Served, paths: list[str], clients: int) -> tuple[int, float]:
    left, end = iter(paths), time.perf_counter() + SECONDS

    async def ask() -> int:
        done = 0
        async with httpx.AsyncClient(base_url=served.address, headers=_HEADERS, timeout=60) as client:
            for path in left:
                if time.perf_counter() > end:
                    break
                (await client.get(path)).raise_for_status()
                done += 1
        return done

    started = time.perf_counter()
    done = sum(await asyncio.gather(*(ask() for _ in range(clients))))
    return done, time.perf_counter() - started


def measured(workers: int) -> dict[str, object]:
    """All figures of a server with so many workers."""
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), "--workers", str(workers)) as served:
        questions = wordings()
        for _ in range(workers):  # each opens its own connection, and may reach either worker
            one_client(served, itertools.islice(questions, 160), "GET")
        found["one client, GET"] = one_client(served, questions, "GET")
        found["one client, POST"] = one_client(served, questions, "POST")
        found["one client, gzip"] = one_client(served, questions, "GET", packed=True)
        for clients in CLIENTS:
            found[f"{clients} clients"] = many_clients(served, questions, clients)
        found["pss_mb"] = served.memory_mb()[1]
    return found


def main() -> None:
    """Measure, print and keep."""
    result: dict[str, object] = {
        "load": round(os.getloadavg()[0], 1),
        "client": "wrk" if shutil.which("wrk") else "httpx",
        "python": sys.version.split()[0],
    }
    for workers in WORKERS:
        result[f"{workers} workers"] = measured(workers)
    print(json.dumps(result, indent=1))
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
