"""How much was used of what, by billing period: what checks and the price index hold prices against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tollbook.rating.periods.calendar import BillingCalendar

COLUMNS: Final = (
    "billing_period_start",
    "billing_period_end",
    "provider",
    "model",
    "service_tier",
    "unit",
    "consumed_quantity",
    "unpriced_quantity",
)
"""Columns of `insight.fct_unit_usage` that usage is read from."""


@dataclass(frozen=True, slots=True)
class UsedUnit:
    """How much of one unit of one model was used in one billing period.

    Attributes:
        period_start: First instant of the period, UTC.
        period_end: First instant after it.
        provider: Provider, as the events tell it.
        model: Model, as the events tell it.
        service_tier: Service tier, as the events tell it.
        unit: Unit of `units.yml`, or what events call one it does not name.
        quantity: How much, of calls that count.
        unpriced_quantity: How much of it is in calls whose cost is unknown.
    """

    period_start: datetime
    period_end: datetime
    provider: str
    model: str
    service_tier: str
    unit: str
    quantity: int
    unpriced_quantity: int = 0


def used_units(rows: Iterable[Mapping[str, Any]], calendar: BillingCalendar) -> Iterator[UsedUnit]:
    """Yield usage from rows that have `COLUMNS`; their dates are those of the billing calendar."""
    for row in rows:
        start, end, *told = (row[name] for name in COLUMNS)
        yield UsedUnit(calendar.begins(start), calendar.begins(end), *told)
