"""500 files that break readers, synced under limits of memory: none stops the run, each is in the report."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.index.parsing.broken_files import COUNT, make_broken_files

pytestmark = pytest.mark.slow

_SYNC = """
import json, re, resource, sys, time
from pathlib import Path
from index.indexing.build import sync
from index.indexing.report import report_of
from tests.conftest import BigramEncoder

base = Path(sys.argv[1])
times = []
store, report = sync({"docs": base / "docs"}, base / "data", BigramEncoder(), base=base,
                     progress=lambda name, done, total: times.append((time.monotonic(), name)))
again = sync({"docs": base / "docs"}, base / "data", BigramEncoder(), base=base)[1]
state = report_of(store)
print(json.dumps({
    "slowest_s": max(after[0] - before[0] for before, after in zip(times, times[1:])),
    # getrusage would count what the process that started this one had.
    "memory_mb": [int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10,
                  resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10],
    "documents": [info.path for info in store.documents()],
    "skipped": [[skipped.path, skipped.reason] for skipped in state.skipped],
    "warnings": sorted({remark.notice.kind for remark in state.remarks}),
    "again": [len(again.added), len(again.changed), len(again.removed), again.seconds, len(again.skipped)],
}))
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    base = tmp_path_factory.mktemp("broken")
    made = make_broken_files(base / "docs")
    assert len(made) == COUNT
    done = subprocess.run(
        [sys.executable, "-c", _SYNC, str(base)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout) | {
        "made": [os.fsencode(path.relative_to(base)).decode("utf-8", "replace") for path in made]
    }


def test_each_file_is_in_the_report(outcome):
    known = [*outcome["documents"], *(path for path, _ in outcome["skipped"])]
    for path in outcome["made"]:
        assert any(name == path or name.startswith(f"{path}/") for name in known), path


def test_reasons_are_one_line_and_say_what_to_do(outcome):
    reasons = dict(outcome["skipped"])
    assert all(reason and reason.isprintable() for reason in reasons.values())
    for name, words in {
        "password.pdf": "password",
        "password.docx": "password",
        "bomb.zip": "zip bomb",
        "sparse.txt": "larger than",
        "many.zip": "more than",
        "old.doc": ".docx",
        "up": "link",
        "ping.txt": "link",
        "lost.txt": "No such",
        "pipe.txt": "regular file",
        "program.exe": ".exe",
        "empty.pdf": "empty",
        "no suffix": "not read",
    }.items():
        assert words in reasons[f"docs/{name}"], name


def test_no_file_costs_more_than_it_may(outcome):
    assert outcome["slowest_s"] < 30
    assert max(outcome["memory_mb"]) < 2000


def test_what_is_sound_in_them_is_read(outcome):
    paths = set(outcome["documents"])
    assert {"docs/pdf-named.txt", "docs/docx-named.pdf", "docs/two\nlines.txt", "docs/🙂 emoji 👩‍👩‍👧.txt"} <= paths
    assert "wrong-suffix" in outcome["warnings"] and "damage" in outcome["warnings"]
    assert not any("root:" in path for path in paths)


def test_the_next_run_reads_none_of_them_again(outcome):
    added, changed, removed, seconds, skipped = outcome["again"]
    assert (added, changed, removed) == (0, 0, 0)
    assert skipped == len(outcome["skipped"])
    assert seconds < 20
