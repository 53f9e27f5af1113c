"""`tollbook warehouse`: the gate, dbt, the balance and the published file."""

from __future__ import annotations

from typing import Annotated

import typer

from tollbook.cli.options import Home, Json, LogFormat, connected, print_json, print_table, progress, telling
from tollbook.errors import MisuseError
from tollbook.logs import Notice
from tollbook.settings import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(app, name="warehouse", help="From the lake to the published chargeback tables.")


@app.command()
def build(
    *,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Make every date anew.")] = False,
    no_publish: Annotated[bool, typer.Option("--no-publish", help="Leave the published file as it is.")] = False,
    log_format: LogFormat = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take new files through the gate and dbt into the marts, check the balance, and publish.

    Only the event dates that new files touch are made anew. A build that was killed is made good by the next
    one; a second build waits for the first. Exits 1 when the gate refuses a file or the book does not balance:
    the published file then stays as it was.
    """
    from tollbook.warehouse.build import build as build_warehouse

    with telling(log_format) as tell:
        settings = connected(Settings.load(home=home))
        if not settings.lake.is_dir():
            raise MisuseError(
                f"expected a lake at {settings.lake}, found none: is this the home? `tollbook meter` makes one"
            )
        result = build_warehouse(settings, full_refresh=full_refresh, publish=not no_publish, tell=tell)
        sentence = f"built in {result.seconds:.1f} s: the marts hold commit {result.built_commit}"
        tell(Notice(sentence, event="built", **result.as_dict()))
    if as_json:
        print_json(result.as_dict())
    else:
        print_table(("build", "value"), result.as_dict().items())


@app.command()
def publish(*, home: Home = None, as_json: Json = False) -> None:
    """Publish the last good build: a new version of the file, and a swap of the name that readers open."""
    from tollbook.warehouse.build import publish_build

    publication = publish_build(Settings.load(home=home), tell=progress)
    if as_json:
        print_json(publication.as_dict())
    else:
        typer.echo(publication.version)


@app.command()
def status(*, home: Home = None, as_json: Json = False) -> None:
    """Show what the lake, the marts and readers hold; exit 1 unless readers see all of it, balanced."""
    from tollbook.warehouse.status import warehouse_status

    found = warehouse_status(connected(Settings.load(home=home)))
    if as_json:
        print_json(found.as_dict())
    else:
        print_table(("warehouse", "value"), found.as_dict().items())
    if not found.is_well:
        raise typer.Exit(1)
