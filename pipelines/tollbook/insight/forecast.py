"""What the months ahead will cost by team: tasks, times tokens per task, times what is known of prices ahead.

Counts go on by the method that would have told the last weeks best. Amounts are made of whole counts and exact prices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from tollbook.insight.forecast_ahead import counts_ahead, months_ahead
from tollbook.insight.forecast_assumed import Used
from tollbook.insight.forecast_errors import LEAST_WEEKS
from tollbook.insight.forecast_history import History, Item
from tollbook.insight.forecast_prices import KnownPrices
from tollbook.insight.forecast_rows import FORECAST_SCHEMA, rows_of_new_teams, rows_of_team
from tollbook.insight.forecast_scenarios import Scenario
from tollbook.rating.book import PriceBook


def forecast(
    teams: Sequence[History],
    as_of: date,
    items: pa.Table,
    load_prices: Callable[[], PriceBook],
    *,
    scenarios: Sequence[Scenario] = (),
    by_workflow: pa.Table | None = None,
) -> pa.Table:
    """Return the forecast of each team for the month of the day after `as_of`, and three months more.

    Args:
        teams: What is known of each.
        as_of: Last complete day.
        items: `tollbook.insight.forecast_history.ITEMS_SCHEMA`, of the windows that `windows_needed` names.
        load_prices: Gives the price book in force; not called unless a team has weeks enough.
        scenarios: Scenarios beside those that are always there.
        by_workflow: `tollbook.insight.forecast_assumed.WORKFLOW_ITEMS_SCHEMA`, needed where there are scenarios.

    Returns:
        `FORECAST_SCHEMA`: a row for each month, team, currency and scenario, ordered by month, team and currency. A
        team without a forecast has its rows too, with a reason. The same inputs make the same rows.
    """
    used: defaultdict[tuple[int, str, str], list[Item]] = defaultdict(list)
    for item in items.to_pylist():
        used[item["held_weeks"], item["team"], item["billing_currency"]].append(item)
    months = months_ahead(as_of + timedelta(days=1))
    enough = [each for each in teams if each.weeks >= LEAST_WEEKS]
    prices = KnownPrices(load_prices()) if enough else None
    ahead = {} if prices is None else counts_ahead(enough, as_of, used, prices, months[-1].beyond)
    parts: defaultdict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in () if by_workflow is None else by_workflow.to_pylist():
        parts[item["team"], item["billing_currency"]].append(item)
    rows: list[dict[str, Any]] = []
    for each in teams:
        key = (each.team, each.billing_currency)
        base = Used(used.get((0, *key), ()), parts.get(key, ()))
        rows += rows_of_team(each, as_of, months, ahead.get(key), base, prices, scenarios)
    rows += rows_of_new_teams(scenarios, {(each.team, each.billing_currency) for each in teams}, as_of, months)
    rows.sort(key=lambda row: tuple(row[name] for name in FORECAST_SCHEMA.names[:3]))
    return pa.Table.from_pylist(rows, schema=FORECAST_SCHEMA)
