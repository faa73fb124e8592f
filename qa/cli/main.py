"""The `qa` command: a thin skin over Engine. Data goes to stdout, everything else to stderr."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from index.errors import CitedQAError, ConfigError, QueryError
from qa.cli import operations
from qa.cli.shell import (
    AsJson,
    ConfigOption,
    TopK,
    index_if_missing,
    open_engine,
    print_json,
    progress,
    stderr,
    tell_report,
    turns_of,
)
from qa.errors import EXIT_ANSWERED, EXIT_FAILURE, EXIT_NO_ANSWER, EXIT_USAGE, disk_error, is_of_disk, meaning

app = typer.Typer(
    help="Ask questions of your own documents and get answers with citations that can be checked.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
# What typer makes of Ctrl-C.
_TYPER_INTERRUPTED = 130
_STDOUT = 1


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question, in any language")],
    top_k: TopK = 5,
    as_json: AsJson = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show what each score is made of")] = False,
    after: Annotated[
        list[str] | None, typer.Option("--after", help="An earlier question that this one follows; repeatable")
    ] = None,
    llm: Annotated[
        bool | None, typer.Option("--llm/--no-llm", help="Let the language model write the answer, or quote it")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Answer a question from the documents. Exit code 1 when they hold no answer."""
    engine = open_engine(config, question, top_k)
    kind = engine.kind_of(None if llm is None else "generated" if llm else "extractive")
    index_if_missing(engine)
    history = turns_of(after or ())
    parts = engine.stream(question, top_k=top_k, explain=explain, history=history, answer=kind)
    if as_json:
        from qa.answering.responses import whole

        response = whole(parts)
        print_json(response.model_dump_json())
    else:
        from qa.cli.terminal import follow

        response = follow(parts, is_generated=kind == "generated")
    if response.answer and response.answer.fallback:
        stderr.print(f"qa: {response.answer.fallback.detail}; the answer is quoted instead", style="yellow")
    raise typer.Exit(EXIT_ANSWERED if response.status == "answered" else EXIT_NO_ANSWER)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="Question or keywords")],
    top_k: TopK = 5,
    as_json: AsJson = False,
    config: ConfigOption = None,
) -> None:
    """List the passages that fit a query best. Exit code 1 when there are none."""
    engine = open_engine(config, query, top_k)
    index_if_missing(engine)
    response = engine.search(query, top_k=top_k)
    if as_json:
        print_json(response.model_dump_json())
    else:
        from qa.cli.terminal import print_hits

        print_hits(response.hits)
    raise typer.Exit(EXIT_ANSWERED if response.hits else EXIT_NO_ANSWER)


