"""How far forecasts are off, by holding out the last weeks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

import numpy as np

from tollbook.insight.forecast_methods import METHODS, WEEK_DAYS, Counts

LEAST_WEEKS: Final = 2
"""Whole weeks of history below which there is no forecast."""

TESTED_WEEKS: Final = 4
"""Whole weeks of history from which on methods are tested; with less the naive one is taken."""

MOST_WEEKS: Final = 26
"""Weeks that are looked back."""

_MOST_HELD_OUT: Final = 8


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
