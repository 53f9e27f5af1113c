"""How far sums of days ahead may be off: by what a method was off, told from each of the last weeks.

A series that grows is off by a part of what it came to, and one that is mostly empty by so many: so errors are ratios
where a week is not off by half of it, and counts elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from tollbook.insight.forecast_methods import METHODS, SHORT_HISTORY_METHOD, WEEK_DAYS, Counts

_MOST_ORIGINS: Final = 8
_LEAST_TRAINED: Final = 3

# Upper tenth of Student's t by degrees of freedom: half of what an interval of 80 % leaves out lies above it.
# Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2.
_UPPER_TENTH: Final = (3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397)

_LARGEST_RATIO: Final = math.log(2)
_WIDEST_RATIO: Final = math.log(10)
"""An end is at most ten times what is forecast, or a tenth: a few weeks of fast growth say no more of months ahead."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What one week is off.

    Attributes:
        count: Root mean square of what a week was off, in counts.
        ratio: The same of natural logarithms of what a week came to for one that was forecast; None where a week was
            empty, was forecast to be, or was off by more than half or twice.
        origins: Weeks that were told from, at least one.
    """

    count: float
    ratio: float | None
    origins: int


def spreads(series: Counts, method: str) -> list[Spread]:
    """Return what a week of each series is off, when a method tells of it.

    From each of at most eight last weeks both the week after it and all weeks since are told, of the days before alone;
    what a sum of weeks is off stands for that part of it which one week is off by.

    Args:
        series: Daily counts, shape (n_series, at least two whole weeks).
        method: One of `METHODS`.
    """
    weeks = series.shape[1] // WEEK_DAYS
    trained = 1 if method == SHORT_HISTORY_METHOD else min(_LEAST_TRAINED, weeks - 1)
    origins = min(weeks - trained, _MOST_ORIGINS)
    counts, ratios = [], []
    for back in range(1, origins + 1):
        continued = METHODS[method](series[:, : -back * WEEK_DAYS], back * WEEK_DAYS)
        told = series[:, -back * WEEK_DAYS :].reshape(len(series), back, WEEK_DAYS).sum(axis=2)
        said = continued.days.reshape(len(series), back, WEEK_DAYS).sum(axis=2)
        even = np.ones((len(series), back))
        counts += [told[:, 0] - said[:, 0], (told - said).sum(axis=1) / _taken_over(continued.memory, even)]
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = said / said.sum(axis=1, keepdims=True)
            ratios.append(np.log(told[:, 0] / said[:, 0]))
            ratios.append(np.log(told.sum(axis=1) / said.sum(axis=1)) / _taken_over(continued.memory, shares))
    count, ratio = (np.sqrt(np.mean(np.square(np.stack(errors)), axis=0)) for errors in (counts, ratios))
    return [
        Spread(float(one), float(other) if other <= _LARGEST_RATIO else None, origins)
        for one, other in zip(count, ratio, strict=True)
    ]


def interval(days: Counts, memory: Counts, spread: Spread, first: int, beyond: int) -> tuple[float, float]:
    """Return the ends of an interval of 80 % around a sum of days ahead.

    Each week ahead is off by an error of its own and, by `memory`, by those of the weeks before it.

    Args:
        days: What is forecast of each day, shape (n_days,).
        memory: Share of a week's error that the forecast of a week so many weeks later takes over, from one week later
            on, shape (n_weeks,), no fewer than the weeks ahead.
        spread: What one week is off.
        first: First day of the sum, 0 for the first that is forecast.
        beyond: The day after its last.

    Returns:
        Lower and upper end, zero or more, of which the sum lies between.

    Source:
        Hyndman and Athanasopoulos, Forecasting: Principles and Practice (3rd edition), section 8.7: variances of linear
        exponential smoothing, summed over days of one period.
    """
    total = float(days[first:beyond].sum())
    starts = range(0, beyond, WEEK_DAYS)
    within = [slice(max(start, first), max(min(start + WEEK_DAYS, beyond), first)) for start in starts]
    times = _UPPER_TENTH[spread.origins - 1]
    if spread.ratio is not None and total > 0:
        shares = np.array([[float(days[each].sum()) / total for each in within]])
        ratio = min(times * spread.ratio * float(_taken_over(memory[np.newaxis], shares)[0]), _WIDEST_RATIO)
        return total * math.exp(-ratio), total * math.exp(ratio)
    parts = np.array([[(each.stop - each.start) / WEEK_DAYS for each in within]])
    width = times * spread.count * float(_taken_over(memory[np.newaxis], parts)[0])
    return max(total - width, 0), total + width


def weeks_inside(series: Counts, method: str, held_weeks: int) -> list[int | None]:
    """Return how many of the weeks that are held out lay within their intervals of 80 %, told by the days before alone.

    Args:
        series: Daily counts, shape (n_series, whole weeks).
        method: One of `METHODS`.
        held_weeks: Weeks that are held out; 0 where none are.

    Returns:
        One for each series, None where no weeks are held out.
    """
    if not held_weeks:
        return [None] * len(series)
    held_days = held_weeks * WEEK_DAYS
    before, after = series[:, :-held_days], series[:, -held_days:]
    continued, off = METHODS[method](before, held_days), spreads(before, method)
    inside: list[int | None] = []
    for told, days, memory, spread in zip(after, continued.days, continued.memory, off, strict=True):
        within = 0
        for first in range(0, held_days, WEEK_DAYS):
            lower, upper = interval(days, memory, spread, first, first + WEEK_DAYS)
            within += round(lower) <= told[first : first + WEEK_DAYS].sum() <= round(upper)
        inside.append(within)
    return inside


def _taken_over(memory: Counts, parts: Counts) -> Counts:
    """Return how many times the error of one week a sum of parts of weeks is off, shape (n_series,).

    Args:
        memory: What later weeks take over, shape (n_series, at least n_weeks - 1).
        parts: How much of each week is in the sum, shape (n_series, n_weeks).
    """
    n_weeks = parts.shape[1]
    squared = np.zeros(len(parts))
    for place in range(n_weeks):
        later = np.sum(memory[:, : n_weeks - place - 1] * parts[:, place + 1 :], axis=1)
        squared += np.square(parts[:, place] + later)
    root: Counts = np.sqrt(squared)
    return root
