"""`tollbook send`: the records of a file on their topic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tollbook.cli.options import BootstrapServers, Home, Json, print_json, print_table, progress
from tollbook.formats.registry import FORMATS, NATIVE
from tollbook.settings import Settings

_SHOWN_PROBLEMS = 100
_EXIT_INTERRUPTED = 130
_COLUMNS = ("topic", "records", "bytes", "seconds", "unmapped", "too_large", "unacknowledged", "blank_lines", "no_call")


def register(parent: typer.Typer) -> None:
    """Add the command to the command line."""
    parent.command(name="send")(send)


def send(
    *,
    file: Annotated[str, typer.Argument(help="A file, a gzip file (*.gz), or - for standard input.")],
    format_name: Annotated[
        str, typer.Option("--format", help=f"Format of the records: {', '.join(FORMATS)}.")
    ] = NATIVE,
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", help="Mapping file that makes events of any CSV or JSON-lines file."),
    ] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Topic to use; by default that of the format.")] = None,
    home: Home = None,
    bootstrap_servers: BootstrapServers = None,
    as_json: Json = False,
) -> None:
    """Put the records of a file on their topic.

    Native lines go as they are: what is no event becomes a dead letter of the meter. With --mapping, each row
    becomes an event; a row that cannot is told with its line, and the others go on. Session files and response bodies
    are sent without their content, and lines that tell of no call stay behind. Ends when the broker has
    every record, with exit 1 if it has not. Sending a file again is safe: the ledger counts an event once.
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from tollbook.senders import send as sending

    problems = 0

    def tell_problem(message: str) -> None:
        nonlocal problems
        problems += 1
        if problems <= _SHOWN_PROBLEMS:
            bar.console.print(message, markup=False, highlight=False, soft_wrap=True)

    def tell_progress(state: sending.Progress) -> None:
        bar.update(task, completed=state.position, total=state.total_bytes, records=f"{state.acknowledged:,} records")

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[records]}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sending", total=None, records="0 records")
        result = sending.send_file(
            Settings.load(home=home, bootstrap_servers=bootstrap_servers),
            file,
            format_name=format_name,
            mapping_path=mapping,
            topic=topic,
            on_problem=tell_problem,
            on_progress=tell_progress,
        )
    if problems > _SHOWN_PROBLEMS:
        progress(f"... and {problems - _SHOWN_PROBLEMS} more")
    if result.failure is not None:
        progress(f"{file}: {result.failure}")
    if not result.complete:
        progress(
            f"not all of {file} is on {result.topic}: {result.records} acknowledged, {result.unmapped} not mapped, "
            f"{result.too_large} too large, {result.unacknowledged} not acknowledged"
        )
    told = asdict(result)
    if as_json:
        print_json(told)
    else:
        print_table(_COLUMNS, [[told[column] for column in _COLUMNS]])
    if result.interrupted:
        raise typer.Exit(_EXIT_INTERRUPTED)
    if not result.complete:
        raise typer.Exit(1)
