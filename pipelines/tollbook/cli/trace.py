"""`tollbook trace`: from any identifier of the book to everything behind it, and back from an event."""

from __future__ import annotations

from typing import Annotated

import typer

from tollbook.cli.options import Home, Json, connected, print_json
from tollbook.settings import Settings


def register(parent: typer.Typer) -> None:
    """Add the command to the command line."""
    parent.command(name="trace", help=_HELP)(trace)


def trace(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="What to trace.", show_default=False)],
    *,
    events: Annotated[int, typer.Option("--events", help="How many calls of a line are listed; all are counted.")] = 5,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Print what an identifier names, as a tree; help is `_HELP`."""
    from tollbook.trace.find import trace as traced

    node = traced(connected(Settings.load(home=home)), identifier, events=events)
    if as_json:
        print_json(node.as_dict())
    else:
        typer.echo("\n".join(node.lines()))


_HELP = """Walk from an amount to everything behind it: a statement line, a charge line or an origin charge to its
allocation, rule, contract, invoices, price, calls, files and offsets; a correction to the line it corrects; a dispute
to its line; an event, a Kafka record or a task to the lines it is in.

ID is a statement_line_id, a charge_id, dispute/NUMBER, adjustment/NUMBER, a task_id, SOURCE/EVENT_ID, or
TOPIC/PARTITION/OFFSET with /ITEM for one call of several in a record."""
