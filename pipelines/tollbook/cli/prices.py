"""`tollbook prices`: the price catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tollbook.cli.options import Home, Json, connected, print_json, print_table, progress
from tollbook.settings import Settings

if TYPE_CHECKING:
    from tollbook.rating.explain import PriceInForce

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(app, name="prices", help="The price catalogue: what a model costs, and since when.")


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
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="By what was known at this time [default: now].", show_default=False),
    ] = None,
    tier: Annotated[
        str | None, typer.Option(help="Service tier, such as batch [default: every one].", show_default=False)
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show the price of a model in force at an instant, and why: each service tier, context length and unit.

    Behind the list prices stand those that contracts make of them. Times without a zone are UTC. Without a home the
    price list of the package answers. With --as-of the book that was in use then answers, and before the first one the
    files, by when they say each entry became known. Exit 1 when no price is known.
    """
    from tollbook.rating.book import PriceBook
    from tollbook.rating.explain import book_prices_in_force, instant
    from tollbook.rating.provenance import knowledge, with_authors

    moment, known_at, settings = instant(at), instant(as_of), connected(Settings.load(home=home))
    book = PriceBook.load(settings, None if as_of is None else known_at)
    answered = None if as_of is None else knowledge(settings, known_at)
    found = book_prices_in_force(book, model, moment, provider=provider, service_tier=tier)
    found = with_authors(found, settings.contracts, known_at)
    document = {"catalogue_version": book.version, "at": moment.isoformat().replace("+00:00", "Z")}
    if as_json:
        known = None if answered is None else answered.as_dict()
        print_json({**document, "knowledge": known, "prices": [price.as_dict() for price in found]})
    else:
        if answered is not None and found:
            typer.echo(f"{answered.sentence()}\n")
        for price in found:
            _print_price(price)
    if not found:
        where = "".join([f" at {provider}" if provider else "", f", {tier}," if tier else ""])
        progress(f"no price of {model}{where} is in force at {document['at']}, by {book.version}")
        raise typer.Exit(1)


@app.command()
def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Price files: overlays (.yml) or tables (.csv) [default: the book in force].", show_default=False
        ),
    ] = None,
    *,
    mapping: Annotated[
        Path | None,
        typer.Option(help="What the columns of a .csv hold; see schemas/examples/price_tables.", show_default=False),
    ] = None,
    every_price: Annotated[
        bool, typer.Option("--all", help="Check also the models of the price list that were never used.")
    ] = False,
    notes: Annotated[bool, typer.Option("--notes", help="Print notes too, which are no findings.")] = False,
    check_days: Annotated[
        int, typer.Option(min=1, help="Tell prices whose source was last looked at longer ago than this.")
    ] = 90,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Find what is wrong with prices: jumps, gaps, cache and batch rates, usage without a price.

    Without files, the book in force is checked against what was used. Prices are USD for a million tokens, or for the
    unit's own amount. Exit 1 when there is an error or a warning.
    """
    from datetime import UTC, datetime

    from tollbook.rating.check import HEADINGS
    from tollbook.rating.check_files import check_files
    from tollbook.warehouse.check_book import check_book_in_force

    settings, now = connected(Settings.load(home=home)), datetime.now(UTC)
    if files:
        results = check_files(files, mapping, settings, now=now, check_days=check_days)
    else:
        results = [
            check_book_in_force(settings, now=now, every_price=every_price, check_days=check_days, tell=progress)
        ]
    if as_json:
        print_json([result.as_dict() for result in results])
    else:
        print_table(HEADINGS, [row for result in results for row in result.as_rows(notes=notes)])
    names = [str(path) for path in files] if files else ["the book in force"]
    for name, result in zip(names, results, strict=True):
        progress(f"{name}: {result.sentence()}")
    if not all(result.is_clean for result in results):
        raise typer.Exit(1)


@app.command()
def load(
    file: Annotated[Path, typer.Argument(help="Price overlay, YAML by schemas/documents/price_overlay.schema.json.")],
    *,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Check a price overlay and use it from the next commit on, in place of the one of its name.

    An entry in use is superseded by a later one or withdrawn; a file that drops or changes one is refused, and then
    nothing of it is used.
    """
    from datetime import UTC, datetime

    from tollbook.rating.load import installed_catalogue
    from tollbook.rating.sources.loading import load_overlay
    from tollbook.rating.stored_prices import rerate_notice

    settings = connected(Settings.load(home=home))
    loaded = load_overlay(file, settings.price_overlays, installed_catalogue(), now=datetime.now(UTC))
    for notice in loaded.notices:
        progress(notice)
    count = len(loaded.overlay.told)
    progress(f"{loaded.path} now holds {count} {'entry' if count == 1 else 'entries'}, {len(loaded.new)} of them new")
    if told := rerate_notice(settings, home=home):
        progress(told)
    if as_json:
        print_json({"file": str(loaded.path), "entries": len(loaded.overlay.told), "new": list(loaded.new)})


