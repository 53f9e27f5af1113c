"""What the months ahead will cost, as a step of dbt's."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, Final

import pyarrow as pa

from tollbook.insight.forecast import forecast
from tollbook.insight.forecast_assumed import ITEM_KEY, WORKFLOW_ITEMS_SCHEMA
from tollbook.insight.forecast_history import (
    DAYS_SCHEMA,
    ITEMS_SCHEMA,
    first_day_read,
    histories,
    last_complete_day,
    windows_needed,
)
from tollbook.insight.forecast_methods import RECENT_WEEKS
from tollbook.insight.forecast_rows import FORECAST_SCHEMA
from tollbook.insight.forecast_scenarios import scenarios_of
from tollbook.rating.book import PriceBook
from tollbook.rating.unit_prices import TOKEN_BUCKETS
from tollbook.reference.dated.kinds import SCENARIOS
from tollbook.reference.dated.use import read_reference
from tollbook.warehouse.plan import planned_scope
from tollbook.warehouse.python_models import python_model
from tollbook.warehouse.state import WarehouseFolder

_KEY: Final = "usage_date, team, billing_currency"
_COST: Final = "decimal(38, 12)"
_PRICED_TOKENS: Final = "cast(sum(coalesce(total_tokens, 0) - coalesce(unpriced_tokens, 0)) as bigint) as priced_tokens"
_UNPRICED_TOKENS: Final = "cast(sum(coalesce(unpriced_tokens, 0)) as bigint) as unpriced_tokens"
_EFFECTIVE_COST: Final = f"cast(sum(effective_cost) as {_COST}) as effective_cost"
_ONLY_TASKS: Final = f"0::bigint as priced_tokens, 0::bigint as unpriced_tokens, null::{_COST} as effective_cost"
_NO_USAGE: Final = f"0::bigint as priced_tokens, null::{_COST} as effective_cost"
_ITEM: Final = ", ".join(("team", "billing_currency", *ITEM_KEY))
_BEGUN: Final = "cast(timezone('UTC', started_at) as date) as usage_date"
_WORKFLOW: Final = "team, billing_currency, workflow"


def forecast_of(usage: Any, tasks: Any, owned: Any, session: Any) -> pa.Table:
    """Return what usage will cost by team, by all that the book knows up to its last complete day.

    Args:
        usage: DuckDB relation of usage by day, with what its prices depend on.
        tasks: DuckDB relation of tasks, with the team and the instant in which each began.
        owned: DuckDB relation of calls by day, team and task; of it only calls without a task are looked at.
        session: DuckDB connection of the build.

    Returns:
        `FORECAST_SCHEMA`; no rows where the book has no complete day.
    """
    with python_model(session) as settings:
        newest = usage.aggregate("max(usage_date)").fetchall()[0][0]
        if newest is None:
            return FORECAST_SCHEMA.empty_table()
        as_of = last_complete_day(newest)
        days = _days(usage, tasks, owned, first_day_read(as_of), as_of)
        teams = histories(days, as_of)
        windows = windows_needed(teams)
        items = _items(usage, as_of, windows)
        known = read_reference(settings.reference).known(SCENARIOS, planned_scope(WarehouseFolder.of(settings)).now)
        scenarios = scenarios_of(known, as_of + timedelta(days=1))
        parts = _by_workflow(usage, tasks, owned, as_of) if scenarios and windows else None
        return forecast(teams, as_of, items, lambda: PriceBook.load(settings), scenarios=scenarios, by_workflow=parts)


def _days(usage: Any, tasks: Any, owned: Any, first: date, last: date) -> pa.Table:
    """Return `DAYS_SCHEMA`, tasks on the UTC day of their first call."""
    begun = tasks.project(f"{_BEGUN}, team, billing_currency")
    counted = [
        (usage, f"0::bigint as tasks, {_PRICED_TOKENS}, {_UNPRICED_TOKENS}, {_EFFECTIVE_COST}"),
        (begun, f"count(*) as tasks, {_ONLY_TASKS}"),
        (owned.filter("task_id is null"), f"cast(sum(calls) as bigint) as tasks, {_ONLY_TASKS}"),
    ]
    between = f"usage_date between date '{first}' and date '{last}'"
    of_usage, *of_tasks = (
        relation.filter(between).aggregate(f"{_KEY}, {measures}", _KEY).project(", ".join(DAYS_SCHEMA.names))
        for relation, measures in counted
    )
    union = of_usage
    for each in of_tasks:
        union = union.union(each)
    counts = ", ".join(f"cast(sum({name}) as bigint) as {name}" for name in DAYS_SCHEMA.names[3:6])
    days = union.aggregate(f"{_KEY}, {counts}, {_EFFECTIVE_COST}", _KEY).project(", ".join(DAYS_SCHEMA.names))
    return days.to_arrow_table().cast(DAYS_SCHEMA)


def _items(usage: Any, as_of: date, windows: Iterable[int]) -> pa.Table:
    """Return `ITEMS_SCHEMA` of windows that end so many weeks before the last complete day."""
    tables = [ITEMS_SCHEMA.empty_table()]
    buckets = ", ".join(f"cast(sum(coalesce({name}, 0)) as bigint) as {name}" for name in TOKEN_BUCKETS)
    for held_weeks in windows:
        last = as_of - timedelta(weeks=held_weeks)
        first = last - timedelta(weeks=RECENT_WEEKS) + timedelta(days=1)
        measures = f"{buckets}, {_PRICED_TOKENS}, {_EFFECTIVE_COST}"
        summed = usage.filter(f"usage_date between date '{first}' and date '{last}'").aggregate(
            f"{held_weeks}::bigint as held_weeks, {_ITEM}, {measures}", _ITEM
        )
        tables.append(summed.project(", ".join(ITEMS_SCHEMA.names)).to_arrow_table().cast(ITEMS_SCHEMA))
    return pa.concat_tables(tables)


def _by_workflow(usage: Any, tasks: Any, owned: Any, as_of: date) -> pa.Table:
    """Return `WORKFLOW_ITEMS_SCHEMA` of the four weeks up to the last complete day."""
    between = (
        f"usage_date between date '{as_of - timedelta(weeks=RECENT_WEEKS) + timedelta(days=1)}' and date '{as_of}'"
    )
    by_model = ", ".join((_WORKFLOW, *ITEM_KEY))
    no_model = ", ".join(f"null::varchar as {name}" for name in ITEM_KEY)
    counted = [
        (usage, f"{by_model}, {_PRICED_TOKENS}, {_EFFECTIVE_COST}, 0::bigint as tasks", by_model),
        (tasks.project(f"{_BEGUN}, {_WORKFLOW}"), "count(*) as tasks", _WORKFLOW),
        (owned.filter("task_id is null"), "cast(sum(calls) as bigint) as tasks", _WORKFLOW),
    ]
    tables = []
    for relation, measures, key in counted:
        told = measures if relation is usage else f"{_WORKFLOW}, {no_model}, {_NO_USAGE}, {measures}"
        summed = relation.filter(between).aggregate(told, key).project(", ".join(WORKFLOW_ITEMS_SCHEMA.names))
        tables.append(summed.to_arrow_table().cast(WORKFLOW_ITEMS_SCHEMA))
    return pa.concat_tables(tables)
