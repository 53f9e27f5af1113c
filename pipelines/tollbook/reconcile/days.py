"""Events against vendors' reports, by day of UTC, and by model and project where both sides tell them apart.

Where a report was not grouped by a dimension, or events do not tell it, all of the day is compared together. A model
goes by its own name where both sides know it, else by the name without the date of its snapshot. Sums are made by
DuckDB; what is named in Python is a day, not an event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import duckdb
import pyarrow as pa

from tollbook.chargeback.origins import pico_of
from tollbook.rating.model_names import model_name
from tollbook.rating.sources.exchange import ExchangeRates
from tollbook.reconcile.currency import in_usd
from tollbook.reconcile.days_query import COMPARED
from tollbook.reconcile.residuals import DayUnit, Measure, name_residuals
from tollbook.reconcile.windows import WINDOWS_SCHEMA, hour_windows

_MONEY: Final = pa.decimal128(38, 12)
USAGE_HOURS_SCHEMA: Final = pa.schema(
    [
        ("usage_date", pa.date32()),
        ("usage_hour", pa.int32()),
        ("billing_period_start", pa.date32()),
        ("provider", pa.string()),
        ("model", pa.string()),
        ("project_id", pa.string()),
        ("calls", pa.int64()),
        ("unpriced_calls", pa.int64()),
        ("unpriced_tokens", pa.int64()),
        ("total_tokens", pa.int64()),
        ("contracted_cost", _MONEY),
    ]
)
"""What is read of usage: sums of hours of UTC."""
_COUNTS: Final = ("calls", "tokens")
_SIDES: Final = ("", "_outside", "_edge", "_first", "_last")
_SUMMED: Final = (
    *(f"{name}{side}" for name in (*_COUNTS, "cost") for side in _SIDES),
    *("their_calls", "their_tokens", "their_cost", "credits", "steps", "unpriced_calls", "unpriced_tokens"),
)

ProviderOf = Callable[[str], str]


def compare_days(
    vendor_rows: pa.Table, hours: pa.Table, exchange: ExchangeRates, provider_of: ProviderOf = str
) -> list[DayUnit]:
    """Return every day that vendors report, compared with events, with every difference named.

    Buckets longer than a day take no part: they tell of no day.

    Args:
        vendor_rows: `vendor_usage/v1`, those that stand.
        hours: `USAGE_HOURS_SCHEMA`.
        exchange: Dated rates to USD.
        provider_of: Gives the price list's name of a provider by any of its names.
    """
    if not vendor_rows.num_rows:
        return []
    rows = in_usd(vendor_rows, exchange)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("vendor_rows", rows)
        connection.register("hours", hours.select(USAGE_HOURS_SCHEMA.names).cast(USAGE_HOURS_SCHEMA))
        vendors = _names(connection, "select distinct vendor from vendor_rows order by all")
        providers = _names(connection, "select distinct provider from hours order by all")
        pairs = [(each, vendor) for each in providers for vendor in vendors if provider_of(each) == provider_of(vendor)]
        _register(connection, "providers", ("provider", "vendor"), pairs)
        _register(connection, "models", ("vendor", "model", "compared"), _models(connection))
        windows = pa.Table.from_pylist(list(hour_windows(connection)), schema=WINDOWS_SCHEMA)
        connection.register("windows", windows)
        sums = ", ".join(f"sum({name}) as {name}" for name in _SUMMED)
        answer = connection.execute(COMPARED.format(sums=sums))
        names = [column[0] for column in answer.description or ()]
        units = [_unit(dict(zip(names, row, strict=True))) for row in answer.fetchall()]
    name_residuals(units)
    return units


def _models(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    """Return the name under which each model is compared, by vendor."""
    query = """
        select distinct vendor, model, true as is_theirs from vendor_rows where model is not null
        union all
        select distinct providers.vendor, hours.model, false from hours
        inner join providers on hours.provider = providers.provider where hours.model is not null
    """
    sides: dict[tuple[str, str], set[bool]] = {}
    for vendor, model, is_theirs in connection.execute(query).fetchall():
        sides.setdefault((vendor, model), set()).add(is_theirs)
    return [
        (vendor, model, model if len(told) > 1 else model_name(model).undated)
        for (vendor, model), told in sorted(sides.items())
    ]


def _unit(row: Mapping[str, Any]) -> DayUnit:
    return DayUnit(
        vendor=row["vendor"],
        day=row["usage_date"],
        model=row["model"],
        project_id=row["project_id"],
        calls=_measure(row, "calls", told=row["has_requests"]),
        tokens=_measure(row, "tokens", told=row["has_tokens"]),
        cost=_measure(row, "cost", told=row["has_cost"]),
        unpriced_tokens=int(row["unpriced_tokens"] or 0),
        unpriced_calls=int(row["unpriced_calls"] or 0),
        credits=_whole(row["credits"]),
        rounding=_whole(row["steps"]) // 2,
    )


def _measure(row: Mapping[str, Any], name: str, *, told: bool) -> Measure:
    ours, outside, edge, first, last = (_whole(row[f"{name}{side}"]) for side in _SIDES)
    return Measure(ours, _whole(row[f"their_{name}"]) if told else None, outside, edge, first, last)


def _whole(amount: int | Decimal | None) -> int:
    if isinstance(amount, Decimal):
        return pico_of(amount)
    return int(amount or 0)


def _names(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [name for (name,) in connection.execute(query).fetchall()]


def _register(
    connection: duckdb.DuckDBPyConnection, name: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]
) -> None:
    schema = pa.schema([(column, pa.string()) for column in columns])
    connection.register(name, pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows], schema))
