"""What the months ahead will cost by team: tasks, times tokens per task, times what is known of prices ahead.

Counts go on by the method that would have told the last weeks best. Amounts are made of whole counts and exact prices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tollbook.insight.forecast_errors import (
    LEAST_WEEKS,
    TESTED_WEEKS,
    cost_error,
    half_width,
    held_out_forecasts,
    week_errors,
)
from tollbook.insight.forecast_history import History, Item, base_days
from tollbook.insight.forecast_methods import (
    BASELINES,
    METHODS,
    RECENT_WEEKS,
    SHORT_HISTORY_METHOD,
    WEEK_DAYS,
    Counts,
)
from tollbook.insight.forecast_prices import KnownPrices, Window, token_price
from tollbook.rating.book import PriceBook
from tollbook.rating.periods.calendar import UTC_CALENDAR

MONTHS_AHEAD: Final = 3
"""Whole months that follow the one that is forecast first."""

EXPECTED: Final = "expected"
FLAT_PRICES: Final = "flat_prices"
SCENARIOS: Final = (EXPECTED, FLAT_PRICES)

_COST: Final = pa.decimal128(38, 12)
_MILLION: Final = 10**6

FORECAST_SCHEMA: Final = pa.schema(
    [
        ("billing_period_start", pa.date32()),
        *((name, pa.string()) for name in ("team", "billing_currency", "scenario")),
        ("as_of_date", pa.date32()),
        ("months_ahead", pa.int64()),
        ("actual_cost", _COST),
        ("forecast_tasks", pa.int64()),
        ("forecast_tokens", pa.int64()),
        ("forecast_tokens_per_task", _COST),
        ("forecast_price_per_million_tokens", _COST),
        *((name, _COST) for name in ("forecast_cost", "forecast_lower_cost", "forecast_upper_cost")),
        *((name, pa.string()) for name in ("forecast_method", "reason")),
        *((name, _COST) for name in ("backtest_error", *(f"{each}_error" for each in BASELINES))),
        ("history_weeks", pa.int64()),
        ("held_out_weeks", pa.int64()),
        ("base_start_date", pa.date32()),
        ("base_tasks", pa.int64()),
        ("base_priced_tokens", pa.int64()),
        ("base_unpriced_tokens", pa.int64()),
        ("base_cost", _COST),
        ("catalogue_version", pa.string()),
    ]
)

Items = Mapping[tuple[int, str, str], Sequence[Item]]
_Errors = Mapping[str, tuple[Fraction, Fraction]]
"""Method to how far it was off: by week, and by day. Without a scale there is none."""


@dataclass(frozen=True, slots=True)
class _Month:
    """A month that is forecast, from the first day that is not known whole. Days count from that day."""

    start: date
    first: int
    beyond: int


@dataclass(frozen=True, slots=True)
class _Ahead:
    """Counts of a team on the days ahead, by the method that was chosen."""

    method: str
    errors: _Errors
    tasks: Counts
    tokens: Counts
    memory: Counts
    week_errors: Counts


def forecast(teams: Sequence[History], as_of: date, items: pa.Table, load_prices: Callable[[], PriceBook]) -> pa.Table:
    """Return the forecast of each team for the month of the day after `as_of`, and three months more.

    Args:
        teams: What is known of each.
        as_of: Last complete day.
        items: `tollbook.insight.forecast_history.ITEMS_SCHEMA`, of the windows that `windows_needed` names.
        load_prices: Gives the price book in force; not called unless a team has weeks enough.

    Returns:
        `FORECAST_SCHEMA`: a row for each month, team, currency and scenario, ordered by month, team and currency. A
        team without a forecast has its rows too, with a reason. The same inputs make the same rows.
    """
    used: defaultdict[tuple[int, str, str], list[Item]] = defaultdict(list)
    for item in items.to_pylist():
        used[item["held_weeks"], item["team"], item["billing_currency"]].append(item)
    months = _months(as_of + timedelta(days=1))
    enough = [each for each in teams if each.weeks >= LEAST_WEEKS]
    prices = KnownPrices(load_prices()) if enough else None
    ahead = {} if prices is None else _ahead(enough, as_of, used, prices, months[-1].beyond)
    rows: list[dict[str, Any]] = []
    for each in teams:
        key = (each.team, each.billing_currency)
        rows += _rows(each, as_of, months, ahead.get(key), used.get((0, *key), ()), prices)
    rows.sort(key=lambda row: tuple(row[name] for name in FORECAST_SCHEMA.names[:3]))
    return pa.Table.from_pylist(rows, schema=FORECAST_SCHEMA)


def _months(first: date) -> list[_Month]:
    """Return the month of a day from that day on, and the months that follow."""
    start, months = first.replace(day=1), []
    for _ in range(MONTHS_AHEAD + 1):
        beyond = (start + timedelta(days=31)).replace(day=1)
        months.append(_Month(start, max((start - first).days, 0), (beyond - first).days))
        start = beyond
    return months


def _ahead(
    teams: Sequence[History], as_of: date, used: Items, prices: KnownPrices, n_days: int
) -> dict[tuple[str, str], _Ahead]:
    """Return the days ahead of teams, each by its own method; those of equal history are computed at once."""
    errors = _backtest(teams, as_of, used, prices)
    alike: defaultdict[tuple[int, str], list[History]] = defaultdict(list)
    for each in teams:
        alike[each.weeks, _chosen(each, errors[each.team, each.billing_currency])].append(each)
    ahead = {}
    for (_, method), group in alike.items():
        tokens = np.stack([each.tokens for each in group])
        tasks = METHODS[method](np.stack([each.tasks for each in group]), n_days).days
        continued, off = METHODS[method](tokens, n_days), week_errors(tokens, method)
        for place, each in enumerate(group):
            key = (each.team, each.billing_currency)
            counts = (tasks[place], continued.days[place], continued.memory[place])
            ahead[key] = _Ahead(method, errors[key], *counts, off[place])
    return ahead


def _backtest(
    teams: Sequence[History], as_of: date, used: Items, prices: KnownPrices
) -> Mapping[tuple[str, str], _Errors]:
    """Return the errors of every method on the weeks that are held out; nothing where there are none."""
    errors: dict[tuple[str, str], dict[str, tuple[Fraction, Fraction]]] = {
        (each.team, each.billing_currency): {} for each in teams
    }
    alike: defaultdict[int, list[History]] = defaultdict(list)
    for each in teams:
        if each.held_weeks:
            alike[each.weeks].append(each)
    for group in alike.values():
        held = group[0].held_weeks
        said = held_out_forecasts(np.stack([each.tokens for each in group]), held)
        for place, each in enumerate(group):
            key = (each.team, each.billing_currency)
            first, beyond = base_days(each, as_of, held)
            after = _window(beyond, as_of + timedelta(days=1))
            price = token_price(used.get((held, *key), ()), prices, _window(first, beyond), after)
            costs = each.costs[-held * WEEK_DAYS :]
            for method, days in said.items():
                told = [int(count) for count in days[place]]
                off = [
                    None if price is None else cost_error(told, price, costs, of_days=span) for span in (WEEK_DAYS, 1)
                ]
                if off[0] is not None and off[1] is not None:
                    errors[key][method] = (off[0], off[1])
    return errors


def _chosen(history: History, errors: _Errors) -> str:
    """Return the method of the least error by week, of equal ones by day, of equal ones the simplest."""
    if not history.held_weeks:
        return SHORT_HISTORY_METHOD
    return min(errors, key=lambda method: errors[method]) if errors else next(iter(METHODS))


def _rows(
    history: History,
    as_of: date,
    months: Sequence[_Month],
    ahead: _Ahead | None,
    items: Sequence[Item],
    prices: KnownPrices | None,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a team."""
    today = as_of + timedelta(days=1)
    first, beyond = base_days(history, as_of, 0)
    before = _window(first, beyond)
    recent = slice(-RECENT_WEEKS * WEEK_DAYS, None)
    errors = {} if ahead is None else ahead.errors
    base = {
        "team": history.team,
        "billing_currency": history.billing_currency,
        "as_of_date": as_of,
        "history_weeks": history.weeks,
        "held_out_weeks": history.held_weeks,
        "base_start_date": first,
        "base_tasks": int(history.tasks[recent].sum()),
        "base_priced_tokens": int(history.tokens[recent].sum()),
        "base_unpriced_tokens": int(history.unpriced_tokens[recent].sum()),
        "base_cost": _decimal(Fraction(sum(history.costs[recent]))) if any(history.costs[recent]) else None,
        "catalogue_version": None if prices is None else prices.version,
        **{f"{name}_error": _week_error(errors, name) for name in BASELINES},
    }
    flat = None if ahead is None else token_price(items, prices, before, _window(as_of, today))
    for place, month in enumerate(months):
        actual = history.month_cost if place == 0 else 0
        ahead_days = _window(today + timedelta(days=month.first), today + timedelta(days=month.beyond))
        expected = None if ahead is None else token_price(items, prices, before, ahead_days)
        for scenario, price in zip(SCENARIOS, (expected, flat), strict=True):
            yield base | {
                "billing_period_start": month.start,
                "scenario": scenario,
                "months_ahead": place,
                "actual_cost": None if actual is None else _decimal(Fraction(actual)),
                "reason": _reason(history, errors, has_price=price is not None),
                **(_drivers(ahead, month, price, actual or 0) if ahead is not None and price is not None else {}),
            }


