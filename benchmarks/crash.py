"""Kill the indexer and the server at random moments, and look at what is left.

    python benchmarks/crash.py [--index-kills 200] [--server-kills 50] [--documents 60] [--seed 7]

After every second kill: every document has a text that its file has had, every citation is exact, and the doctor finds
nothing.
After each kill of the server and its workers, which take uploads and deletions meanwhile: once it is back and its jobs
have run, the disk and the index hold what was acknowledged, what was not acknowledged is there in full or not at all,
what was replaced or deleted is kept in the trash, and no temporary file is left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from qa.cli.doctor import examine
from qa.configuration.settings import TrashConfig
from qa.editing.trash import Trash
from qa.engine import Engine

QA = [sys.executable, "-c", "from qa.cli.main import main; main()"]
QUESTION = "一共有多少件"
_CLIENTS = 3
_CHECKED_HITS = 10
# Opening an engine takes longer than most of what is to be looked at.
_LOOK_EVERY = 2


@dataclass
class Findings:
    """What became of one series of kills; `problems` is empty when nothing was lost."""

    kills: int = 0
    hits: int = 0
    """How many processes were killed while they worked; the others had ended by themselves."""
    acknowledged: int = 0
    citations: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


def text(name: str, version: int) -> str:
    """A document that tells its name and version, and shares a paragraph with all others."""
    parts = [f"{name}的第{version}版说到第{part}个方面,一共有{version * 100 + part}件。" for part in range(12)]
    return "这一段在每个文件里都有,内容完全一样。\n\n" + "\n\n".join(parts) + "\n"


def make_corpus(folder: Path) -> Path:
    """An empty collection and its configuration file."""
    (folder / "papers").mkdir(parents=True)
    config = folder / "config.yaml"
    config.write_text("corpus: [papers]\nserver: {port: 0}\n", encoding="utf-8")
    return config


def environment() -> dict[str, str]:
    """For one thread, and without settings of cited-qa."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QA_")}
    return kept | {"OMP_NUM_THREADS": "1"}


