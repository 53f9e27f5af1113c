"""`tollbook simulate`: an organisation's traffic or a published case from a seed, and its exact truth."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from tollbook.cli.options import Home, Json, print_json, print_table, progress
from tollbook.errors import MisuseError
from tollbook.settings import Settings
from tollbook.simulate.organisation import FEWEST_TEAMS, TEAMS
from tollbook.simulate.simulation import DEFAULT_MONTHS, DEFAULT_START

_PER_MILLION = 1_000_000
_LIST = "list"
_SHOWN_DIFFERENCES = 20


def register(parent: typer.Typer) -> None:
    """Add the command to the command line."""
    parent.command(name="simulate")(simulate)


def simulate(
    *,
    events: Annotated[
        int | None,
        typer.Option(
            "--events",
            help="Calls of the organisation that count; duplicates and the like come on top. Beside --scenario it may "
            "be left out: then the scenario goes alone.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File of native JSON lines; gzip if its name ends with .gz.", show_default=False),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", help="File of the exact totals, JSON.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes on every machine.")] = 1,
    scenario: Annotated[
        str | None,
        typer.Option(
            "--scenario",
            help="A published case, with what the marts must find of it in the truth; `list` shows the cases and "
            "their parameters.",
            show_default=False,
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="A parameter of the scenario as name=value; several times.", show_default=False),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            help="Folder of all reference files: those in it for `tollbook reference load`, those in its folder "
            "prices for `tollbook prices load`.",
            show_default=False,
        ),
    ] = None,
    owners: Annotated[
        Path | None, typer.Option("--owners", help="File of the organisation's owner rules, YAML.")
    ] = None,
    start: Annotated[str, typer.Option("--start", help="First day, UTC.")] = DEFAULT_START.isoformat(),
    months: Annotated[
        int | None,
        typer.Option(
            "--months",
            help=f"How many months [default: {DEFAULT_MONTHS}, or as many as the scenario needs].",
            show_default=False,
        ),
    ] = None,
    teams: Annotated[int, typer.Option("--teams", help=f"How many teams, from {FEWEST_TEAMS}.")] = len(TEAMS),
    duplicates: Annotated[str, typer.Option("--duplicates", help="Share of lines told twice.")] = "0.02",
    late: Annotated[str, typer.Option("--late", help="Share of lines told hours or days late.")] = "0.01",
    poison: Annotated[str, typer.Option("--poison", help="Share of lines followed by a bad one.")] = "0.001",
    conflicts: Annotated[
        str, typer.Option("--conflicts", help="Share of calls told again with other counts.")
    ] = "0.0002",
    check: Annotated[
        Path | None,
        typer.Option(
            "--check",
            help="A truth file written before: hold the published marts against it instead, its scenario or else its "
            "totals; exit 1 where they differ.",
            show_default=False,
        ),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write an organisation's traffic as native JSON lines, and its exact totals.

    Sessions of many calls by agents that call agents, over months in which prices fall and agents multiply; with
    retries, streamed revisions, voids, duplicates, late, conflicting and bad lines. Lines stand in the order of
    arrival, ready for `tollbook send`.

    With --scenario a published case: price-fall, agent-tokens, hidden-cost, flat-plan or margin. Its parameters are
    free (--set), and the truth says what the marts must hold of it, amount by amount. Write all of it, load the
    reference files, send, run the meter and build; then --check holds the marts against the truth.
    """
    from rich.console import Console
    from rich.progress import Progress

    from tollbook.simulate.delivery import Shares
    from tollbook.simulate.scenarios.catalogue import choose
    from tollbook.simulate.simulation import Plan
    from tollbook.simulate.simulation import simulate as run

    if scenario == _LIST:
        _list_scenarios(as_json=as_json)
        return
    if check is not None:
        _check(check, Settings.load(home=home), as_json=as_json)
        return
    if assignments and scenario is None:
        raise MisuseError(f"expected --scenario beside --set, got --set {assignments[0]} alone")
    if events is None and scenario is None:
        raise MisuseError("expected --events, or --scenario, got neither")
    chosen = None if scenario is None else choose(scenario, assignments or ())
    if out is None or truth is None:
        raise MisuseError(f"expected --out and --truth, got no {'--out' if out is None else '--truth'}")
    shares = Shares(
        duplicates=_millionths("--duplicates", duplicates),
        late=_millionths("--late", late),
        poison=_millionths("--poison", poison),
        conflicts=_millionths("--conflicts", conflicts),
    )
    if months is None:
        months = DEFAULT_MONTHS if chosen is None else chosen.scenario.fewest_months
    plan = Plan(
        events=events or 0,
        seed=seed,
        start=_day(start),
        months=months,
        team_count=teams,
        shares=shares,
        chosen=chosen,
    )
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("simulating", total=events)
        found = run(
            plan,
            out=out,
            truth_path=truth,
            owners_path=owners,
            reference_path=reference,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if plan.end > datetime.now(UTC):
        progress(f"the events reach to {plan.end:%Y-%m-%d}: a meter rejects what is ahead of this machine's clock")
    if reference is not None:
        progress(f"before the meter runs, load {reference}/*.yml with `tollbook reference load`, a file at a time")
        if chosen is not None:
            progress(f"and {reference}/prices/*.yml with `tollbook prices load`: without it no call has a price")
    if as_json:
        print_json(found)
        return
    _print(found)


def _print(found: dict[str, Any]) -> None:
    """Print what was simulated, and the scenario's figures."""
    shown = ("events", "lines", "duplicates", "conflicts", "rejected", "superseded", "voids", "tasks")
    sums = ("input_tokens", "output_tokens", "unpriced_events")
    cost = Decimal(found["list_cost_pico_usd"]).scaleb(-12)
    rows = [(name, found[name]) for name in (*shown, *sums)]
    figures = found.get("scenario", {}).get("figures", {})
    print_table(("simulated", "value"), [*rows, ("list cost, USD", f"{cost:.12f}"), *figures.items()])


def _check(truth: Path, settings: Settings, *, as_json: bool) -> None:
    """Print how the published marts compare with a truth file; exit 1 where they differ."""
    from tollbook.demo.findings import compare_findings, read_truth_file
    from tollbook.demo.truth import compare

    told = read_truth_file(truth)
    scenario = told.get("scenario")
    found = compare(settings, told) if scenario is None else compare_findings(settings, scenario)
    if as_json:
        print_json({"amounts": found.amounts, "differences": list(found.differences)})
    else:
        for difference in found.differences[:_SHOWN_DIFFERENCES]:
            typer.echo(difference)
        if (left := len(found.differences) - _SHOWN_DIFFERENCES) > 0:
            typer.echo(f"and {left} more")
        progress(f"{found.amounts:,} amounts of {truth} compared, {len(found.differences):,} differ")
    if found.differences:
        raise typer.Exit(1)


def _list_scenarios(*, as_json: bool) -> None:
    """Print the scenarios and their parameters."""
    from tollbook.simulate.scenarios.catalogue import SCENARIOS
    from tollbook.simulate.scenarios.parameters import plain

    if as_json:
        print_json([each.as_dict() for each in SCENARIOS.values()])
        return
    for each in SCENARIOS.values():
        typer.echo(f"{each.name}: {each.summary}; from {each.fewest_months} months")
        print_table(
            ("parameter", "default", "range", "meaning"),
            [(of.name, plain(of.default), of.range_text, of.meaning) for of in each.parameters],
        )
        typer.echo()


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
