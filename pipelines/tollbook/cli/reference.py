"""`tollbook reference`: dated facts about the organisation, such as who owns what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tollbook.cli.options import Home, Json, print_json, progress
from tollbook.settings import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

OwnersFile = Annotated[Path, typer.Argument(help="Owner rules, YAML by schemas/documents/owners.schema.json.")]


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(app, name="reference", help="Owners, as dated rules in files.")


@app.command()
def check(file: OwnersFile, *, as_json: Json = False) -> None:
    """Check a file of owner rules; exit 1 with the fault when it breaks its schema or contradicts itself."""
    from tollbook.reference.owners import read_owners

    owners = read_owners(file)
    if as_json:
        print_json({"file": str(file), "rules": len(owners.rules), "version": owners.version})
    else:
        typer.echo(f"{file}: {len(owners.rules)} rules, version {owners.version}")


@app.command()
def load(file: OwnersFile, *, home: Home = None, as_json: Json = False) -> None:
    """Check a file of owner rules and use it from the next commit on."""
    from tollbook.reference.owners import load_owners

    settings = Settings.load(home=home)
    owners = load_owners(file, settings.owners)
    progress(f"{settings.owners} now holds {len(owners.rules)} rules")
    if as_json:
        print_json({"file": str(settings.owners), "rules": len(owners.rules), "version": owners.version})
