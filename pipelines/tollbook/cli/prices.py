"""`tollbook prices`: the price catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tollbook.cli.options import Json, print_json, print_table, progress

if TYPE_CHECKING:
    from tollbook.rating.explain import PriceInForce

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(app, name="prices", help="The price catalogue: what a model costs, and since when.")


@app.callback()
def prices() -> None:
    """Keep `show` a command of its own while it is the only one."""


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="Model, as an event names it.", show_default=False)],
    *,
    at: Annotated[
        str | None,
        typer.Option(help="Instant, such as 2026-06-01T09:00:00Z [default: now].", show_default=False),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(help="Provider [default: every one that has the model].", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the price of a model in force at an instant: each service tier, context length and unit.

    Times without a zone are UTC. Exit 1 when no price is known.
    """
    from tollbook.rating.catalogue import Catalogue
    from tollbook.rating.explain import instant, prices_in_force

    moment = instant(at)
    catalogue = Catalogue.from_genai_prices()
    found = prices_in_force(catalogue, model, moment, provider=provider)
    document = {"catalogue_version": catalogue.version, "at": moment.isoformat().replace("+00:00", "Z")}
    if as_json:
        print_json({**document, "prices": [price.as_dict() for price in found]})
    else:
        for price in found:
            _print_price(price)
    if not found:
        where = f" at {provider}" if provider else ""
        progress(f"no price of {model}{where} is in force at {document['at']}, by {catalogue.version}")
        raise typer.Exit(1)


def _print_price(price: PriceInForce) -> None:
    told = price.as_dict()
    above = told["above_input_tokens"]
    context = "" if above is None else f", requests above {above:,} input tokens"
    typer.echo(f"{told['provider']} {told['model']}, {told['service_tier']}{context}")
    since, until = told["valid_from"] or "ever", told["valid_to"] or "further notice"
    daily = f", daily {told['daily_from']} to {told['daily_to']} UTC" if told["daily_to"] else ""
    typer.echo(f"  {told['basis']}, since {since}, until {until}{daily}")
    typer.echo(f"  {told['sku_price_id']}")
    typer.echo(f"  source: {told['source'] or 'not known'}")
    units: dict[tuple[str, str, str], list[str]] = {}
    for rate in price.rates:
        key = (rate.rate_key, f"{rate.price:f}", f"{rate.per:,} {rate.consumed_unit}")
        units.setdefault(key, []).append(rate.unit)
    rows = [(f"  {name}", usd, per, ", ".join(priced)) for (name, usd, per), priced in units.items()]
    print_table(("  rate", "USD", "per", "prices"), rows)
    typer.echo("")