@app.command()
def index(
    paths: Annotated[list[Path] | None, typer.Argument(help="Only these files and folders of the corpus")] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Start afresh beside the old index, then switch")] = False,
    report_only: Annotated[bool, typer.Option("--report", help="Read nothing; report on the index as it is")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, and sync whenever a file changes")] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Let documents go whose folder is empty, or another one")
    ] = False,
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="ADDRESS", help="Let a Ray cluster embed: auto, HOST:PORT, ray://…")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Bring the index in step with the corpus; only what changed is read."""
    if watch and (paths or rebuild or ray or allow_empty):
        raise ConfigError("--watch follows the whole corpus; leave out the paths, --rebuild, --ray and --allow-empty")
    engine = open_engine(config)
    if report_only:
        from qa.cli.terminal import print_report

        if paths or rebuild or watch or ray or allow_empty:
            raise QueryError("--report: reads nothing, so it takes no paths and none of the other options")
        print_report(engine.report())
        return
    from qa.editing.staging import sweep_restores

    sweep_restores(engine.config)
    if watch:
        from qa.cli.watch import follow

        follow(engine, tell_report, lambda message: stderr.print(f"qa: {message}", style="yellow", markup=False))
        return
    with progress() as advance:
        report = engine.index(paths or None, rebuild=rebuild, allow_empty=allow_empty, progress=advance, ray=ray)
    tell_report(report)


@app.command(name="eval")
def evaluate(
    file: Annotated[Path, typer.Argument(help="Questions as JSON Lines, a BEIR folder, or SQuAD-style .json")],
    as_json: AsJson = False,
    at_least: Annotated[list[str] | None, typer.Option("--min", help="FIGURE=NUMBER that must be reached")] = None,
    at_most: Annotated[list[str] | None, typer.Option("--max", help="FIGURE=NUMBER not to be exceeded")] = None,
    gate: Annotated[Path | None, typer.Option("--gate", help="Such bounds in a YAML or JSON file")] = None,
    compare: Annotated[Path | None, typer.Option("--compare", help="Earlier --json output to compare with")] = None,
    config: ConfigOption = None,
) -> None:
    """Measure quality on questions of your own. Exit code 1 when a bound is missed."""
    from qa.evaluation.datasets import document_names, engine_over, load_dataset
    from qa.evaluation.evaluate import evaluate as run
    from qa.evaluation.report import judge, load_evaluation, make_gate

    engine = open_engine(config)
    bounds = make_gate(gate, at_least or (), at_most or ())
    earlier = load_evaluation(compare) if compare else None
    dataset = load_dataset(file)
    if dataset.documents is None:
        index_if_missing(engine)
        with progress() as advance:
            evaluation = run(engine, dataset.questions, progress=advance)
    else:
        with progress() as advance, engine_over(dataset.documents, engine.config, advance) as temporary:
            evaluation = run(temporary, dataset.questions, advance, document_names(dataset.documents))
    judged = judge(evaluation, bounds, earlier)
    if as_json:
        print_json(judged.model_dump_json())
    else:
        from qa.evaluation.report import print_evaluation

        print_evaluation(judged)
    for line in judged.missed:
        stderr.print(f"missed {line}", style="bold red", markup=False)
    if judged.missed:
        raise typer.Exit(EXIT_NO_ANSWER)


@app.command()
def why_not(
    document: Annotated[str, typer.Argument(help="Path, file name or id of a document in the index")],
    question: Annotated[str, typer.Argument(help="The question that it was expected to answer")],
    as_json: AsJson = False,
    config: ConfigOption = None,
) -> None:
    """Say why a document is not the first one for a question."""
    engine = open_engine(config, question)
    index_if_missing(engine)
    response = engine.why_not(document, question)
    if as_json:
        print_json(response.model_dump_json())
    else:
        from qa.cli.terminal import print_why_not

        print_why_not(response)


for command in (
    operations.serve,
    operations.mcp,
    operations.bot,
    operations.doctor,
    operations.backup,
    operations.restore,
    operations.undelete,
    operations.bundle,
):
    app.command()(command)


def main() -> None:
    """Entry point: one line on stderr and an exit code for every error."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        # Outside standalone mode typer returns the code of an Exit instead of raising it.
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except CitedQAError as exc:
        _fail(str(exc), meaning(exc).exit_code)
    except (typer.Abort, KeyboardInterrupt):
        _fail("interrupted", EXIT_FAILURE)
    except (BrokenPipeError, SystemExit):
        # The reader of our output (head, less) is gone, which typer turns into SystemExit; say nothing more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
        sys.exit(EXIT_FAILURE)
    except OSError as exc:
        if not is_of_disk(exc):
            _unexpected(exc)
        _fail(str(disk_error(exc, Path(exc.filename or os.getcwd()))), EXIT_FAILURE)
    except Exception as exc:
        if hasattr(exc, "format_message"):  # click's usage errors
            _usage(exc.format_message())
        _unexpected(exc)
    if code == _TYPER_INTERRUPTED:
        _fail("interrupted", EXIT_FAILURE)
    sys.exit(code)


def _unexpected(error: Exception) -> NoReturn:
    if os.environ.get("CITED_QA_TRACEBACK"):
        raise error
    _fail(f"unexpected {type(error).__name__}: {error}; set CITED_QA_TRACEBACK=1 to see where", EXIT_FAILURE)


def _usage(message: str) -> NoReturn:
    if message.startswith("Usage:"):  # no command was given; the message is the help text
        sys.stderr.write(f"{message}\n")
        sys.exit(EXIT_USAGE)
    _fail(f"{message} (see qa --help)", EXIT_USAGE)


def _fail(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"qa: {' '.join(message.split())}\n")
    sys.exit(code)
