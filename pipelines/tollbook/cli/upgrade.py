"""`tollbook upgrade`: the lake of an older version becomes one of this version."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from tollbook.cli.options import Home, Json, connected, print_json, print_table, progress
from tollbook.settings import Settings


def register(parent: typer.Typer) -> None:
    """Add the command to the command line."""
    parent.command()(upgrade)


def upgrade(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look whether the lake is whole, and write nothing; for restores too.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make the lake of an older Tollbook one of this version, after a look whether all its files are there.

    No data are written anew, and doing it twice does nothing the second time. Exits 1 when files that the lake names
    are absent or of another size, and lists them; nothing is written then. Stop the meter first.
    """
    from tollbook.lake.upgrade import upgrade as upgrade_lake

    done = upgrade_lake(connected(Settings.load(home=home)).lake, now=datetime.now(UTC), dry_run=dry_run)
    if as_json:
        print_json(done.as_dict())
    elif done.is_whole:
        print_table(("upgrade", "value"), [pair for pair in done.as_dict().items() if pair[0] != "damages"])
    else:
        print_table(
            ("path", "named by", "bytes told", "bytes found"),
            [(each.path, each.named_by, each.told_bytes, each.found_bytes) for each in done.damages],
        )
    progress(done.sentence())
    if not done.is_whole:
        raise typer.Exit(1)
