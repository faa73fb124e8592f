"""How long the map takes at 100,000 passages: the first one of an index, and one that is kept.

python benchmarks/map.py [--passages N] [--documents N]

The store is a real one with random unit vectors around a few hundred topics, three a passage, so that what is measured
is reading, laying out and serialising; the text of a passage says nothing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from index.store import Settings
from index.store.codes import encode
from index.store.database import Database
from index.store.local import LocalStore
from index.store.location import open_store, writing
from index.types import Document, Section, Units
from qa.api.documents import map_of
from qa.exploring.overview import Overview

DIM = 256
UNITS = 3
TOPICS = 300


def fill(database: Database, documents: int, passages: int) -> None:
    """Documents of equal length, each about one topic."""
    random = np.random.default_rng(0)
    topics = random.standard_normal((TOPICS, DIM))
    each = passages // documents
    for number in range(documents):
        text = "话" * each
        vectors = topics[number % TOPICS] + random.standard_normal((each, UNITS, DIM))
        vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
        sections = [Section(0, f"第{number}号", (), None, n + 1, n, n + 1) for n in range(each)]
        units = [Units(((0, 1),) * UNITS, encode(part.astype(np.float32))) for part in vectors]
        key = f"{number * 2654435761 % 2**32:08x}"
        document = Document(key, key, "bench", f"{key}.txt", f"第{number}号", text, "", each, 0, "2026-11-21T00:00:00Z")
        database.put(document, sections, units)


class Reader:
    """As much of an engine as an overview needs."""

    def __init__(self, store: LocalStore) -> None:
        self.store = store


def measure(documents: int, passages: int) -> dict[str, float]:
    """Seconds of clock and processor for the first map, a further one, and one with an answer's passages."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings("bench")
        with writing(Path(folder), settings, lambda: DIM) as writer:
            fill(writer.database, documents, passages)
            writer.finish()
        engine = Reader(open_store(Path(folder), settings))
        last = engine.store.documents()[-1].id
        overview = Overview()
        seconds: list[float] = []
        size = 0
        for ids in ((), (), (f"{last}-1",)):
            started, used = time.perf_counter(), time.process_time()
            size = len(map_of(overview.picture(engine, ids)).model_dump_json())  # type: ignore[arg-type]
            seconds += [round(time.perf_counter() - started, 3), round(time.process_time() - used, 3)]
        names = ("first_s", "first_cpu_s", "again_s", "again_cpu_s", "with_answer_s", "with_answer_cpu_s")
        return dict(zip(names, seconds, strict=True)) | {"bytes": size}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--documents", type=int, nargs="*", default=[100, 10_000, 100_000])
    given = parser.parse_args()
    for documents in given.documents:
        print(json.dumps({"passages": given.passages, "documents": documents} | measure(documents, given.passages)))


if __name__ == "__main__":
    main()