def kill_indexer(folder: Path, kills: int, documents: int, chance: random.Random) -> Findings:
    """Kill `qa index` at random moments while files change."""
    found, started = Findings(), time.monotonic()
    config = make_corpus(folder)
    versions: dict[str, list[str]] = defaultdict(list)
    for number in range(documents):
        _write(folder, f"{number}.txt", 1, versions)
    shortest, longest = _duration(folder, "--report"), _duration(folder)
    version = 1
    for _ in range(kills):
        version += 1
        for number in chance.sample(range(documents), max(1, documents // 3)):
            _write(folder, f"{number}.txt", version, versions)
        _move_one(folder, version, chance, versions)
        options = ["--rebuild"] if chance.random() < 0.1 else []
        process = subprocess.Popen([*QA, "index", *options], cwd=folder, env=environment(), stderr=subprocess.PIPE)
        try:
            process.wait(timeout=chance.uniform(0.7 * shortest, 1.1 * longest))
        except subprocess.TimeoutExpired:
            process.kill()
            found.hits += 1
        process.communicate()
        found.kills += 1
        if found.kills % _LOOK_EVERY == 0:
            found.problems += _index_problems(config, versions, found)
    found.problems += _final_problems(folder, config)
    found.seconds = time.monotonic() - started
    return found


def _write(folder: Path, name: str, version: int, versions: dict[str, list[str]]) -> None:
    content = text(name, version)
    versions[content].append(name)
    (folder / "papers" / name).write_text(content, encoding="utf-8")


def _move_one(folder: Path, version: int, chance: random.Random, versions: dict[str, list[str]]) -> None:
    """Rename a file, and put another in its place; take an earlier one of those away."""
    moved = folder / "papers" / f"{chance.randrange(10)}.txt"
    moved.rename(folder / "papers" / f"moved-{version % 7}.txt")
    _write(folder, moved.name, version, versions)
    (folder / "papers" / f"moved-{chance.randrange(7)}.txt").unlink(missing_ok=True)


def _duration(folder: Path, *options: str) -> float:
    """How long `qa index` takes, in seconds; what it says goes to our stderr when it fails."""
    started = time.monotonic()
    subprocess.run(
        [*QA, "index", *options],
        cwd=folder,
        env=environment(),
        check=bool(not options),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    return time.monotonic() - started


def _index_problems(config: Path, versions: dict[str, list[str]], found: Findings) -> Iterator[str]:
    engine = Engine.open(config)
    for info in engine.documents():
        if engine.document(info.id).text not in versions:
            yield f"{info.path}: its text is none that the file has had"
    answer = engine.ask(QUESTION, top_k=_CHECKED_HITS)
    for place, quote in [*((hit, hit.text) for hit in answer.hits), *((c, c.quote) for c in answer.citations)]:
        found.citations += 1
        if engine.document(place.document_id).text[place.start : place.end] != quote:
            yield f"{place.path}: a citation is not exact"
    yield from _ill(config)


def _ill(config: Path) -> Iterator[str]:
    return (f"doctor: {finding.name}: {finding.detail}" for finding in examine(config) if not finding.ok)


def _final_problems(folder: Path, config: Path) -> Iterator[str]:
    """A last sync brings all of it in step, and `qa doctor` as a process is content."""
    _duration(folder)
    engine = Engine.open(config)
    indexed = {info.path: engine.document(info.id).text for info in engine.documents()}
    files = {f"papers/{path.name}": path.read_text(encoding="utf-8") for path in (folder / "papers").iterdir()}
    if indexed != files:
        yield f"the index and the folder differ: {sorted(set(indexed.items()) ^ set(files.items()))[:3]}"
    done = subprocess.run([*QA, "doctor"], cwd=folder, env=environment(), capture_output=True, text=True)
    if done.returncode:
        yield f"qa doctor: {done.stdout}"


class Client(threading.Thread):
    """Uploads, replaces and deletes files of its own, one after the other, until the server is gone.

    `state` holds what each name must be, None for nothing; `pending` the one change that was not acknowledged; `gone`
    what was replaced or deleted.
    """

    def __init__(self, name: str, address: str, state: dict[str, str | None], chance: random.Random) -> None:
        super().__init__()
        self.state = state
        self.pending: tuple[str, str | None] | None = None
        self.acknowledged = 0
        self.gone: list[str] = []
        self.problems: list[str] = []
        self._prefix = name
        self._address = address
        self._chance = chance
        self._version = chance.randrange(1000, 10**6)

    def run(self) -> None:
        while True:
            name = f"{self._prefix}-{self._chance.randrange(15)}.txt"
            self._version += 1
            there = self.state.get(name) is not None
            content = None if there and self._chance.random() < 0.4 else text(name, self._version)
            self.state.setdefault(name, None)
            self.pending = (name, content)
            try:
                status = self._remove(name) if content is None else self._upload(name, content)
            except (OSError, HTTPException, ValueError):
                return  # it was killed, maybe half way through its answer
            if status == 202:
                self.gone += [earlier] if (earlier := self.state[name]) is not None else []
                self.state[name] = content
                self.acknowledged += 1
            elif status not in (404, 503):  # not indexed yet; the index is being brought up
                self.problems.append(f"{name}: the server answered {status}")
            self.pending = None

    def _upload(self, name: str, content: str) -> int:
        body = (
            b'--x\r\nContent-Disposition: form-data; name="replace"\r\n\r\ntrue\r\n'
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="'
            + name.encode()
            + b'"\r\n\r\n'
            + content.encode()
            + b"\r\n--x--\r\n"
        )
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        return _send(urllib.request.Request(f"{self._address}/v1/documents", body, headers))[0]

    def _remove(self, name: str) -> int:
        found = documents(self._address, name)
        if not found:
            return 404
        request = urllib.request.Request(f"{self._address}/v1/documents/{found[0]['id']}", method="DELETE")
        return _send(request)[0]


def _send(request: urllib.request.Request | str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as exc:
        return exc.code, None


def documents(address: str, q: str = "") -> list[dict[str, Any]]:
    """What the server lists."""
    return list((_send(f"{address}/v1/documents?limit=1000&q={q}")[1] or {"documents": []})["documents"])


def jobs(address: str) -> list[dict[str, Any]]:
    """All jobs, the newest first."""
    return list((_send(f"{address}/v1/jobs?limit=1000")[1] or {"jobs": []})["jobs"])


@contextmanager
def server(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`qa serve`, once it answers questions, and its address; killed at the end."""
    log = folder / "serve.log"
    with log.open("wb") as said:
        process = subprocess.Popen([*QA, "serve"], cwd=folder, env=environment(), stderr=said, start_new_session=True)
    try:
        while not (found := re.search(r"(http://[\d.:]+) answers questions", log.read_text())):
            if process.poll() is not None:
                raise RuntimeError(f"the server did not start: {log.read_text()}")
            time.sleep(0.05)
        yield process, found.group(1)
    finally:
        _kill(process)
        process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a server and its workers at once."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def kill_server(folder: Path, kills: int, chance: random.Random) -> Findings:
    """Kill `qa serve` at random moments while clients upload and delete."""
    found, started = Findings(), time.monotonic()
    make_corpus(folder)
    (folder / "papers/first.txt").write_text(text("first.txt", 1), encoding="utf-8")
    states: list[dict[str, str | None]] = [{} for _ in range(_CLIENTS)]
    pending: dict[str, str | None] = {}
    gone: list[str] = []
    for kill in range(kills + 1):
        with server(folder) as (process, address):
            found.problems += _server_problems(folder, address, states, pending, found)
            found.problems += _lost(folder, gone)
            if kill == kills:
                break
            clients = [
                Client(f"c{n}", address, state, random.Random(chance.random())) for n, state in enumerate(states)
            ]
            for client in clients:
                client.start()
            time.sleep(chance.uniform(0.0, 2.0))
            _kill(process)
            found.kills += 1
            for client in clients:
                client.join()
            found.hits += any(client.pending for client in clients)
            found.acknowledged += sum(client.acknowledged for client in clients)
            found.problems += [problem for client in clients for problem in client.problems]
            pending = dict(client.pending for client in clients if client.pending)
            gone += [content for client in clients for content in client.gone]
    found.seconds = time.monotonic() - started
    return found


def _server_problems(
    folder: Path,
    address: str,
    states: Sequence[dict[str, str | None]],
    pending: dict[str, str | None],
    found: Findings,
) -> Iterator[str]:
    """What is wrong once the jobs have run; `states` then say what is there."""
    deadline = time.monotonic() + 120
    while any(job["status"] in ("queued", "running") for job in jobs(address)):
        if time.monotonic() > deadline:
            yield "jobs do not end"
            return
        time.sleep(0.1)
    yield from (f"job of {job['paths']}: {job['message']}" for job in jobs(address) if job["status"] == "failed")
    papers = folder / "papers"
    on_disk = {path.name: path.read_text(encoding="utf-8") for path in papers.iterdir() if path.is_file()}
    yield from (f"{path}: is left over" for path in papers.rglob(".*"))
    for state in states:
        for name, content in state.items():
            is_there = on_disk.get(name)
            if is_there != content and not (name in pending and is_there == pending[name]):
                yield f"{name}: is not what was acknowledged"
            state[name] = is_there
    expected = {name: content for state in states for name, content in state.items() if content is not None}
    expected["first.txt"] = text("first.txt", 1)
    listed = {document["path"].removeprefix("papers/"): document["id"] for document in documents(address)}
    for name in expected.keys() ^ listed.keys():
        yield f"{name}: is in the {'index, but was deleted' if name in listed else 'folder, but not in the index'}"
    for name, document_id in listed.items():
        if _text(address, document_id) != expected.get(name):
            yield f"{name}: the index has another text than was acknowledged"
    yield from _inexact(address, found)
    yield from _ill(folder / "config.yaml")


def _lost(folder: Path, gone: Sequence[str]) -> Iterator[str]:
    """What was replaced or deleted and is not kept."""
    trash = Trash(folder / "data", TrashConfig())
    kept = {(trash.folder / entry.id).read_text(encoding="utf-8") for entry in trash.files()}
    yield from (f"{content.splitlines()[2][:30]}: is not in the trash" for content in gone if content not in kept)


def _inexact(address: str, found: Findings) -> Iterator[str]:
    body = json.dumps({"query": QUESTION, "top_k": _CHECKED_HITS}).encode()
    headers = {"Content-Type": "application/json"}
    answer = _send(urllib.request.Request(f"{address}/v1/ask", body, headers))[1]
    for place in (*answer["hits"], *answer["citations"]):
        found.citations += 1
        if _text(address, place["document_id"])[place["start"] : place["end"]] != place.get("quote", place.get("text")):
            yield f"{place['path']}: a citation is not exact"


def _text(address: str, document_id: str) -> str:
    with urllib.request.urlopen(f"{address}/v1/documents/{document_id}/text", timeout=120) as response:
        return str(response.read().decode())


def main() -> None:
    """Run both series, print a table; exit code 1 when something was lost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--index-kills", type=int, default=200)
    parser.add_argument("--server-kills", type=int, default=50)
    parser.add_argument("--documents", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    print("| series | kills | while it worked | acknowledged | citations checked | problems | seconds |")
    print("|---|---|---|---|---|---|---|", flush=True)
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder, chance = Path(name), random.Random(arguments.seed)
        runs: list[tuple[str, Callable[[], Findings]]] = [
            ("qa index", lambda: kill_indexer(folder / "a", arguments.index_kills, arguments.documents, chance)),
            ("qa serve", lambda: kill_server(folder / "b", arguments.server_kills, chance)),
        ]
        for series, run in runs:
            found = run()
            problems += found.problems
            row = (found.kills, found.hits, found.acknowledged, found.citations, len(found.problems))
            print(f"| {series} | {' | '.join(map(str, row))} | {found.seconds:.0f} |", flush=True)
    for problem in problems:
        print(problem)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
