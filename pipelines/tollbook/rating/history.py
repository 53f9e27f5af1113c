"""Every price of a model that was ever in use: when it held, and since when it was known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from tollbook.rating.checks.finding import per_of
from tollbook.rating.money import usd
from tollbook.rating.prices import ANY_ACCOUNT, time_of_day
from tollbook.rating.store import CONTRACTED, LIST_PRICES, newest_book, price_history, recorded_book
from tollbook.rating.units import load_names, load_units
from tollbook.rating.words import written

HEADINGS: Final = (
    *("provider", "model", "tier", "for", "rate", "USD", "per"),
    *("valid from", "valid to", "known from", "known to", "sku_price_id"),
)
"""Columns of `as_row`."""

_EVER, _OPEN = "ever", "further notice"


def model_history(lake: Path, model: str, *, provider: str | None = None) -> list[dict[str, Any]]:
    """Return every rate of a model in the recorded books, list prices first, each with its two times.

    Args:
        lake: Folder of the lake.
        model: Model, by a name that the newest book finds, or as a price list named it once.
        provider: Provider, by any of its names; None for every one.

    Returns:
        Rates in the order in which they became known. In `[valid_from, valid_to)` the rate holds; in `[known_from,
        known_to)` that is what was known. Empty where no book was recorded or none has such a model.

    Raises:
        CorruptManifestError: A recorded book is not as it was recorded.
    """
    meant = _meant(lake, model, provider)
    names = load_names()
    told = model.strip().lower()
    billed_by = None if provider is None else names.provider(provider)

    def wanted(row: dict[str, Any]) -> bool:
        if (row["provider"], row["model"]) in meant:
            return True
        return row["model"].lower() == told and billed_by in {None, names.provider(row["provider"])}

    # The contracted catalogue repeats the list prices.
    rows = [row for row in price_history(lake, LIST_PRICES).to_pylist() if wanted(row)]
    rows += [row for row in price_history(lake, CONTRACTED).to_pylist() if row["contract_id"] and wanted(row)]
    return [_fact(row) for row in rows]


def as_row(fact: dict[str, Any]) -> tuple[str | None, ...]:
    """Return a rate of `model_history` as a row of `HEADINGS`."""
    per = None if fact["per"] is None else f"{fact['per']:,}"
    return (
        *(fact[name] for name in ("provider", "model", "service_tier")),
        ", ".join(_scope(fact)) or None,
        *(fact[name] for name in ("rate", "price_usd")),
        per,
        fact["valid_from"] or _EVER,
        fact["valid_to"] or _OPEN,
        fact["known_from"],
        fact["known_to"] or _OPEN,
        fact["sku_price_id"],
    )


def _meant(lake: Path, model: str, provider: str | None) -> set[tuple[str, str]]:
    """Return provider and model of the price list that the names mean by the newest book."""
    entry = newest_book(lake)
    if entry is None:
        return set()
    catalogue = recorded_book(lake, entry.number).list_prices
    sellers = list(catalogue.lookup.providers()) if provider is None else [provider]
    found = [catalogue.find(each, model) for each in sellers]
    return {(each.provider, each.model) for each in found if each is not None and (provider is not None or each.own)}


def _fact(row: dict[str, Any]) -> dict[str, Any]:
    key, per, price = row["rate_key"], None, None
    if key is not None:
        known = any(key in unit.rates for unit in load_units().all)
        # A unit that this release no longer has is told for one of it.
        per = per_of(key) if known else 1
        price = usd(Fraction(int(row["pico_usd_numerator"]), int(row["pico_usd_denominator"])), per=per)
    daily_from: time = row["daily_from"]
    return {
        **{name: row[name] for name in ("provider", "model", "service_tier", "region")},
        **{name: row[name] for name in ("billing_account_id", "contract_id", "above_input_tokens")},
        "daily_from": None if daily_from == time(0) else time_of_day(daily_from),
        "rate": key,
        "price_usd": None if price is None else f"{price:f}",
        "per": per,
        **{name: written(row[name]) for name in ("valid_from", "valid_to", "known_from", "known_to")},
        **{name: row[name] for name in ("sku_price_id", "source", "checked_on")},
    }


def _scope(fact: dict[str, Any]) -> Iterator[str]:
    if fact["above_input_tokens"] is not None:
        yield f"above {fact['above_input_tokens']:,} input tokens"
    if fact["daily_from"] is not None:
        yield f"daily from {fact['daily_from']}"
    if fact["region"] is not None:
        yield fact["region"]
    if fact["contract_id"] is not None:
        account = fact["billing_account_id"]
        whom = "every account" if account in {None, ANY_ACCOUNT} else f"account {account}"
        yield f"contract {fact['contract_id']} for {whom}"