@app.command()
def versions(*, home: Home = None, as_json: Json = False) -> None:
    """List the price books that the meter and re-ratings used, and since when; each is kept whole."""
    from tollbook.rating.store import CONTRACTED, LIST_PRICES
    from tollbook.rating.store import versions as recorded_versions

    rows = []
    for entry in recorded_versions(connected(Settings.load(home=home)).lake):
        counts = [None if (file := entry.file(role)) is None else file.prices for role in (LIST_PRICES, CONTRACTED)]
        rows.append((entry.number, f"{entry.recorded_at:%Y-%m-%dT%H:%M:%SZ}", entry.version, *counts))
    headings = ("number", "since", "catalogue_version", "list_prices", "contracted_prices")
    if as_json:
        print_json([dict(zip(headings, row, strict=True)) for row in rows])
    else:
        print_table(headings, rows)


@app.command()
def history(
    model: Annotated[str, typer.Argument(help="Model, as an event or a price list names it.", show_default=False)],
    *,
    provider: Annotated[
        str | None, typer.Option(help="Provider, by any of its names [default: every one].", show_default=False)
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show every price of a model that was ever in use, with when it held and since when it was known.

    From `valid from` to `valid to` a rate held; from `known from` to `known to` that is what was known, and charged by.
    Times are UTC. Exit 1 when no recorded price book has the model.
    """
    from tollbook.rating.history import HEADINGS, as_row, model_history

    told = model_history(connected(Settings.load(home=home)).lake, model, provider=provider)
    if as_json:
        print_json(told)
    elif told:
        print_table(HEADINGS, map(as_row, told))
    if not told:
        where = f" of {provider}" if provider else ""
        progress(f"no recorded price book has a price of {model}{where}; `tollbook prices show` tells those of now")
        raise typer.Exit(1)


@app.command()
def rerate(
    *,
    first_date: Annotated[
        str, typer.Option("--from", help="First event date, such as 2026-06-01 (UTC).", show_default=False)
    ],
    end_date: Annotated[str, typer.Option("--to", help="Event date after the last.", show_default=False)],
    model: Annotated[
        str | None, typer.Option(help="Model, as events name it [default: every one].", show_default=False)
    ] = None,
    provider: Annotated[
        str | None, typer.Option(help="Provider, by any of its names [default: every one].", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what differs and write nothing.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Price stored events anew by the prices in force now, and write the ratings that differ.

    The usage stays as it is: the ratings are laid over it and reach the tables with the next `tollbook warehouse
    build`. Where nothing differs nothing is written. Costs are in USD; events are stored tellings, repeats
    included, of which the tables count one. Exit 1 when no stored event is of the model or provider named.
    """
    from tollbook.rating.reprice import Choice
    from tollbook.rating.rerate import event_date
    from tollbook.rating.rerate import rerate as rerate_events

    done = rerate_events(
        connected(Settings.load(home=home)),
        first_date=event_date(first_date),
        end_date=event_date(end_date),
        choice=Choice(provider=provider, model=model),
        dry_run=dry_run,
        tell=progress,
    )
    if as_json:
        print_json(done.as_dict())
    else:
        print_table(*done.as_table())
    progress(done.sentence(dry_run=dry_run))
    if done.matches_nothing:
        raise typer.Exit(1)


def _print_price(price: PriceInForce) -> None:
    from tollbook.rating.prices import ANY_ACCOUNT

    told = price.as_dict()
    above = told["above_input_tokens"]
    context = "" if above is None else f", requests above {above:,} input tokens"
    scope = "" if told["region"] is None else f", {told['region']}"
    if told["contract_id"] is not None:
        account = told["billing_account_id"]
        whom = "every account" if account in {None, ANY_ACCOUNT} else f"account {account}"
        scope += f", contract {told['contract_id']} for {whom}"
    typer.echo(f"{told['provider']} {told['model']}, {told['service_tier']}{context}{scope}")
    since, until = told["valid_from"] or "ever", told["valid_to"] or "further notice"
    daily = f", daily {told['daily_from']} to {told['daily_to']} UTC" if told["daily_to"] else ""
    typer.echo(f"  {told['basis']}, since {since}, until {until}{daily}")
    typer.echo(f"  {told['sku_price_id']}")
    checked = "" if told["checked_on"] is None else f", checked on {told['checked_on']}"
    unknown = "not known" if told["contract_id"] is None else f"contract {told['contract_id']}, which names none"
    typer.echo(f"  source: {told['source'] or unknown}{checked}")
    for sentence in told["words"]:
        typer.echo(f"  {sentence}")
    units: dict[tuple[str, str, str], list[str]] = {}
    for rate in price.rates:
        key = (rate.rate_key, f"{rate.price:f}", f"{rate.per:,} {rate.consumed_unit}")
        units.setdefault(key, []).append(rate.unit)
    rows = [(f"  {name}", usd, per, ", ".join(priced)) for (name, usd, per), priced in units.items()]
    if rows:
        print_table(("  rate", "USD", "per", "prices"), rows)
    typer.echo("")
