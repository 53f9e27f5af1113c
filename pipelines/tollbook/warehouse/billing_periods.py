"""Billing periods as a step of dbt's: which instants each of them holds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

import pyarrow as pa

from tollbook.rating.periods.calendar import BillingPeriod
from tollbook.warehouse.plan import planned_scope
from tollbook.warehouse.python_models import python_model
from tollbook.warehouse.state import WarehouseFolder

PERIODS_SCHEMA: Final = pa.schema(
    [
        ("billing_period_start", pa.date32()),
        ("billing_period_end", pa.date32()),
        ("billing_time_zone", pa.string()),
        ("period_begins_at", pa.timestamp("us", "UTC")),
        ("period_ends_at", pa.timestamp("us", "UTC")),
    ]
)
"""Billing periods, one row each, in order."""


def billing_periods_of(relations: Iterable[Any], session: Any) -> pa.Table:
    """Return the billing periods that relations have rows of, and the open one that takes corrections.

    Args:
        relations: DuckDB relations that have the column `billing_period_start`, the first day of a period.
        session: DuckDB connection of the build.

    Returns:
        `PERIODS_SCHEMA`, shape (n_periods,).
    """
    with python_model(session) as settings:
        scope = planned_scope(WarehouseFolder.of(settings))
        calendar = scope.calendar
        starts: set[date] = set() if scope.open_start is None else {scope.open_start}
        for relation in relations:
            starts.update(start for (start,) in relation.project("billing_period_start").distinct().fetchall())
        periods = [BillingPeriod.of(start) for start in sorted(starts)]
        columns = [
            [period.start for period in periods],
            [period.end for period in periods],
            [calendar.time_zone] * len(periods),
            [calendar.begins(period.start) for period in periods],
            [calendar.begins(period.end) for period in periods],
        ]
        return pa.table(columns, schema=PERIODS_SCHEMA)
