"""How the counts of teams go on over the months ahead, each by the method that told the last weeks best."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

import numpy as np

from tollbook.insight.forecast_assumed import SpanCounts
from tollbook.insight.forecast_errors import (
    cost_error,
    held_out_forecasts,
)
from tollbook.insight.forecast_history import History, Item, base_days
from tollbook.insight.forecast_intervals import Spread, interval, spreads, weeks_inside
from tollbook.insight.forecast_methods import METHODS, SHORT_HISTORY_METHOD, WEEK_DAYS, Counts
from tollbook.insight.forecast_prices import KnownPrices, Window, token_price
from tollbook.insight.forecast_scenarios import Span
from tollbook.rating.periods.calendar import UTC_CALENDAR

MONTHS_AHEAD: Final = 3
"""Whole months that follow the one that is forecast first."""

Items = Mapping[tuple[int, str, str], Sequence[Item]]
"""`ITEMS_SCHEMA` by weeks held out, team and currency."""

Errors = Mapping[str, tuple[Fraction, Fraction]]
"""Method to how far it was off: by week, and by day. Without a scale there is none."""


@dataclass(frozen=True, slots=True)
class Month:
    """A month that is forecast, from the first day that is not known whole. Days count from that day."""

    start: date
    first: int
    beyond: int


@dataclass(frozen=True, slots=True)
class Ahead:
    """Counts of a team on the days ahead, by the method that was chosen.

    `held_weeks_inside` are the weeks held out whose tokens lay within the interval that was told of them.
    """

    method: str
    errors: Errors
    tasks: Counts
    tokens: Counts
    memory: Counts
    spread: Spread
    held_weeks_inside: int | None

    def interval(self, month: Month) -> tuple[int, int]:
        """Return the ends of the interval that holds the tokens of the rest of a month four times of five."""
        lower, upper = interval(self.tokens, self.memory, self.spread, month.first, month.beyond)
        return round(lower), round(upper)

    def counts(self, month: Month, first: date, span: Span) -> SpanCounts:
        """Return the tasks and tokens of a span of a month; those of all of its spans sum to those of the month.

        Args:
            month: The month.
            first: Its first day ahead.
            span: Days within it.
        """
        places = [month.first + (day - first).days for day in span]
        tasks, tokens = (
            round(float(counts[month.first : places[1]].sum())) - round(float(counts[month.first : places[0]].sum()))
            for counts in (self.tasks, self.tokens)
        )
        return SpanCounts(span, tasks, tokens)


def months_ahead(first: date) -> list[Month]:
    """Return the month of a day from that day on, and the months that follow."""
    start, months = first.replace(day=1), []
    for _ in range(MONTHS_AHEAD + 1):
        beyond = (start + timedelta(days=31)).replace(day=1)
        months.append(Month(start, max((start - first).days, 0), (beyond - first).days))
        start = beyond
    return months


def days_window(first: date, beyond: date) -> Window:
    """Return the days `[first, beyond)` of UTC as instants."""
    return UTC_CALENDAR.begins(first), UTC_CALENDAR.begins(beyond)


def counts_ahead(
    teams: Sequence[History], as_of: date, used: Items, prices: KnownPrices, n_days: int
) -> dict[tuple[str, str], Ahead]:
    """Return the days ahead of teams, each by its own method; those of equal history are computed at once."""
    errors = _backtest(teams, as_of, used, prices)
    alike: defaultdict[tuple[int, str], list[History]] = defaultdict(list)
    for each in teams:
        alike[each.weeks, _chosen(each, errors[each.team, each.billing_currency])].append(each)
    ahead = {}
    for (_, method), group in alike.items():
        tokens = np.stack([each.tokens for each in group])
        tasks = METHODS[method](np.stack([each.tasks for each in group]), n_days).days
        continued, off = METHODS[method](tokens, n_days), spreads(tokens, method)
        inside = weeks_inside(tokens, method, group[0].held_weeks)
        for place, each in enumerate(group):
            key = (each.team, each.billing_currency)
            counts = (tasks[place], continued.days[place], continued.memory[place])
            ahead[key] = Ahead(method, errors[key], *counts, off[place], inside[place])
    return ahead


def _backtest(
    teams: Sequence[History], as_of: date, used: Items, prices: KnownPrices
) -> Mapping[tuple[str, str], Errors]:
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
            after = days_window(beyond, as_of + timedelta(days=1))
            price = token_price(used.get((held, *key), ()), prices, days_window(first, beyond), after)
            costs = each.costs[-held * WEEK_DAYS :]
            for method, days in said.items():
                told = [int(count) for count in days[place]]
                off = [
                    None if price is None else cost_error(told, price, costs, of_days=span) for span in (WEEK_DAYS, 1)
                ]
                if off[0] is not None and off[1] is not None:
                    errors[key][method] = (off[0], off[1])
    return errors


def _chosen(history: History, errors: Errors) -> str:
    """Return the method of the least error by week, of equal ones by day, of equal ones the simplest."""
    if not history.held_weeks:
        return SHORT_HISTORY_METHOD
    return min(errors, key=lambda method: errors[method]) if errors else next(iter(METHODS))
