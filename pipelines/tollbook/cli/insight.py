"""`tollbook insight`: why the bill is what it is."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from tollbook.cli.forecast import forecast
from tollbook.cli.options import Home, Json, print_json, print_table, progress
from tollbook.settings import Settings

if TYPE_CHECKING:
    from tollbook.insight.bridge import Bridge, Side

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_MILLION = 1_000_000


@app.callback()
def _insight() -> None:
    """Keep the commands below the noun, however few they are."""


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(forecast)
    parent.add_typer(app, name="insight", help="Why the bill is what it is.")


@app.command()
def bridge(
    *,
    before: Annotated[
        str | None,
        typer.Option("--from", help="Billing period, YYYY-MM [default: the one before].", show_default=False),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option("--to", help="Billing period that is explained [default: the newest].", show_default=False),
    ] = None,
    team: Annotated[str | None, typer.Option("--team", help="This team alone.", show_default=False)] = None,
    workflow: Annotated[str | None, typer.Option("--workflow", help="This workflow alone.", show_default=False)] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show what changed the cost from one billing period to another: tasks, calls, tokens, mixes, prices, the rest.

    The effects sum to the change, to the last digit. Any two of the last 13 billing periods with charges.
    """
    from tollbook.insight.bridge import read_bridges

    bridges = read_bridges(Settings.load(home=home), before=before, after=after, team=team, workflow=workflow)
    if as_json:
        print_json([each.as_dict() for each in bridges])
    else:
        for each in bridges:
            _show(each)
    for each in bridges:
        _tell_unknown(each)


def _show(bridge: Bridge) -> None:
    """Print the bridge, and what drove the cost on both sides."""
    currency = bridge.billing_currency
    rows = [
        (bridge.before.period, _amount(bridge.before.effective_cost), None),
        *(
            (effect, f"{amount:+f}", f"{bridge.percent(amount):+f}" if bridge.before.effective_cost else None)
            for effect, amount in bridge.effects.items()
            if amount
        ),
        (bridge.after.period, _amount(bridge.after.effective_cost), None),
    ]
    print_table(("what", f"effective {currency}", "percent"), rows)
    typer.echo()
    sides = (bridge.before, bridge.after)
    drivers = [
        ("tasks", *(None if side.tasks is None else f"{side.tasks:,}" for side in sides)),
        ("calls per task", *(_ratio(side.calls, side.tasks) for side in sides)),
        ("tokens per call", *(_ratio(side.total_tokens, side.calls) for side in sides)),
        (f"usage {currency} per 1M priced tokens", *(_price(side) for side in sides)),
        ("calls without a price", *(f"{side.unpriced_calls:,}" for side in sides)),
    ]
    print_table(("driver", *(side.period for side in sides)), drivers)


def _tell_unknown(bridge: Bridge) -> None:
    """Say on stderr what no amount tells of."""
    for side in (bridge.before, bridge.after):
        if side.unpriced_calls:
            progress(f"{side.period}: {side.unpriced_calls:,} calls have no known price, and are in no amount")
    if bridge.unknown_workflows:
        progress(f"{bridge.unknown_workflows:,} workflows have no known cost on either side: their change is not known")


def _amount(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"


def _ratio(count: int, of: int | None) -> str | None:
    return f"{Decimal(count) / of:,.2f}" if of else None


def _price(side: Side) -> str | None:
    priced = side.total_tokens - side.unpriced_tokens
    return None if side.usage_cost is None or not priced else f"{side.usage_cost * _MILLION / priced:.4f}"
