"""`tollbook simulate`: an organisation's traffic from a seed, and its exact truth."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from tollbook.cli.options import Json, print_json, print_table, progress
from tollbook.errors import MisuseError
from tollbook.simulate.organisation import FEWEST_TEAMS, TEAMS
from tollbook.simulate.simulation import DEFAULT_MONTHS, DEFAULT_START

_PER_MILLION = 1_000_000


def register(parent: typer.Typer) -> None:
    """Add the command to the command line."""
    parent.command(name="simulate")(simulate)


def simulate(
    *,
    events: Annotated[int, typer.Option("--events", help="Calls that count; duplicates and the like come on top.")],
    out: Annotated[Path, typer.Option("--out", help="File of native JSON lines; gzip if its name ends with .gz.")],
    truth: Annotated[Path, typer.Option("--truth", help="File of the exact totals, JSON.")],
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes on every machine.")] = 1,
    owners: Annotated[
        Path | None, typer.Option("--owners", help="File of the organisation's owner rules, YAML.")
    ] = None,
    start: Annotated[str, typer.Option("--start", help="First day, UTC.")] = DEFAULT_START.isoformat(),
    months: Annotated[int, typer.Option("--months", help="How many months.")] = DEFAULT_MONTHS,
    teams: Annotated[int, typer.Option("--teams", help=f"How many teams, from {FEWEST_TEAMS}.")] = len(TEAMS),
    duplicates: Annotated[str, typer.Option("--duplicates", help="Share of lines told twice.")] = "0.02",
    late: Annotated[str, typer.Option("--late", help="Share of lines told hours or days late.")] = "0.01",
    poison: Annotated[str, typer.Option("--poison", help="Share of lines followed by a bad one.")] = "0.001",
    conflicts: Annotated[
        str, typer.Option("--conflicts", help="Share of calls told again with other counts.")
    ] = "0.0002",
    as_json: Json = False,
) -> None:
    """Write an organisation's traffic as native JSON lines, and its exact totals.

    Sessions of many calls by agents that call agents, over months in which prices fall and agents multiply; with
    retries, streamed revisions, voids, duplicates, late, conflicting and bad lines. Lines stand in the order of
    arrival, ready for `tollbook send`.
    """
    from rich.console import Console
    from rich.progress import Progress

    from tollbook.simulate.delivery import Shares
    from tollbook.simulate.simulation import Plan
    from tollbook.simulate.simulation import simulate as run

    shares = Shares(
        duplicates=_millionths("--duplicates", duplicates),
        late=_millionths("--late", late),
        poison=_millionths("--poison", poison),
        conflicts=_millionths("--conflicts", conflicts),
    )
    plan = Plan(events=events, seed=seed, start=_day(start), months=months, team_count=teams, shares=shares)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("simulating", total=events)
        found = run(
            plan,
            out=out,
            truth_path=truth,
            owners_path=owners,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if plan.end > datetime.now(UTC):
        progress(f"the events reach to {plan.end:%Y-%m-%d}: a meter rejects what is ahead of this machine's clock")
    if as_json:
        print_json(found)
        return
    shown = ("events", "lines", "duplicates", "conflicts", "rejected", "superseded", "voids", "tasks")
    sums = ("input_tokens", "output_tokens", "unpriced_events")
    cost = Decimal(found["list_cost_pico_usd"]).scaleb(-12)
    rows = [(name, found[name]) for name in (*shown, *sums)]
    print_table(("simulated", "value"), [*rows, ("list cost, USD", f"{cost:.12f}")])


def _millionths(option: str, text: str) -> int:
    """Return a share from 0 to 1 in millionths; decimals, so that `0.02` is exactly 20,000 of them."""
    try:
        share = Decimal(text) * _PER_MILLION
    except ArithmeticError as error:
        raise MisuseError(f"expected {option} as a share from 0 to 1, got {text!r}") from error
    if not share.is_finite() or not 0 <= share <= _PER_MILLION or share != share.to_integral_value():
        raise MisuseError(f"expected {option} as a share from 0 to 1 in whole millionths, got {text!r}")
    return int(share)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise MisuseError(f"expected --start as a day such as {DEFAULT_START}, got {text!r}") from error
