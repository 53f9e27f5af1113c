"""Rows of a forecast: what months come to as expected, at flat prices, and under scenarios."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tollbook.insight.forecast_ahead import Ahead, Errors, Month, days_window
from tollbook.insight.forecast_assumed import Used, assumed
from tollbook.insight.forecast_errors import LEAST_WEEKS, TESTED_WEEKS
from tollbook.insight.forecast_history import History, base_days
from tollbook.insight.forecast_methods import BASELINES, RECENT_WEEKS, WEEK_DAYS
from tollbook.insight.forecast_prices import KnownPrices, Window, token_price
from tollbook.insight.forecast_scenarios import Scenario, Span

EXPECTED: Final = "expected"
FLAT_PRICES: Final = "flat_prices"
SCENARIOS: Final = (EXPECTED, FLAT_PRICES)
"""Scenarios that are there without a file."""

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
        ("held_out_weeks_inside", pa.int64()),
        ("base_start_date", pa.date32()),
        ("base_tasks", pa.int64()),
        ("base_priced_tokens", pa.int64()),
        ("base_unpriced_tokens", pa.int64()),
        ("base_cost", _COST),
        ("catalogue_version", pa.string()),
        ("scenario_entry", pa.string()),
    ]
)


def rows_of_team(
    history: History,
    as_of: date,
    months: Sequence[Month],
    ahead: Ahead | None,
    used: Used,
    prices: KnownPrices | None,
    scenarios: Sequence[Scenario],
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a team."""
    today = as_of + timedelta(days=1)
    first, beyond = base_days(history, as_of, 0)
    before = days_window(first, beyond)
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
    flat = None if ahead is None else token_price(used.items, prices, before, days_window(as_of, today))
    for place, month in enumerate(months):
        actual = history.month_cost if place == 0 else 0
        days = (today + timedelta(days=month.first), today + timedelta(days=month.beyond))
        expected = None if ahead is None else token_price(used.items, prices, before, days_window(*days))
        told = base | {
            "billing_period_start": month.start,
            "months_ahead": place,
            "actual_cost": None if actual is None else _decimal(Fraction(actual)),
        }
        rows = {
            name: told
            | {"reason": _reason(history, errors, has_price=price is not None)}
            | (_drivers(ahead, month, price, actual or 0) if ahead is not None and price is not None else {})
            for name, price in ((EXPECTED, expected), (FLAT_PRICES, flat))
        }
        yield from (row | {"scenario": name} for name, row in rows.items())
        for scenario in scenarios:
            row = rows[EXPECTED] | {"scenario": scenario.name, "scenario_entry": scenario.entry_id}
            if (
                ahead is not None
                and expected is not None
                and prices is not None
                and scenario.touches(history.team, days)
            ):
                row |= _otherwise(history, scenario, ahead, month, days, used, prices, before, actual or 0)
            yield row


def _drivers(ahead: Ahead, month: Month, price: Fraction, actual: int) -> dict[str, Any]:
    """Return what is forecast of a month: counts, price, and the amounts that they make."""
    days = slice(month.first, month.beyond)
    tasks, tokens = (round(float(counts[days].sum())) for counts in (ahead.tasks, ahead.tokens))
    lower, upper = ahead.interval(month)
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
        "held_out_weeks_inside": ahead.held_weeks_inside,
    }


def _otherwise(
    history: History,
    scenario: Scenario,
    ahead: Ahead,
    month: Month,
    days: Span,
    used: Used,
    prices: KnownPrices,
    before: Window,
    actual: int,
) -> dict[str, Any]:
    """Return the same of a month under a scenario, in place of what is expected."""
    counts = [ahead.counts(month, days[0], span) for span in scenario.spans(*days)]
    usage = assumed(scenario, history.team, counts, used, prices, (before, days_window(*days)))
    added = scenario.added(history.team, history.billing_currency, (each.days for each in counts))
    counted = _counted(usage.tasks + added.tasks, usage.tokens + added.tokens, None)
    if usage.cost is None or usage.token_cost is None:
        amounts = ("forecast_cost", "forecast_lower_cost", "forecast_upper_cost")
        return counted | dict.fromkeys(amounts) | {"reason": "no_known_price_of_move"}
    known = actual + added.cost
    lower, upper = (_decimal(known + tokens * usage.token_cost) for tokens in ahead.interval(month))
    return _counted(usage.tasks + added.tasks, usage.tokens + added.tokens, usage.cost + added.cost) | {
        "forecast_cost": _decimal(known + usage.cost),
        "forecast_lower_cost": lower,
        "forecast_upper_cost": upper,
    }


def rows_of_new_teams(
    scenarios: Sequence[Scenario], teams: AbstractSet[tuple[str, str]], as_of: date, months: Sequence[Month]
) -> Iterator[dict[str, Any]]:
    """Yield the months of teams that scenarios have and the book has not."""
    today = as_of + timedelta(days=1)
    for scenario in scenarios:
        for team, currency in sorted(scenario.new_teams() - teams):
            for place, month in enumerate(months):
                days = (today + timedelta(days=month.first), today + timedelta(days=month.beyond))
                added = scenario.added(team, currency, scenario.spans(*days))
                amounts = ("forecast_cost", "forecast_lower_cost", "forecast_upper_cost")
                yield {
                    "billing_period_start": month.start,
                    "team": team,
                    "billing_currency": currency,
                    "scenario": scenario.name,
                    "scenario_entry": scenario.entry_id,
                    "as_of_date": as_of,
                    "months_ahead": place,
                    "actual_cost": Decimal(0),
                    "reason": "only_assumed",
                    **dict.fromkeys(("history_weeks", "held_out_weeks", "base_tasks"), 0),
                    **dict.fromkeys(("base_priced_tokens", "base_unpriced_tokens"), 0),
                    **_counted(added.tasks, added.tokens, added.cost),
                    **dict.fromkeys(amounts, _decimal(added.cost)),
                }


def _counted(tasks: Fraction, tokens: Fraction, cost: Fraction | None) -> dict[str, Any]:
    """Return counts in whole numbers, and what one is for another where there are any."""
    return {
        "forecast_tasks": round(tasks),
        "forecast_tokens": round(tokens),
        "forecast_tokens_per_task": _ratio(tokens / tasks) if tasks else None,
        "forecast_price_per_million_tokens": _decimal(cost / tokens * _MILLION)
        if cost is not None and tokens
        else None,
    }


def _reason(history: History, errors: Errors, *, has_price: bool) -> str | None:
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


def _week_error(errors: Errors, method: str) -> Decimal | None:
    return _ratio(errors[method][0]) if method in errors else None


def _decimal(pico: Fraction) -> Decimal:
    return Decimal(round(pico)).scaleb(-12)


def _ratio(value: Fraction) -> Decimal:
    return _decimal(value * 10**12)
