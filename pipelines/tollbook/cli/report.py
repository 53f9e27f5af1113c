"""`tollbook report`: the pages that say why the bill is what it is."""

from __future__ import annotations

import typer

from tollbook.cli.options import Home, Json, print_json, progress
from tollbook.settings import Settings


def register(parent: typer.Typer) -> None:
    """Add the command to the command line."""
    parent.command()(report)


def report(*, home: Home = None, as_json: Json = False) -> None:
    """Write the report site: why the bill changed, what tasks cost, hidden cost, plans, margins, what is ahead.

    HTML pages below `exports/report/` of the book's folder, each one file that needs no network; the first one printed
    is the one to open. They show the published file, with filters that stand in the page's address.
    """
    from tollbook.report.site.write import write_site

    pages = write_site(Settings.load(home=home))
    if as_json:
        print_json([{"path": str(path), "bytes": size} for path, size in pages.items()])
        return
    for path in pages:
        typer.echo(path)
    progress(f"Open {next(iter(pages))} in a browser")
