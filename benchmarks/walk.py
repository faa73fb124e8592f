"""The way of one warm question through our files, in process and over HTTP: how many it crosses, and how often.

    python benchmarks/walk.py

A question is asked until nothing is left to load, then once more while every call of ours is watched. `files` are those
whose code ran; `moves` are calls from one of our files to another, and back; `handovers` are the places in `qa` from
which the question goes down into `index`. Prints a table and writes benchmarks/results/walk.json, with the files and
the places by name, so that a change shows what it cost. Over HTTP means the application as the server runs it, without
the socket.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

from qa.configuration.config import Config, load_config
from qa.engine import Engine
from qa.serving.app import create_app

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "walk.json"
QUESTION = "兰州帮扶中心资助了多少学生"
WARM_UP = 3
_OURS = (f"{ROOT}/qa/", f"{ROOT}/index/")


class Walk:
    """Watches calls in every thread that begins after it does, and in this one."""

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()
        self.moves = 0
        self.handovers: Counter[str] = Counter()
        self._watching = False

    def record(self, call: Callable[[], object]) -> None:
        """What `call` walks through, from nothing."""
        self.__init__()  # type: ignore[misc]
        self._watching = True
        sys.settrace(self.trace)
        call()
        sys.settrace(None)
        self._watching = False

    def trace(self, frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401 - a trace function returns itself
        """For `sys.settrace`: told of each call, and of each return from one of ours."""
        if not self._watching or not frame.f_code.co_filename.startswith(_OURS):
            return None
        if event == "call":
            self._enter(frame)
            return self.trace
        return self.trace

    def _enter(self, frame: FrameType) -> None:
        file = _name(frame)
        self.files[file] += 1
        caller = _caller(frame)
        if caller is not None and _name(caller) != file:
            self.moves += 1
        if caller is not None and file.startswith("index/") and _name(caller).startswith("qa/") and _holds(frame):
            self.handovers[f"{_name(caller)}:{caller.f_lineno} {frame.f_code.co_qualname}"] += 1

    def figures(self) -> dict[str, object]:
        """What is kept of it."""
        places = sorted(self.handovers)
        return {
            "files": len(self.files),
            "moves": self.moves,
            "handovers": len(places),
            "crossed": sorted(self.files),
            "handed over at": places,
        }


def _caller(frame: FrameType) -> FrameType | None:
    """The nearest frame of ours below."""
    below = frame.f_back
    while below is not None and not below.f_code.co_filename.startswith(_OURS):
        below = below.f_back
    return below


def _holds(frame: FrameType) -> bool:
    """Whether a function is given the question, or a part of it: its text, words of it, or its vectors."""
    code = frame.f_code
    given = (frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    return any(map(_is_question, given))


def _is_question(value: object) -> bool:
    if isinstance(value, str):
        return len(value) > 1 and (value in QUESTION or QUESTION in value)
    if isinstance(value, list | tuple | set | dict):
        return any(map(_is_question, value))
    return isinstance(value, np.ndarray)


def _name(frame: FrameType) -> str:
    return frame.f_code.co_filename.removeprefix(f"{ROOT}/")


def in_process(config: Config, walk: Walk) -> dict[str, object]:
    """`Engine.ask`."""
    engine = Engine(config)
    engine.index_if_missing()
    for _ in range(WARM_UP):
        engine.ask(QUESTION)
    walk.record(lambda: engine.ask(QUESTION))
    return walk.figures()


def over_http(config: Config, walk: Walk) -> dict[str, object]:
    """`POST /v1/ask`."""
    threading.settrace(walk.trace)
    with TestClient(create_app(config), base_url="http://127.0.0.1:8000") as client:
        while client.get("/readyz").status_code != 200:
            pass

        def ask() -> None:
            client.post("/v1/ask", json={"query": QUESTION}).raise_for_status()

        for _ in range(WARM_UP):
            ask()
        walk.record(ask)
    threading.settrace(None)  # type: ignore[arg-type]
    return walk.figures()


def main() -> None:
    """Walk both ways and keep what was seen."""
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(ROOT / "config.yaml").model_copy(update={"data_dir": Path(folder)})
        ways = {"in process": in_process(config, Walk()), "over HTTP": over_http(config, Walk())}
    for way, figures in ways.items():
        print(f"{way:12} files {figures['files']:4}  moves {figures['moves']:5}  handovers {figures['handovers']:3}")
    RESULTS.write_text(json.dumps(ways, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
