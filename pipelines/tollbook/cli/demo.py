"""`tollbook demo`: all of it on this machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from tollbook.cli.options import Home, progress
from tollbook.settings import Settings

DEFAULT_EVENTS = 60_000
_SHOWN_DIFFERENCES = 20


def register(parent: typer.Typer) -> None:
    """Add the command to the command line."""
    parent.command(name="demo")(demo)


def demo(
    *,
    events: Annotated[int, typer.Option("--events", min=1, help="Calls to simulate.")] = DEFAULT_EVENTS,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the simulation.")] = 1,
    home: Home = None,
) -> None:
    """Show all of it on this machine: broker, events, stream, warehouse and report, on simulated usage.

    Three months of an organisation in which prices fall, agents multiply and the bill rises. The published totals are
    held against the simulator's own; exit 1 if they differ. Uses the embedded broker of its home, never another Kafka,
    and stops it at the end unless it ran before. The home must be empty, or that of the same demo.
    """
    from tollbook.demo.interrupts import leave_at_once

    try:
        # Simulated usage never goes into a lake of real usage.
        _demo(events, seed, replace(Settings.load(home=home), lake_url=None))
    except KeyboardInterrupt:
        progress("tollbook: interrupted")
        leave_at_once()


def _demo(events: int, seed: int, settings: Settings) -> None:
    from tollbook.demo.next_steps import near, next_steps
    from tollbook.demo.run import run_demo
    from tollbook.demo.steps import Steps
    from tollbook.demo.tables import chargeback_by_team, chargeback_by_workflow, months

    steps = Steps()
    steps.say(f"Tollbook demo in {near(settings.home)}")
    outcome = run_demo(settings, events=events, seed=seed, steps=steps)
    steps.total()
    progress("")
    for table in (months, chargeback_by_team, chargeback_by_workflow):
        typer.echo(f"{table(outcome.facts)}\n")
    if differences := outcome.comparison.differences:
        progress("The book differs from what was simulated:")
        for difference in differences[:_SHOWN_DIFFERENCES]:
            progress(f"  {difference}")
        if len(differences) > _SHOWN_DIFFERENCES:
            progress(f"  and {len(differences) - _SHOWN_DIFFERENCES} more")
        raise typer.Exit(1)
    progress(f"{next_steps(settings, outcome.files.page, outcome.files.report)}")
