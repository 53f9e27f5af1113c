"""`tollbook insight`: why the bill is what it is."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from tollbook.cli.forecast import forecast
from tollbook.cli.options import Home, Json, print_json, print_table, progress
from tollbook.cli.paths import paths
from tollbook.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollbook.insight.bridge import Bridge, Side
    from tollbook.insight.plan_use import PlanUse, Row

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_MILLION = 1_000_000


@app.callback()
def _insight() -> None:
    """Keep the commands below the noun, however few they are."""


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(forecast)
    app.command()(paths)
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


@app.command()
def subsidies(
    *,
    period: Annotated[
        str | None,
        typer.Option("--period", help="Billing period, YYYY-MM [default: the newest with usage].", show_default=False),
    ] = None,
    subscription: Annotated[
        str | None, typer.Option("--subscription", help="This subscription alone.", show_default=False)
    ] = None,
    top: Annotated[int, typer.Option("--top", help="Persons that are listed, the largest first; JSON has all.")] = 10,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show what seats and flat plans are worth: usage at API prices against fees, by person, and cheaper plans.

    Persons are pseudonyms. `unallocated` are fees of seats that nobody used.
    """
    from tollbook.insight.plan_use import read_plan_use

    found = read_plan_use(Settings.load(home=home), period=period, subscription=subscription)
    if as_json:
        print_json(found.as_dict())
        return
    typer.echo(found.period)
    for plan in found.plans:
        _show_plan(found, plan, top)
    _tell_unpriced(found.persons)


@app.command()
def margins(
    *,
    period: Annotated[
        str | None,
        typer.Option("--period", help="Billing period, YYYY-MM [default: the newest with usage].", show_default=False),
    ] = None,
    product: Annotated[str | None, typer.Option("--product", help="This product alone.", show_default=False)] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show AI cost against revenue, by product and customer: points of gross margin lost, and their change."""
    from tollbook.insight.plan_use import read_margins

    chosen, rows = read_margins(Settings.load(home=home), period=period, product=product)
    if as_json:
        print_json({"billing_period": chosen, "rows": rows})
        return
    typer.echo(chosen)
    typer.echo()
    print_table(
        (
            "product",
            "customer",
            "calls",
            "AI cost, USD",
            "revenue, USD",
            "points lost",
            "change",
            "product's",
            "change",
            "why not",
        ),
        [
            (
                row["product"],
                row["customer_id"],
                row["calls"],
                _cents(row["ai_cost"]),
                _cents(row["revenue"]),
                _short(row["points_lost"]),
                _signed(row["points_lost_change"]),
                _short(row["product_points_lost"]),
                _signed(row["product_points_lost_change"]),
                row["unknown_reason"],
            )
            for row in rows
        ],
    )
    _tell_unpriced(rows)


def _show_plan(found: PlanUse, plan: Row, top: int) -> None:
    """Print a subscription, plans that are on offer in its place, and the persons who used most."""
    name = plan["subscription_id"]
    shares = (_percent(plan["top_1_percent_share"]), _percent(plan["top_10_percent_share"]))
    typer.echo()
    facts = [
        ("plan", " ".join(plan[key] for key in ("vendor", "plan") if plan[key]) or None),
        ("persons", plan["persons"]),
        ("seats, of which unused", _pair(_short(plan["seats"]), _short(plan["unused_seats"]))),
        ("at API prices, USD", _cents(plan["plan_list_cost"])),
        ("fees, USD", _cents(plan["plan_fee_cost"])),
        ("multiple", _short(plan["plan_multiple"])),
        ("Gini", _short(plan["gini"])),
        ("top 1 % and top 10 % of persons use, %", _pair(*shares)),
        ("cheapest mix of plans on offer, USD", _cents(found.cheapest_cost(name))),
    ]
    print_table((name, ""), facts)
    if mixes := found.of(found.mixes, name):
        typer.echo()
        headings = ("on offer", "persons", "seats", "in the mix, USD", "for all, USD")
        costs = ("offer_mix_cost", "offer_uniform_cost")
        counts = ("offer_id", "offer_persons", "offer_seats")
        print_table(headings, ([row[c] for c in counts] + [_cents(row[c]) for c in costs] for row in mixes))
    typer.echo()
    print_table(
        ("person", "calls", "at API prices", "fee", "multiple", "own terms", "cheapest", "on plan"),
        [
            (
                row["person"],
                row["calls"],
                _cents(row["list_cost"]),
                _cents(row["fee_cost"]),
                _short(row["subsidy_multiple"]),
                _cents(row["own_terms_cost"]),
                _cents(row["cheapest_cost"]),
                row["cheapest_plan"],
            )
            for row in found.of(found.persons, name)
            if row["usage_rank"] is None or row["usage_rank"] <= top
        ],
    )


def _tell_unpriced(rows: Iterable[Row]) -> None:
    unpriced = sum(row["unpriced_calls"] for row in rows)
    if unpriced:
        progress(f"{unpriced:,} calls have no known price, and are in no amount")


def _cents(amount: str | Decimal | None) -> str | None:
    return None if amount is None else f"{Decimal(amount):,.2f}"


def _short(ratio: str | None) -> str | None:
    return None if ratio is None else f"{Decimal(ratio):,.2f}"


def _signed(change: str | None) -> str | None:
    return None if change is None else f"{Decimal(change):+,.2f}"


def _percent(share: str | None) -> str | None:
    return None if share is None else f"{Decimal(share) * 100:.1f}"


def _pair(first: str | None, second: str | None) -> str | None:
    return None if first is None else f"{first}, {second}"


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
