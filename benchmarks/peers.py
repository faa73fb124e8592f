"""Side by side: cited-qa and other libraries on the same documents, questions, encoder and machine, one after another.

    python benchmarks/peers.py [--only NAME ...] [--data DIR] [--folder DIR] [--passages N] [--questions N]

Each runs in a virtual environment of its own, which the script makes; `--folder` keeps these, so that a second run
needs no network. Any Python from 3.11 on can start it. `--data` is a folder with xquad.zh.json (public; without it
that part is left out); `--questions` asks only so many of its questions. Where pip's PyTorch brings CUDA packages the
script refuses; point pip at PyTorch's CPU builds then.

The encoder is the bundled one in `index/bundled`, through sentence-transformers for the peers. How each peer is set up
for Chinese, and which page of its own says so, stands at the top of its module in `peer/`. Indexing may use all
cores, asking has one thread, and a server runs as one process and, where it offers workers, as one a core. What each
figure is:

- set-up: MB and packages beyond Python, pip and PyTorch (ours holds sentence-transformers too, and the encoder);
- cold: a whole process, from nothing to one answer from an index that is kept, the median of three (`qa ask` for ours);
- indexing: passages a second from texts in memory to an index on disk, libraries and encoder loaded; ours writes files,
  reads and splits them, and starts its worker processes within that time;
- memory (PSS): the most that all processes together hold while indexing, and what they hold after asking;
- quality: shipped questions by the rules of `qa eval`; each splits the documents by what its own documents recommend.

The table goes to stdout, all figures with versions to results/peers.json; a peer that fails is a row that says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from peer.clients import ServerError, measure
from peer.environments import ROOT, Setup, SetupError, prepare, python
from peer.table import table
from served import memory_mb

BENCHMARKS = Path(__file__).parent
RESULTS = BENCHMARKS / "results" / "peers.json"
CORES = os.cpu_count() or 1
COLD_RUNS = 3
SAMPLE_S = 0.2
# The line of a traceback that tells what went wrong, before the details that may follow it.
_ERROR = re.compile("[A-Za-z_.]+(Error|Exception|Exit)\\b")
TASK_S = 3600
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS")
# Nothing may be fetched or sent while measuring.
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "true",
    "DO_NOT_TRACK": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LANGCHAIN_TRACING_V2": "false",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """What is installed for a peer, and which of these packages its version is told of."""

    title: str
    packages: tuple[str, ...]
    named: tuple[str, ...]
    with_torch: bool = True


PEERS = {
    "cited_qa": Measured("cited-qa", ("-e", str(ROOT)), ("cited-qa",)),
    "txtai": Measured("txtai", ("txtai[api]", "sentence-transformers"), ("txtai",)),
    "haystack": Measured(
        "Haystack", ("haystack-ai", "sentence-transformers-haystack", "hayhooks"), ("haystack-ai", "hayhooks")
    ),
    "llamaindex": Measured(
        "LlamaIndex",
        ("llama-index-core", "llama-index-retrievers-bm25", "sentence-transformers"),
        ("llama-index-core", "llama-index-retrievers-bm25"),
    ),
    "langchain": Measured(
        "LangChain, FAISS and BM25",
        (
            "langchain-classic",
            "langchain-community",
            "langchain-huggingface",
            "langchain-text-splitters",
            "sentence-transformers",
            "faiss-cpu",
            "rank_bm25",
            "jieba",
        ),
        ("langchain-core", "langchain-community", "faiss-cpu", "rank-bm25"),
    ),
    "chroma": Measured(
        "Chroma, dense only", ("chromadb", "sentence-transformers", "langchain-text-splitters"), ("chromadb",)
    ),
    "bm25s": Measured("bm25s, lexical only", ("bm25s", "jieba"), ("bm25s",), with_torch=False),
}


class TaskError(Exception):
    """A child process that failed; the message is what it said of that."""


def main() -> None:
    """Measure each in turn; print and keep the figures after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME", help=", ".join(PEERS))
    parser.add_argument("--data", type=Path, help="folder with xquad.zh.json")
    parser.add_argument("--folder", type=Path, help="keep environments and indexes here")
    parser.add_argument("--passages", type=int, default=5000)
    parser.add_argument("--questions", type=int, default=0, help="of XQuAD, evenly spread; all unless set")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    xquad = arguments.data and arguments.data.resolve() / "xquad.zh.json"
    if xquad and not xquad.is_file():
        parser.error(f"{xquad}: is not there; give the folder of xquad.zh.json, or leave --data out")
    with tempfile.TemporaryDirectory(prefix="peers-") as temporary:
        run = Run((arguments.folder or Path(temporary)).resolve(), arguments.questions)
        run.inputs(arguments.passages, xquad)
        known = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
        for name in arguments.only:
            known[name] = run.all_of(name)
            arguments.output.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    print(table([known[name] for name in PEERS if name in known]))


