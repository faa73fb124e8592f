"""The `qa` command: a thin skin over Engine. Data goes to stdout, everything else to stderr."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from index.errors import CitedQAError, ConfigError, QueryError
from qa.errors import EXIT_ANSWERED, EXIT_FAILURE, EXIT_NO_ANSWER, EXIT_USAGE, meaning

if TYPE_CHECKING:
    from index.report import SyncReport
    from qa.conversation import Turn
    from qa.engine import Engine

app = typer.Typer(
    help="Ask questions of your own documents and get answers with citations that can be checked.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
stderr = Console(stderr=True, highlight=False, soft_wrap=True)

# What typer makes of Ctrl-C.
_TYPER_INTERRUPTED = 130
_STDOUT = 1

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Configuration file [default: ./config.yaml if there is one]")
]
TopK = Annotated[int, typer.Option("--top-k", help="How many passages to return, 1 to 100")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the HTTP API returns it")]


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
    engine = _engine(config, question, top_k)
    kind = engine.kind_of(None if llm is None else "generated" if llm else "extractive")
    _index_if_missing(engine)
    history = _turns(after or ())
    parts = engine.stream(question, top_k=top_k, explain=explain, history=history, answer=kind)
    if as_json:
        from qa.asking import whole

        response = whole(parts)
        _print_json(response.model_dump_json())
    else:
        from qa.terminal import follow

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
    engine = _engine(config, query, top_k)
    _index_if_missing(engine)
    response = engine.search(query, top_k=top_k)
    if as_json:
        _print_json(response.model_dump_json())
    else:
        from qa.terminal import print_hits

        print_hits(response.hits)
    raise typer.Exit(EXIT_ANSWERED if response.hits else EXIT_NO_ANSWER)


@app.command()
def index(
    paths: Annotated[list[Path] | None, typer.Argument(help="Only these files and folders of the corpus")] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Start afresh beside the old index, then switch")] = False,
    report_only: Annotated[bool, typer.Option("--report", help="Read nothing; report on the index as it is")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, and sync whenever a file changes")] = False,
    config: ConfigOption = None,
) -> None:
    """Bring the index in step with the corpus; only what changed is read."""
    if watch and (paths or rebuild):
        raise ConfigError("--watch follows the whole corpus; leave out the paths and --rebuild")
    engine = _engine(config)
    if report_only:
        from qa.terminal import print_report

        if paths or rebuild or watch:
            raise QueryError("--report: reads nothing, so it takes no paths, no --rebuild and no --watch")
        print_report(engine.report())
        return
    if watch:
        from qa.watch import follow

        follow(engine, _report, lambda message: stderr.print(f"qa: {message}", style="yellow", markup=False))
        return
    with _progress() as advance:
        report = engine.index(paths or None, rebuild=rebuild, progress=advance)
    _report(report)


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
    from qa.datasets import document_names, engine_over, load_dataset
    from qa.evaluate import evaluate as run
    from qa.gate import judge, load_evaluation, make_gate

    engine = _engine(config)
    bounds = make_gate(gate, at_least or (), at_most or ())
    earlier = load_evaluation(compare) if compare else None
    dataset = load_dataset(file)
    if dataset.documents is None:
        _index_if_missing(engine)
        with _progress() as advance:
            found = run(engine, dataset.questions, progress=advance)
    else:
        with _progress() as advance, engine_over(dataset.documents, engine.config, advance) as temporary:
            found = run(temporary, dataset.questions, advance, document_names(dataset.documents))
    judged = judge(found, bounds, earlier)
    if as_json:
        _print_json(judged.model_dump_json())
    else:
        from qa.tables import print_evaluation

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
    engine = _engine(config, question)
    _index_if_missing(engine)
    response = engine.why_not(document, question)
    if as_json:
        _print_json(response.model_dump_json())
    else:
        from qa.terminal import print_why_not

        print_why_not(response)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, max=64, help="Processes that answer")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Let others reach it without API keys")] = False,
    config: ConfigOption = None,
) -> None:
    """Serve questions over HTTP."""
    from qa.api.server import serve as run
    from qa.config import load_config

    run(load_config(config), host, port, workers, insecure=insecure)


@app.command()
def mcp(config: ConfigOption = None) -> None:
    """Answer an MCP client over stdin and stdout; clients start this by themselves."""
    from qa.chat.mcp_stdio import serve_stdio
    from qa.config import load_config

    serve_stdio(load_config(config))


@app.command()
def bot(
    name: Annotated[str, typer.Argument(help="dingtalk, feishu, wecom or slack")], config: ConfigOption = None
) -> None:
    """Answer questions in a chat tool."""
    from qa.chat.bots.run import find_bot, run

    engine = _engine(config)
    serve = find_bot(name, engine.config)
    _index_if_missing(engine)
    run(serve, engine)


@app.command()
def doctor(config: ConfigOption = None) -> None:
    """Say what is installed, configured and indexed, and whether it works. Exit code 0 when healthy."""
    from qa.doctor import examine

    healthy = True
    for finding in examine(config):
        healthy = healthy and finding.ok
        sys.stdout.write(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name}: {finding.detail}\n")
    if not healthy:
        raise typer.Exit(EXIT_FAILURE)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The archive to make, as in backup.zip")],
    no_documents: Annotated[bool, typer.Option("--no-documents", help="Leave the documents themselves out")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there")] = False,
    config: ConfigOption = None,
) -> None:
    """Keep index, configuration and documents in one file; safe while serving and indexing."""
    from qa.backup import backup as run
    from qa.config import load_config

    for line in run(load_config(config), file, documents=not no_documents, force=force).lines():
        stderr.print(line, markup=False)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `qa backup` made")],
    force: Annotated[bool, typer.Option("--force", help="Replace documents that differ from the backup")] = False,
    config: ConfigOption = None,
) -> None:
    """Put a backup back; a server that runs moves to it. In an empty folder, make all of it."""
    from qa.restore import restore as run

    for line in run(file, config, force=force).lines():
        stderr.print(line, markup=False)


@app.command()
def bundle(
    target: Annotated[Path, typer.Argument(help="A folder to make, or an archive: .zip, .tar.gz")],
    wheels: Annotated[bool, typer.Option("--wheels", help="With the packages it needs; takes a network, once")] = False,
    config: ConfigOption = None,
) -> None:
    """Put index, documents, model and program in one place that needs no network."""
    from qa.bundle import bundle as run
    from qa.config import load_config

    for line in run(load_config(config), target, wheels=wheels).lines():
        stderr.print(line, markup=False)


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
    except Exception as exc:
        if hasattr(exc, "format_message"):  # click's usage errors
            _usage(exc.format_message())
        if os.environ.get("CITED_QA_TRACEBACK"):
            raise
        _fail(f"unexpected {type(exc).__name__}: {exc}; set CITED_QA_TRACEBACK=1 to see where", EXIT_FAILURE)
    if code == _TYPER_INTERRUPTED:
        _fail("interrupted", EXIT_FAILURE)
    sys.exit(code)


def _usage(message: str) -> NoReturn:
    if message.startswith("Usage:"):  # no command was given; the message is the help text
        sys.stderr.write(f"{message}\n")
        sys.exit(EXIT_USAGE)
    _fail(f"{message} (see qa --help)", EXIT_USAGE)


def _fail(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"qa: {' '.join(message.split())}\n")
    sys.exit(code)


def _engine(config: Path | None, query: str = "?", top_k: int = 1) -> Engine:
    """The engine, once the question is known to be acceptable: a bad one should not wait for an index."""
    from qa.config import load_config, unknown_variables
    from qa.engine import Engine, check

    check(query, top_k)
    loaded = load_config(config)
    for name in unknown_variables():
        stderr.print(f"qa: {name} in the environment is no setting of cited-qa; ignored", style="yellow")
    return Engine(loaded)


def _turns(questions: Sequence[str]) -> list[Turn]:
    from qa.conversation import Turn
    from qa.engine import check

    for question in questions:
        check(question, 1)
    return [Turn(question) for question in questions]


def _index_if_missing(engine: Engine) -> None:
    with _progress() as advance:
        report = engine.index_if_missing(progress=advance)
    if report is not None:
        _report(report, brief=True)


def _progress() -> AbstractContextManager[Callable[[str, float, int], None] | None]:
    """A progress bar on a terminal, nothing elsewhere."""
    if not stderr.is_terminal:
        return nullcontext()
    from qa.terminal import progress_bar

    return progress_bar(stderr)


def _report(report: SyncReport, *, brief: bool = False) -> None:
    if brief and (report.skipped or report.remarks):
        stderr.print(f"{len(report.skipped)} skipped, {len(report.remarks)} warnings; see them with: qa index --report")
    elif report.skipped or report.remarks:
        from qa.terminal import print_remarks, print_skipped

        print_skipped(report.skipped, stderr)
        print_remarks(report.remarks, stderr)
    moved = f"{len(report.moved)} moved, " if report.moved else ""
    stderr.print(
        f"indexed {report.documents} documents, {report.passages} passages in {report.seconds:.1f} s: "
        f"{len(report.added)} added, {len(report.changed)} changed, {len(report.removed)} removed, "
        f"{moved}{report.unchanged} unchanged, {len(report.skipped)} skipped"
    )


def _print_json(text: str) -> None:
    sys.stdout.write(text + "\n")
