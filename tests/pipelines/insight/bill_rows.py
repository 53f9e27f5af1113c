"""Rows of small bills, for the tests of what explains them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tollbook.insight.bills import DRIVERS_SCHEMA, USAGE_SCHEMA, Bills, read_bills
from tollbook.rating.unit_prices import UNIT_PRICES_SCHEMA

MAY, JUNE, JULY = date(2026, 5, 1), date(2026, 6, 1), date(2026, 7, 1)
BUCKETS = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
Row = dict[str, Any]
CellEffects = dict[tuple[str, str], dict[str, Decimal | None]]


def usage(
    period: date,
    cost: str | Decimal | None,
    *,
    calls: int,
    tokens: tuple[int, int, int, int],
    team: str = "search",
    workflow: str = "answers",
    model: str = "alpha",
    tier: str = "default",
) -> Row:
    """Return what was used of a model: calls, and tokens by `BUCKETS`; a cost of None is unknown."""
    is_priced = cost is not None
    return {
        "billing_period_start": period,
        "team": team,
        "workflow": workflow,
        "billing_currency": "USD",
        "provider": "openai",
        "model": model,
        "service_tier": tier,
        "calls": calls,
        "priced_calls": calls if is_priced else 0,
        **dict(zip(BUCKETS, tokens, strict=True)),
        **{f"priced_{name}": count if is_priced else 0 for name, count in zip(BUCKETS, tokens, strict=True)},
        "effective_cost": Decimal(cost) if cost is not None else None,
    }


def driven(
    period: date,
    tasks: int | None,
    *,
    without: int | None = 0,
    team: str = "search",
    workflow: str = "answers",
    **costs: str | Decimal | None,
) -> Row:
    """Return how many tasks there were, and costs beside usage by the name of their column without `_cost`."""
    return {
        "billing_period_start": period,
        "team": team,
        "workflow": workflow,
        "billing_currency": "USD",
        "tasks": tasks,
        "calls_without_task": without,
        **{f"{name}_cost": None if cost is None else Decimal(cost) for name, cost in costs.items()},
    }


def listed(period: date, unit: str, price: str | None, *, model: str = "alpha", quantity: int = 1) -> Row:
    """Return the list price of a unit; units of these tests are named as the buckets that they are counted in."""
    return {
        "billing_period_start": period,
        "provider": "openai",
        "model": model,
        "service_tier": "default",
        "unit": unit,
        "token_bucket": unit,
        "consumed_quantity": quantity,
        "unit_price_pico_usd": None if price is None else Decimal(price),
    }


def bills(used: Iterable[Row], drivers: Iterable[Row] = (), prices: Iterable[Row] = ()) -> Bills:
    """Return rows as bills."""
    return read_bills(
        pa.Table.from_pylist(list(used), schema=USAGE_SCHEMA),
        pa.Table.from_pylist(list(drivers), schema=DRIVERS_SCHEMA),
        pa.Table.from_pylist(list(prices), schema=UNIT_PRICES_SCHEMA),
    )


def by_cell(effects: pa.Table) -> CellEffects:
    """Return the amounts of one pair by team and workflow, and by effect."""
    told: CellEffects = {}
    for row in effects.to_pylist():
        cell = told.setdefault((row["team"], row["workflow"]), {})
        assert row["effect"] not in cell, row
        cell[row["effect"]] = row["effect_cost"]
    return told
