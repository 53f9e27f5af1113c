"""`tollbook sql`: a question to the published file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tollbook.cli.options import Home, Json, print_json
from tollbook.settings import Settings

if TYPE_CHECKING:
    from tollbook.warehouse.query import Answer

_WIDE_ENOUGH = 100_000


def register(parent: typer.Typer) -> None:
    """Add the command to the command line."""
    parent.command("sql")(sql)


def sql(
    query: Annotated[str, typer.Argument(help="SQL, in DuckDB's dialect.", show_default=False)],
    *,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Ask the published file, read-only; times are in UTC.

    For example `tollbook sql "from finance.fct_chargeback_by_team"`. With --json decimals are text, so that no
    digit is lost.
    """
    from tollbook.warehouse.query import ask

    answer = ask(Settings.load(home=home), query)
    if as_json:
        print_json(answer.as_records())
    else:
        _print_answer(answer)


def _print_answer(answer: Answer) -> None:
    """Print the rows in full, whatever the width of the terminal: a shortened amount would be a wrong one."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name, numeric in zip(answer.columns, answer.numeric, strict=True):
        table.add_column(Text(name), justify="right" if numeric else "left", no_wrap=True)
    for row in answer.rows:
        table.add_row(*(Text("-" if value is None else str(value)) for value in row))
    Console(width=_WIDE_ENOUGH, highlight=False).print(table)
