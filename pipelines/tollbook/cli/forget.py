"""`tollbook forget`: a person is erased from everything below the home, and every total stays."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from tollbook.cli.options import Home, Json, LogFormat, connected, print_json, print_table, progress, telling
from tollbook.errors import MisuseError
from tollbook.settings import Settings


def register(parent: typer.Typer) -> None:
    """Add the command to the command line."""
    parent.command()(forget)


def forget(
    *,
    principal: Annotated[str, typer.Option("--principal", help="`principal_id` of the person, as it is stored.")],
    reason: Annotated[
        str,
        typer.Option("--reason", help="Why, such as the number of the request; kept, so without the person's name."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show where the person is named, and change nothing.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
    log_format: LogFormat = None,
) -> None:
    """Erase a person: from usage, dead letters, the Delta table and what is kept of the past. Totals do not change.

    Of the person's calls `principal_id`, `conversation_id` and `tags` go, and other fields that are the identifier
    itself; tokens, costs, owner, workflow, task and event ids stay. Dead letters of the person lose their bytes.
    Commits from before can no longer be read where they had the person. At the end every file below the home is
    searched: exits 1 when the identifier is left anywhere, and lists where. Run again, it ends what a kill left undone.
    Tables that count by person know a pseudonym alone; the next warehouse build takes it out of them.
    Kafka's topics are not touched: a record that they still hold is read again only into a new lake.
    """
    from tollbook.lake.erasure import erase
    from tollbook.lake.person import Person
    from tollbook.lake.traces import OUTSIDE, find_traces
    from tollbook.warehouse.lock import build_lock
    from tollbook.warehouse.state import WarehouseFolder

    person = Person(principal)
    if not reason.strip() or person.pattern().search(reason.encode()):
        raise MisuseError("expected a reason that does not name the person, such as the number of the request")
    settings = connected(Settings.load(home=home))
    if not settings.lake.is_dir():
        raise MisuseError(f"expected a lake at {settings.lake}, found none: is this the home?")
    with telling(log_format) as tell, build_lock(WarehouseFolder.of(settings), tell):
        done = erase(settings.lake, person, reason=reason, clock=lambda: datetime.now(UTC), dry_run=dry_run, tell=tell)
        traces = find_traces(settings.home, person)
    facts = asdict(done) | {"left": len(traces)}
    if as_json:
        print_json(facts | {"left": [asdict(trace) for trace in traces]})
    else:
        print_table(("forget", "value"), facts.items())
        if traces:
            typer.echo()
            print_table(("path", "column", "rows"), ((each.path, each.column, each.rows) for each in traces))
    if done.lake_commit:
        progress("run `tollbook warehouse build`: until then insight.fct_subsidies has a row under a pseudonym")
    if not dry_run:
        progress(f"every file below {settings.home} was searched but for {OUTSIDE}/, which is Kafka's")
        if traces:
            raise typer.Exit(1)
