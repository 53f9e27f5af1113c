"""What the months ahead will cost, read from the published file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any

from tollbook.closing.closes import period_name
from tollbook.errors import MisuseError
from tollbook.insight.forecast_rows import EXPECTED, FLAT_PRICES, SCENARIOS
from tollbook.settings import Settings
from tollbook.trace.literals import bound
from tollbook.warehouse.query import ask


@dataclass(frozen=True, slots=True)
class MonthAhead:
    """A row of `insight.fct_forecast`, whose columns are described there."""

    billing_period_start: date
    team: str
    billing_currency: str
    scenario: str
    as_of_date: date
    actual_cost: Decimal | None
    forecast_cost: Decimal | None
    forecast_lower_cost: Decimal | None
    forecast_upper_cost: Decimal | None
    forecast_tasks: int | None
    forecast_tokens: int | None
    forecast_tokens_per_task: Decimal | None
    forecast_price_per_million_tokens: Decimal | None
    forecast_method: str | None
    reason: str | None
    backtest_error: Decimal | None
    last_value_error: Decimal | None
    mean_error: Decimal | None
    seasonal_week_error: Decimal | None
    history_weeks: int
    held_out_weeks: int
    base_unpriced_tokens: int
    scenario_entry: str | None

    @property
    def period(self) -> str:
        """The month as `YYYY-MM`."""
        return period_name(self.billing_period_start)

    def as_dict(self) -> dict[str, Any]:
        """Return the row for JSON: amounts as text with every digit."""
        return {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in asdict(self).items()}


_FORECAST = f"""
    select {", ".join(each.name for each in fields(MonthAhead))}
    from insight.fct_forecast
    where ? is null or team = ?
    order by team, billing_currency, billing_period_start, scenario
"""


def read_forecast(settings: Settings, *, team: str | None = None) -> list[MonthAhead]:
    """Return the published forecast of a team or of all, by team, currency, month and scenario.

    Raises:
        MisuseError: Nothing is forecast, or nothing of that team.
        NothingPublishedError: There is no published file yet.
        QueryError: The published file was made by a version that did not forecast.
    """
    rows = [MonthAhead(*row) for row in ask(settings, bound(_FORECAST, (team, team))).rows]
    if not rows and team is not None:
        raise MisuseError(f"expected a team with usage in the last 26 weeks, found none named {team!r}")
    if not rows:
        raise MisuseError("expected usage of at least one complete day, found none")
    return rows


def in_all(rows: Sequence[MonthAhead], scenario: str) -> Mapping[tuple[str, str], Decimal]:
    """Return what all teams with a forecast come to in a scenario, by currency and month, `YYYY-MM`."""
    sums: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        if row.scenario == scenario and row.forecast_cost is not None:
            sums[row.billing_currency, row.period] += row.forecast_cost
    return sums


def beside_flat_prices(rows: Sequence[MonthAhead]) -> list[tuple[MonthAhead, MonthAhead]]:
    """Return the expected row of each team, currency and month, and the one at flat prices."""
    flat = {_key(row): row for row in rows if row.scenario == FLAT_PRICES}
    return [(row, flat[_key(row)]) for row in rows if row.scenario == EXPECTED]


def beside_expected(rows: Sequence[MonthAhead]) -> list[tuple[MonthAhead, MonthAhead | None]]:
    """Return the rows of scenarios of reference data by their names, each beside what is expected.

    None stands beside teams that are not there yet.
    """
    expected = {_key(row): row for row in rows if row.scenario == EXPECTED}
    others = (row for row in rows if row.scenario not in SCENARIOS)
    return [(row, expected.get(_key(row))) for row in sorted(others, key=lambda row: row.scenario)]


def _key(row: MonthAhead) -> tuple[str, str, date]:
    return row.team, row.billing_currency, row.billing_period_start
