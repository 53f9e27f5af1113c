"""What a forecast is made from: days of each team, in whole weeks up to the last complete day of the book."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tollbook.insight.forecast_errors import LEAST_WEEKS, MOST_WEEKS, weeks_held_out
from tollbook.insight.forecast_methods import RECENT_WEEKS, WEEK_DAYS, Counts
from tollbook.rating.unit_prices import TOKEN_BUCKETS

_COST: Final = pa.decimal128(38, 12)

DAYS_SCHEMA: Final = pa.schema(
    [
        ("usage_date", pa.date32()),
        ("team", pa.string()),
        ("billing_currency", pa.string()),
        ("tasks", pa.int64()),
        ("priced_tokens", pa.int64()),
        ("unpriced_tokens", pa.int64()),
        ("effective_cost", _COST),
    ]
)
"""One row per UTC day, team and currency. `tasks`: those that began, and calls without one."""

ITEMS_SCHEMA: Final = pa.schema(
    [
        ("held_weeks", pa.int64()),
        *((name, pa.string()) for name in ("team", "billing_currency", "provider", "model", "service_tier")),
        ("billing_account_id", pa.string()),
        *((name, pa.int64()) for name in (*TOKEN_BUCKETS, "priced_tokens")),
        ("effective_cost", _COST),
    ]
)
"""What teams used in the four weeks that end `held_weeks` before the last complete day, by what prices depend on."""

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """The days of a team that a forecast is made from.

    Attributes:
        team: Whose usage it is.
        billing_currency: Currency of its cost.
        weeks: Whole weeks since its first day, at most 26.
        first_day: First day of them; of a team with less than a week, its first day.
        tasks: Tasks that began on each day, and calls without one, shape (7 * weeks,).
        tokens: Tokens of known cost, shape (7 * weeks,).
        unpriced_tokens: Tokens without one, shape (7 * weeks,).
        costs: Known cost, shape (7 * weeks,). Unit: pico-units of the currency.
        month_cost: Known cost of the days so far of the month that is forecast first; None where there is usage and
            none of it has one. Unit: pico-units of the currency.
    """

    team: str
    billing_currency: str
    weeks: int
    first_day: date
    tasks: Counts
    tokens: Counts
    unpriced_tokens: Counts
    costs: Sequence[int]
    month_cost: int | None

    @property
    def held_weeks(self) -> int:
        """Weeks that a back-test holds out, 0 where none is made."""
        return weeks_held_out(self.weeks)


def last_complete_day(newest: date) -> date:
    """Return the day that the book knows whole: the one before the newest that has usage."""
    return newest - timedelta(days=1)


def first_day_read(as_of: date) -> date:
    """Return the first day of the weeks that are looked back; the month of the day after `as_of` lies within."""
    return as_of - timedelta(days=MOST_WEEKS * WEEK_DAYS - 1)


def histories(days: pa.Table, as_of: date) -> list[History]:
    """Return what is known of each team.

    Args:
        days: `DAYS_SCHEMA`, of `first_day_read` to `as_of`.
        as_of: Last complete day.

    Returns:
        One for each team and currency, ordered by them.
    """
    told: defaultdict[tuple[str, str], dict[date, Item]] = defaultdict(dict)
    for row in days.to_pylist():
        told[row["team"], row["billing_currency"]][row["usage_date"]] = row
    return [_history(*key, told[key], as_of) for key in sorted(told)]


def windows_needed(teams: Sequence[History]) -> list[int]:
    """Return the `held_weeks` of `ITEMS_SCHEMA` that forecasts of teams need."""
    forecast = [each for each in teams if each.weeks >= LEAST_WEEKS]
    return sorted({weeks for each in forecast for weeks in (0, each.held_weeks)})


def base_days(history: History, as_of: date, held_weeks: int) -> tuple[date, date]:
    """Return the days `[first, beyond)` whose mix and cost a forecast goes by, with the last weeks held out or not."""
    beyond = as_of + timedelta(days=1) - held_weeks * timedelta(weeks=1)
    return max(history.first_day, beyond - timedelta(weeks=RECENT_WEEKS)), beyond


def _history(team: str, currency: str, told: Mapping[date, Item], as_of: date) -> History:
    first = min(told)
    weeks = min(((as_of - first).days + 1) // WEEK_DAYS, MOST_WEEKS)
    dates = [as_of - timedelta(days=back) for back in reversed(range(weeks * WEEK_DAYS))]
    rows = [told.get(day, {}) for day in dates]
    month = (as_of + timedelta(days=1)).replace(day=1)
    costs = [row["effective_cost"] for day, row in told.items() if day >= month]
    known = [int(cost.scaleb(12)) for cost in costs if cost is not None]
    return History(
        team=team,
        billing_currency=currency,
        weeks=weeks,
        first_day=dates[0] if dates else first,
        tasks=np.fromiter(_counts(rows, "tasks"), np.float64),
        tokens=np.fromiter(_counts(rows, "priced_tokens"), np.float64),
        unpriced_tokens=np.fromiter(_counts(rows, "unpriced_tokens"), np.float64),
        costs=[int((row.get("effective_cost") or 0) * 10**12) for row in rows],
        month_cost=sum(known) if known or not costs else None,
    )


def _counts(rows: Sequence[Item], name: str) -> Iterator[int]:
    return (row.get(name) or 0 for row in rows)