class Run:
    """One run over the peers: where things are kept, and what measures."""

    def __init__(self, folder: Path, questions: int) -> None:
        self.folder = folder
        self.questions = questions

    def inputs(self, passages: int, xquad: Path | None) -> None:
        """Write what all are given; cited-qa's environment does it."""
        place = self.folder / "input"
        place.mkdir(parents=True, exist_ok=True)
        (place / "xquad.json").unlink(missing_ok=True)
        try:
            self._prepare("cited_qa")
            self._child("cited_qa", "-m", "peer.corpus", place, passages, *([xquad] if xquad else []))
        except (SetupError, TaskError) as exc:
            raise SystemExit(f"the inputs could not be made: {exc}") from exc

    def all_of(self, name: str) -> dict[str, Any]:
        """All figures of one peer, or those until it failed, with the reason."""
        tell(name, "set-up")
        figures: dict[str, Any] = {"title": PEERS[name].title, **machine()}
        try:
            setup = self._prepare(name)
            figures |= {"setup_mb": setup.megabytes, "setup_packages": setup.packages}
            figures["version"] = " ".join(f"{one} {setup.versions[one]}" for one in PEERS[name].named)
            figures["versions"] = setup.versions
            for measure_it in (self._build, self._ask, self._cold, self._serve, self._quality):
                tell(name, measure_it.__name__.strip("_"))
                figures |= measure_it(name)
        except (SetupError, TaskError, ServerError) as exc:
            figures["failed"] = str(exc)
            tell(name, f"failed: {exc}")
        return figures

    def _prepare(self, name: str) -> Setup:
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        return prepare(self.folder / name, PEERS[name].packages, PEERS[name].with_torch)

    def _build(self, name: str) -> dict[str, Any]:
        peak = self._measure("build", name, threads=CORES)
        return {**self._left("build", name), "index_mb": peak}

    def _ask(self, name: str) -> dict[str, Any]:
        self._measure("ask", name)
        return self._left("ask", name)

    def _cold(self, name: str) -> dict[str, Any]:
        """Seconds of whole processes; the first, which fills the page cache, is not counted."""
        command: list[object] = ["-m", "peer.measure", "cold", name, self.folder]
        if name == "cited_qa":
            question = json.loads((self.folder / "input/speed.json").read_text())["questions"][0]
            qa = python(self.folder / name).with_name("qa")
            command = [qa, "ask", "--config", self.folder / name / "speed/config.yaml", question]
        taken, used = [], []
        for _ in range(COLD_RUNS + 1):
            started, before = time.perf_counter(), sum(os.times()[2:4])
            self._child(name, *command)
            taken.append(time.perf_counter() - started)
            used.append(sum(os.times()[2:4]) - before)
        return {"cold_s": round(median(taken[1:]), 2), "cold_processor_s": round(median(used[1:]), 2)}

    def _serve(self, name: str) -> dict[str, Any]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._measure("server", name, port)
        spec = self._left("server", name)
        return measure(spec, port, CORES, environment(1), self.folder / name / "server.log") if spec else {}

    def _quality(self, name: str) -> dict[str, Any]:
        self._measure("quality", name, self.questions)
        self._child("cited_qa", "-m", "peer.judge", self.folder, name)
        return self._left("judge", name)

    def _measure(self, task: str, name: str, *rest: object, threads: int = 1) -> int:
        return self._child(name, "-m", "peer.measure", task, name, self.folder, *rest, threads=threads)

    def _left(self, task: str, name: str) -> dict[str, Any]:
        """What a task left; nothing where the peer has no such thing."""
        return json.loads((self.folder / name / f"{task}.json").read_text()) or {}

    def _child(self, name: str, *command: object, threads: int = 1) -> int:
        """Run Python in the peer's environment; the most memory that it and its children hold, in MB."""
        log = self.folder / name / "log.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [python(self.folder / name), "-P", *map(str, command)],
                env=environment(threads),
                cwd=self.folder / name,
                stdout=output,
                stderr=output,
            )
        peak = Peak(process.pid)
        try:
            process.wait(TASK_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        most = peak.ended()
        if process.returncode:
            said = log.read_text(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
            errors = [line for line in said if _ERROR.match(line)] or said
            raise TaskError(f"{' '.join(map(str, command[1:3]))}: {errors[-1][:300]}")
        return most


class Peak(threading.Thread):
    """The most memory that a process and its children hold together, looked at every SAMPLE_S."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.process, self.most, self.over = process, 0.0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.wait(SAMPLE_S):
            with suppress(OSError, LookupError):  # one of them is just ending
                self.most = max(self.most, memory_mb(self.process)[1])

    def ended(self) -> int:
        self.over.set()
        self.join()
        return round(self.most)


def environment(threads: int) -> dict[str, str]:
    """The environment of this process, without settings of cited-qa, with so many threads for every library alike."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QA_", "PYTHON", "VIRTUAL_ENV"))}
    return kept | QUIET | dict.fromkeys(THREADS, str(threads)) | {"PYTHONPATH": str(BENCHMARKS)}


def machine() -> dict[str, Any]:
    """Where and when: cores, the load before the run, Python."""
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    return {"date": time.strftime("%Y-%m-%d"), "cores": CORES, "load": load, "python": platform.python_version()}


def tell(name: str, what: str) -> None:
    """Progress goes to stderr."""
    print(f"{time.strftime('%H:%M:%S')} {name}: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
