"""The commands of whoever runs a service: serving, chat tools, health, backups."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from qa.cli.shell import ConfigOption, index_if_missing, open_engine, stderr
from qa.errors import EXIT_FAILURE


def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, max=64, help="Processes that answer")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Let others reach it without API keys")] = False,
    config: ConfigOption = None,
) -> None:
    """Serve questions over HTTP."""
    from qa.configuration.config import load_config
    from qa.serving.server import serve as run

    run(load_config(config), host, port, workers, insecure=insecure)


def mcp(config: ConfigOption = None) -> None:
    """Answer an MCP client over stdin and stdout; clients start this by themselves."""
    from qa.chat.mcp_server import serve_stdio
    from qa.configuration.config import load_config

    serve_stdio(load_config(config))


def bot(
    name: Annotated[str, typer.Argument(help="dingtalk, feishu, wecom or slack")], config: ConfigOption = None
) -> None:
    """Answer questions in a chat tool."""
    from qa.chat.bots.run import find_bot, run

    engine = open_engine(config)
    serve = find_bot(name, engine.config)
    index_if_missing(engine)
    run(serve, engine)


def doctor(config: ConfigOption = None) -> None:
    """Say what is installed, configured and indexed, and whether it works. Exit code 0 when healthy."""
    from qa.cli.doctor import examine

    healthy = True
    for finding in examine(config):
        healthy = healthy and finding.ok
        sys.stdout.write(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name}: {finding.detail}\n")
    if not healthy:
        raise typer.Exit(EXIT_FAILURE)


def backup(
    file: Annotated[Path, typer.Argument(help="The archive to make, as in backup.zip")],
    no_documents: Annotated[bool, typer.Option("--no-documents", help="Leave the documents themselves out")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there")] = False,
    config: ConfigOption = None,
) -> None:
    """Keep index, configuration and documents in one file; safe while serving and indexing."""
    from qa.archives.backup import backup as run
    from qa.configuration.config import load_config

    for line in run(load_config(config), file, documents=not no_documents, force=force).lines():
        stderr.print(line, markup=False)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `qa backup` made")],
    force: Annotated[bool, typer.Option("--force", help="Replace documents that differ from the backup")] = False,
    config: ConfigOption = None,
) -> None:
    """Put a backup back; a server that runs moves to it. In an empty folder, make all of it."""
    from qa.archives.restore import restore as run

    for line in run(file, config, force=force).lines():
        stderr.print(line, markup=False)


def undelete(
    file: Annotated[str | None, typer.Argument(help="Its id or path; the list of what is kept without it")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that has come to its place")] = False,
    config: ConfigOption = None,
) -> None:
    """Bring back a file that was deleted or replaced over HTTP, or list those that are kept."""
    from qa.cli.terminal import one_line
    from qa.configuration.config import load_config
    from qa.editing.editor import CorpusEditor

    editor = CorpusEditor(load_config(config))
    if file is None:
        if not editor.trash.files():
            stderr.print("nothing is kept that was deleted or replaced over HTTP", markup=False)
        for entry, place in editor.trashed():
            path = one_line(editor.corpus.shown(place))
            sys.stdout.write(f"{entry.id}  {entry.trashed_at[:19]}Z  {entry.reason:8}  {entry.size:>12,}  {path}\n")
        return
    for path in editor.undelete(file, force=force).paths:
        stderr.print(f"{one_line(path)} is back; a running server indexes it, else run: qa index", markup=False)


def bundle(
    target: Annotated[Path, typer.Argument(help="A folder to make, or an archive: .zip, .tar.gz")],
    wheels: Annotated[bool, typer.Option("--wheels", help="With the packages it needs; takes a network, once")] = False,
    config: ConfigOption = None,
) -> None:
    """Put index, documents, model and program in one place that needs no network."""
    from qa.archives.bundle import bundle as run
    from qa.configuration.config import load_config

    for line in run(load_config(config), target, wheels=wheels).lines():
        stderr.print(line, markup=False)
