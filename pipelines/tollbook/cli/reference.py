"""`tollbook reference`: dated facts about the organisation, such as who owns what and what was agreed with whom."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tollbook.cli.options import Home, Json, connected, print_json, print_table, progress
from tollbook.errors import MisuseError
from tollbook.settings import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

ReferenceFile = Annotated[
    Path,
    typer.Argument(
        help="A reference file: YAML by schemas/documents/<kind>.schema.json, whose first key tells its kind."
    ),
]


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(
        app,
        name="reference",
        help="Owners, hierarchy, contracts, subscriptions, platforms, invoices and what else is told by files.",
    )


@app.command()
def check(file: ReferenceFile, *, home: Home = None, as_json: Json = False) -> None:
    """Check a reference file; exit 1 with its faults when it breaks its schema or contradicts itself.

    Dated entries, such as a hierarchy, are also held against the files in use in the book.
    """
    from tollbook.reference.files import refuse_unreadable
    from tollbook.reference.kinds import check_file

    refuse_unreadable(file)
    checked = check_file(file, Settings.load(home=home).reference)
    if as_json:
        print_json(checked.as_dict())
    else:
        typer.echo(f"{file}: {checked.holds}")


@app.command()
def load(file: ReferenceFile, *, home: Home = None, as_json: Json = False) -> None:
    """Check a reference file beside those in use and use it from now on; the lake keeps every state that was in use."""
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


@app.command()
def versions(
    *,
    as_of: Annotated[
        str | None,
        typer.Option(help="Instant, such as 2026-06-01T00:00:00Z: tell what was in use then.", show_default=False),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="Empty folder to write those files into; beside --as-of.", show_default=False),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List the states of the reference files that were in use, and since when; each is kept whole in the lake.

    With --as-of the files in use at an instant. Exit 1 when none was recorded by then.
    """
    from tollbook.reference.dated.recorded import recorded_references, restore_reference

    if into is not None and (as_of is None or (into.exists() and (not into.is_dir() or any(into.iterdir())))):
        raise MisuseError(f"expected --as-of and an empty folder beside --into, got {into}")
    known_at = None if as_of is None else _instant(as_of)
    lake = connected(Settings.load(home=home)).lake
    headings: tuple[str, ...]
    rows: list[tuple[str | int, ...]]
    if known_at is None:
        headings = ("number", "since", "version", "files")
        rows = [
            (each.number, f"{each.recorded_at:%Y-%m-%dT%H:%M:%SZ}", each.version, len(each.documents))
            for each in recorded_references(lake)
        ]
    else:
        known = [each for each in recorded_references(lake) if each.recorded_at <= known_at]
        headings = ("file", "sha256", "number", "since")
        rows = [
            (each.path, each.sha256, known[-1].number, f"{known[-1].recorded_at:%Y-%m-%dT%H:%M:%SZ}")
            for each in (known[-1].documents if known else ())
        ]
        if into is not None:
            restore_reference(lake, known_at, into)
    if as_json:
        print_json([dict(zip(headings, row, strict=True)) for row in rows])
    else:
        print_table(headings, rows)
    if not rows:
        progress("no reference file was recorded by then")
        raise typer.Exit(1)


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise MisuseError(f"expected an instant with a time zone, such as 2026-06-01T00:00:00Z, got {text!r}")
    return moment.astimezone(UTC)
