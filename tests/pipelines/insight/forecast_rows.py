"""Histories, items and price books for forecasts, in few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import yaml

from tollbook.insight.forecast import forecast
from tollbook.insight.forecast_assumed import WORKFLOW_ITEMS_SCHEMA
from tollbook.insight.forecast_history import DAYS_SCHEMA, ITEMS_SCHEMA, histories
from tollbook.insight.forecast_scenarios import Scenario, scenarios_of
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price
from tollbook.reference.dated.kinds import KINDS, SCENARIOS

AS_OF = date(2026, 8, 30)
"""A Sunday, one day before the month ends."""

Row = dict[str, Any]


def days(
    tokens: Sequence[int],
    *,
    team: str = "search",
    price: str = "0.000002",
    tasks: Sequence[int] | None = None,
    unpriced: bool = False,
) -> list[Row]:
    """Return the days up to `AS_OF` that used so many tokens each, at a price in USD a token; ten tasks a day."""
    first = AS_OF - timedelta(days=len(tokens) - 1)
    return [
        {
            "usage_date": first + timedelta(days=place),
            "team": team,
            "billing_currency": "USD",
            "tasks": 10 if tasks is None else tasks[place],
            "priced_tokens": 0 if unpriced else count,
            "unpriced_tokens": count if unpriced else 0,
            "effective_cost": None if unpriced else count * Decimal(price),
        }
        for place, count in enumerate(tokens)
    ]


def item(held_weeks: int, tokens: int, cost: str, *, team: str = "search", model: str = "m", **told: Any) -> Row:
    """Return what a team used of a model in a window, all of it uncached input."""
    return {
        "held_weeks": held_weeks,
        "team": team,
        "billing_currency": "USD",
        "provider": "acme",
        "model": model,
        "service_tier": "default",
        "billing_account_id": None,
        "uncached_input_tokens": tokens,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "output_tokens": 0,
        "priced_tokens": tokens,
        "effective_cost": Decimal(cost),
        **told,
    }


def items_of(rows: Sequence[Row], held_weeks: Sequence[int]) -> list[Row]:
    """Return items of one model that are what days of equal price used in the windows."""
    found = []
    for held in held_weeks:
        beyond = AS_OF + timedelta(days=1) - timedelta(weeks=held)
        inside = [row for row in rows if beyond - timedelta(weeks=4) <= row["usage_date"] < beyond]
        for team in sorted({row["team"] for row in inside}):
            of_team = [row for row in inside if row["team"] == team]
            cost = sum((row["effective_cost"] or Decimal(0) for row in of_team), Decimal(0))
            found.append(item(held, sum(row["priced_tokens"] for row in of_team), str(cost), team=team))
    return found


def book(*changes: tuple[date, int], model: str = "m", others: Mapping[str, int] | None = None) -> PriceBook:
    """Return a book in which a model costs 2,000,000 pico-USD a token, and from dates on something else."""
    starts: list[tuple[datetime | None, int]] = [(None, 2_000_000)]
    starts += [(datetime(day.year, day.month, day.day, tzinfo=UTC), rate) for day, rate in changes]
    ends = [start for start, _ in starts[1:]] + [None]
    rows = [
        Price("acme", model, {"input_tokens": Fraction(rate)}, valid_from=start, valid_to=end)
        for (start, rate), end in zip(starts, ends, strict=True)
    ]
    rows += [Price("acme", other, {"input_tokens": rate}) for other, rate in (others or {}).items()]
    return PriceBook.of(Catalogue.from_rows(rows, version="test"))


def forecast_rows(
    told: Sequence[Row],
    items: Sequence[Row],
    prices: PriceBook | None = None,
    *,
    as_of: date = AS_OF,
    scenarios: Sequence[Scenario] = (),
    by_workflow: Sequence[Row] = (),
) -> list[Row]:
    """Return the forecast of days and items, and of parts of items by workflow where there are scenarios."""
    tables = (pa.Table.from_pylist(list(told), DAYS_SCHEMA), pa.Table.from_pylist(list(items), ITEMS_SCHEMA))
    parts = pa.Table.from_pylist(list(by_workflow), WORKFLOW_ITEMS_SCHEMA)
    teams = histories(tables[0], as_of)
    made = forecast(teams, as_of, tables[1], lambda: prices or book(), scenarios=scenarios, by_workflow=parts)
    rows: list[Row] = made.to_pylist()
    return rows


def part(
    workflow: str, tokens: int, cost: str | None, *, team: str = "search", model: str | None = "m", tasks: int = 0
) -> Row:
    """Return what a workflow used in the base of a model; or of none, how many tasks it began."""
    return {
        "team": team,
        "billing_currency": "USD",
        "workflow": workflow,
        "provider": None if model is None else "acme",
        "model": model,
        "service_tier": None if model is None else "default",
        "billing_account_id": None,
        "priced_tokens": tokens,
        "effective_cost": None if cost is None else Decimal(cost),
        "tasks": tasks,
    }


def scenario(*assumptions: Row, name: str = "other") -> Scenario:
    """Return a scenario of assumptions as they stand in a file."""
    body = {
        "entry_id": f"{name}-1",
        "scenario": name,
        "assumptions": list(assumptions),
        "valid_from": "2026-01-01",
        "known_from": "2026-01-01T00:00:00Z",
        "author": "a",
        "reason": "r",
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "scenarios.yml"
        path.write_text(yaml.safe_dump({SCENARIOS: 1, "entries": [body]}), encoding="utf-8")
        (found,) = scenarios_of(KINDS[SCENARIOS].read(path).entries, AS_OF)
    return found
