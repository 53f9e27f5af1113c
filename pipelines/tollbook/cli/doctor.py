"""`tollbook doctor`: what is missing on this machine, and how to get it."""

from __future__ import annotations

import typer

from tollbook.cli.options import BootstrapServers, Home, Json, print_json, print_table
from tollbook.settings import Settings


def register(parent: typer.Typer) -> None:
    """Add the command to the command line."""
    parent.command(name="doctor")(doctor)


def doctor(*, home: Home = None, bootstrap_servers: BootstrapServers = None, as_json: Json = False) -> None:
    """Show what this machine lacks, and how to get it.

    Changes nothing, fetches nothing and starts nothing. Exit 1 when something is missing.
    """
    from dataclasses import asdict

    from tollbook.broker.machine import examine

    findings = examine(Settings.load(home=home, bootstrap_servers=bootstrap_servers))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        rows = [(each.check, each.state, each.found, each.advice) for each in findings]
        print_table(("check", "state", "found", "advice"), rows)
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(1)
