"""What the commands share: their options, the engine that they ask, and what they tell on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from index.indexing.report import SyncReport
    from qa.engine import Engine
    from qa.understanding.conversation import Turn

stderr = Console(stderr=True, highlight=False, soft_wrap=True)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Configuration file [default: ./config.yaml if there is one]")
]
TopK = Annotated[int, typer.Option("--top-k", help="How many passages to return, 1 to 100")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the HTTP API returns it")]


def open_engine(config: Path | None, query: str = "?", top_k: int = 1) -> Engine:
    """The engine, once the question is known to be acceptable: a bad one should not wait for an index."""
    from qa.configuration.config import load_config, unknown_variables
    from qa.engine import Engine, check

    check(query, top_k)
    loaded = load_config(config)
    for name in unknown_variables():
        stderr.print(f"qa: {name} in the environment is no setting of cited-qa; ignored", style="yellow")
    return Engine(loaded)


def turns_of(questions: Sequence[str]) -> list[Turn]:
    """Earlier questions as a conversation; raises QueryError for one that is not acceptable."""
    from qa.engine import check
    from qa.understanding.conversation import Turn

    for question in questions:
        check(question, 1)
    return [Turn(question) for question in questions]


def index_if_missing(engine: Engine) -> None:
    """Index the corpus when that has never been done, with progress and a brief report."""
    with progress() as advance:
        report = engine.index_if_missing(progress=advance)
    if report is not None:
        tell_report(report, brief=True)


def progress() -> AbstractContextManager[Callable[[str, float, int], None] | None]:
    """A progress bar on a terminal, nothing elsewhere."""
    if not stderr.is_terminal:
        return nullcontext()
    from qa.cli.terminal import progress_bar

    return progress_bar(stderr)


def tell_report(report: SyncReport, *, brief: bool = False) -> None:
    """What a sync did, and what it could not read."""
    if brief and (report.skipped or report.remarks):
        stderr.print(f"{len(report.skipped)} skipped, {len(report.remarks)} warnings; see them with: qa index --report")
    elif report.skipped or report.remarks:
        from qa.cli.terminal import print_remarks, print_skipped

        print_skipped(report.skipped, stderr)
        print_remarks(report.remarks, stderr)
    moved = f"{len(report.moved)} moved, " if report.moved else ""
    stderr.print(
        f"indexed {report.documents} documents, {report.passages} passages in {report.seconds:.1f} s: "
        f"{len(report.added)} added, {len(report.changed)} changed, {len(report.removed)} removed, "
        f"{moved}{report.unchanged} unchanged, {len(report.skipped)} skipped"
    )


def print_json(text: str) -> None:
    """Data, on stdout."""
    sys.stdout.write(text + "\n")
