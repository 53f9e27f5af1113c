"""`tollbook reference`: dated facts about the organisation, such as who owns what and what was agreed with whom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tollbook.cli.options import Home, Json, print_json, progress
from tollbook.settings import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

ReferenceFile = Annotated[
    Path,
    typer.Argument(
        help="Owner or dimension rules, a contract, exchange rates, a cost policy or the billing calendar: YAML by "
        "schemas/documents/<kind>.schema.json."
    ),
]


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(
        app,
        name="reference",
        help="Owners, dimensions, contracts, exchange rates, cost policy and billing calendar, as files.",
    )


@app.command()
def check(file: ReferenceFile, *, as_json: Json = False) -> None:
    """Check a reference file; exit 1 with its faults when it breaks its schema or contradicts itself."""
    from tollbook.reference.files import refuse_unreadable
    from tollbook.reference.kinds import check_file

    refuse_unreadable(file)
    checked = check_file(file)
    if as_json:
        print_json(checked.as_dict())
    else:
        typer.echo(f"{file}: {checked.holds}")


@app.command()
def load(file: ReferenceFile, *, home: Home = None, as_json: Json = False) -> None:
    """Check a reference file and use it from the next commit on; a contract beside the others."""
    from tollbook.rating.stored_prices import rerate_notice
    from tollbook.reference.files import refuse_unreadable
    from tollbook.reference.kinds import OWNERS, load_file

    refuse_unreadable(file)
    settings = Settings.load(home=home)
    loaded = load_file(file, settings)
    progress(f"{loaded.path} now holds {loaded.holds}")
    for notice in loaded.notices:
        progress(notice)
    if loaded.kind != OWNERS and (told := rerate_notice(settings, home=home)):
        progress(told)
    if as_json:
        print_json(loaded.as_dict())
