"""Options and output that commands share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        help="Folder of the book [env: TOLLBOOK_HOME; default: ./tollbook-data].",
        show_default=False,
    ),
]
BootstrapServers = Annotated[
    str | None,
    typer.Option(
        "--bootstrap-servers",
        help="Kafka as host:port,... [env: TOLLBOOK_BOOTSTRAP_SERVERS; default: the embedded broker].",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def progress(message: str) -> None:
    """Tell on stderr what happens."""
    typer.echo(message, err=True)


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout; decimals, dates and paths become text, never floats."""
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows on stdout in aligned columns, an absent value as a dash.

    Args:
        headings: Names of the columns.
        rows: Values, one for each heading.
    """
    lines = [
        [str(each) for each in headings],
        *(["-" if each is None else str(each) for each in row] for row in rows),
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