def _drivers(ahead: _Ahead, month: _Month, price: Fraction, actual: int) -> dict[str, Any]:
    """Return what is forecast of a month: counts, price, and the amounts that they make."""
    days = slice(month.first, month.beyond)
    tasks, tokens = (round(float(counts[days].sum())) for counts in (ahead.tasks, ahead.tokens))
    width = half_width(ahead.week_errors, ahead.memory, month.first, month.beyond)
    lower, upper = max(round(tokens - width), 0), round(tokens + width)
    return {
        "forecast_tasks": tasks,
        "forecast_tokens": tokens,
        "forecast_tokens_per_task": _ratio(Fraction(tokens, tasks)) if tasks else None,
        "forecast_price_per_million_tokens": _decimal(price * _MILLION),
        "forecast_cost": _decimal(actual + tokens * price),
        "forecast_lower_cost": _decimal(actual + lower * price),
        "forecast_upper_cost": _decimal(actual + upper * price),
        "forecast_method": ahead.method,
        "backtest_error": _week_error(ahead.errors, ahead.method),
    }


def _reason(history: History, errors: _Errors, *, has_price: bool) -> str | None:
    """Return why there is no forecast, or none that was tested; None where there is."""
    recent = slice(-RECENT_WEEKS * WEEK_DAYS, None)
    if history.weeks < LEAST_WEEKS:
        return "too_little_history"
    if not has_price:
        unknown = history.unpriced_tokens[recent].any() or any(history.costs[recent])
        return "no_known_price" if unknown else "no_recent_usage"
    if history.weeks < TESTED_WEEKS:
        return "short_history"
    return None if errors else "nothing_to_test_by"


def _week_error(errors: _Errors, method: str) -> Decimal | None:
    return _ratio(errors[method][0]) if method in errors else None


def _window(first: date, beyond: date) -> Window:
    return UTC_CALENDAR.begins(first), UTC_CALENDAR.begins(beyond)


def _decimal(pico: Fraction) -> Decimal:
    return Decimal(round(pico)).scaleb(-12)


def _ratio(value: Fraction) -> Decimal:
    return _decimal(value * 10**12)
