"""How far forecasts are off: by holding out the last weeks, and week by week for the width of intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

import numpy as np

from tollbook.insight.forecast_methods import METHODS, SHORT_HISTORY_METHOD, WEEK_DAYS, Counts

LEAST_WEEKS: Final = 2
"""Whole weeks of history below which there is no forecast."""

TESTED_WEEKS: Final = 4
"""Whole weeks of history from which on methods are tested; with less the naive one is taken."""

MOST_WEEKS: Final = 26
"""Weeks that are looked back."""

_MOST_HELD_OUT: Final = 8
_MOST_ORIGINS: Final = 8
_LEAST_TRAINED: Final = 3

# Upper tenth of Student's t by degrees of freedom: half of what an interval of 80 % leaves out lies above it.
# Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2.
_UPPER_TENTH: Final = (3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397)


def weeks_held_out(weeks: int) -> int:
    """Return how many of the last weeks a back-test holds out: a third, at most eight; 0 where none is made."""
    return 0 if weeks < TESTED_WEEKS else min(weeks // 3, _MOST_HELD_OUT)


def held_out_forecasts(series: Counts, held_weeks: int) -> Mapping[str, Counts]:
    """Return what each method would have said of the weeks that are held out, of the days before them alone.

    Args:
        series: Daily counts, shape (n_series, whole weeks).
        held_weeks: Weeks that are held out, at least one and fewer than there are.

    Returns:
        Method to whole counts, shape (n_series, 7 * held_weeks).
    """
    held_days = held_weeks * WEEK_DAYS
    before = series[:, :-held_days]
    return {name: np.rint(method(before, held_days).days) for name, method in METHODS.items()}


def cost_error(tokens: Sequence[int], price: Fraction, costs: Sequence[int], *, of_days: int) -> Fraction | None:
    """Return how far the costs of spans of days were off, for one unit of what they came to, exact.

    Args:
        tokens: Forecast of each day that was held out, shape (n_days,).
        price: Of a token on those days, by what was known before them. Unit: pico-units of the currency.
        costs: What each day cost, shape (n_days,). Unit: pico-units of the currency.
        of_days: Days whose costs are summed before they are compared, a divisor of n_days.

    Returns:
        Sum of absolute errors over the sum of costs; None where the days cost nothing, so there is no scale.
    """
    total = sum(costs)
    if total <= 0:
        return None
    days = [count * price.numerator - cost * price.denominator for count, cost in zip(tokens, costs, strict=True)]
    off = sum(abs(sum(days[first : first + of_days])) for first in range(0, len(days), of_days))
    return Fraction(off, total * price.denominator)


def week_errors(series: Counts, method: str) -> Counts:
    """Return the errors of a method's forecasts of one week, from each of the last weeks before it.

    Args:
        series: Daily counts, shape (n_series, at least two whole weeks).
        method: One of `METHODS`.

    Returns:
        Told minus forecast, the newest week first, of at most eight weeks. Shape (n_series, n_origins).
    """
    weeks = series.shape[1] // WEEK_DAYS
    trained = 1 if method == SHORT_HISTORY_METHOD else min(_LEAST_TRAINED, weeks - 1)
    errors = []
    for back in range(1, min(weeks - trained, _MOST_ORIGINS) + 1):
        before, beyond = series[:, : -back * WEEK_DAYS], series.shape[1] - (back - 1) * WEEK_DAYS
        told = series[:, beyond - WEEK_DAYS : beyond].sum(axis=1)
        errors.append(told - METHODS[method](before, WEEK_DAYS).days.sum(axis=1))
    return np.stack(errors, axis=1)


def half_width(errors: Counts, memory: Counts, first_day: int, last_day: int) -> float:
    """Return half the width of an interval of 80 % around the sum of days ahead.

    Each week ahead is off by an error of its own and, by `memory`, by those of the weeks before it.

    Args:
        errors: Errors of one week ahead, shape (n_origins,), at least one.
        memory: Share of a week's error that the forecast of a week so many weeks later takes over, from one week later
            on, shape (n_weeks,), no fewer than the weeks ahead.
        first_day: First day of the sum, 0 for the first that is forecast.
        last_day: The day after its last.

    Returns:
        Unit: that of `errors`; 0 where all of them are.

    Source:
        Hyndman and Athanasopoulos, Forecasting: Principles and Practice (3rd edition), section 8.7: variances of linear
        exponential smoothing, summed over days of one period.
    """
    weeks = np.arange(-(-last_day // WEEK_DAYS)) * WEEK_DAYS
    inside = np.clip(last_day - weeks, 0, WEEK_DAYS) - np.clip(first_day - weeks, 0, WEEK_DAYS)
    share = inside / WEEK_DAYS
    later = [float(memory[: len(share) - place] @ share[place:]) for place in range(1, len(share) + 1)]
    deviation = np.sqrt(np.mean(errors**2) * np.sum((share + later) ** 2))
    return float(_UPPER_TENTH[len(errors) - 1] * deviation)
