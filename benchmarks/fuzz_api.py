"""schemathesis over the OpenAPI document of a real `qa serve`: every operation, in order and as scenarios.

    python benchmarks/fuzz_api.py [--cases N] [--seed N] [--output FILE]

Exits with 1 when an operation was left out, fewer than N cases were run, or a check failed: a 5xx, a status, type,
header or body that the document does not promise. What a request means beyond its schema (a start after its end) is
refused with 422, and numbers may come as strings, so the two checks on what is accepted are left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from served import KEY, serving

NOT_CHECKED = "negative_data_rejection,positive_data_acceptance"
TIMEOUT_S = 60
# Examples an operation for as many cases in all as are wanted; schemathesis adds those of its other phases.
CASES_PER_EXAMPLE = 15


def main() -> None:
    """Run, print the table, keep the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as served:
        found = fuzz(served.address, Path(folder), arguments.cases, arguments.phases, arguments.seed)
    figures = {
        "cases": found["test_cases"]["generated"],
        "operations": found["operations"],
        "failures": [(it["code"], it["title"], it["count"], it["operations"]) for it in found["failures"]],
        "errors": found["errors"],
        "seed": found["seed"],
        "schemathesis": found["schemathesis_version"],
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    print(f"{figures['cases']} cases, {found['operations']['tested']} of {found['operations']['total']} operations")
    for failure in figures["failures"]:
        print("FAILED", *failure)
    tested_all = found["operations"]["tested"] == found["operations"]["total"]
    sys.exit(0 if tested_all and figures["cases"] >= arguments.cases and found["exit_code"] == 0 else 1)


def fuzz(address: str, folder: Path, cases: int, phases: str, seed: int | None) -> dict[str, Any]:
    """Schemathesis' own report."""
    report = folder / "report.json"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{address}/openapi.json",
            "--continue-on-failure",
            "--header",
            f"Authorization: Bearer {KEY}",
            "--exclude-checks",
            NOT_CHECKED,
            "--max-examples",
            str(max(1, cases // CASES_PER_EXAMPLE)),
            "--phases",
            phases,
            "--request-timeout",
            str(TIMEOUT_S),
            "--report",
            "json",
            "--report-json-path",
            str(report),
            "--no-color",
            *(["--seed", str(seed)] if seed is not None else []),
        ],
        cwd=folder,
        stdout=sys.stderr,
        check=False,
    )
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    main()
