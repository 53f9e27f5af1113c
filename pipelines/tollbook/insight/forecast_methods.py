"""Ways to go on with a series of daily counts, from naive ones to damped exponential smoothing.

Every method sees whole weeks that end on the same day, many series at once. What they are fed are counts; no amount of
money passes through a float.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

WEEK_DAYS: Final = 7
RECENT_WEEKS: Final = 4
"""Weeks that means are taken over."""

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Continued:
    """How series go on.

    Attributes:
        days: Forecast of each day, zero or more, shape (n_series, n_days).
        memory: How much of what a week is off its forecast the forecast of a week so many weeks later takes over, from
            one week later on, shape (n_series, n_weeks).
    """

    days: Counts
    memory: Counts


Method = Callable[[Counts, int], Continued]
"""From the days so far, shape (n_series, whole weeks), to as many days as are asked for."""


def mean(series: Counts, n_days: int) -> Continued:
    """Go on with the mean day of the last four weeks."""
    level = series[:, -RECENT_WEEKS * WEEK_DAYS :].mean(axis=1, keepdims=True)
    return Continued(
        np.repeat(level, n_days, axis=1), _memory(series, n_days, 1 / min(series.shape[1] // WEEK_DAYS, RECENT_WEEKS))
    )


def seasonal_week(series: Counts, n_days: int) -> Continued:
    """Repeat the last week."""
    return Continued(_repeated(series[:, -WEEK_DAYS:], n_days), _memory(series, n_days, 1))


def last_value(series: Counts, n_days: int) -> Continued:
    """Repeat the last day."""
    return Continued(np.repeat(series[:, -1:], n_days, axis=1), _memory(series, n_days, 1))


def weekday_mean(series: Counts, n_days: int) -> Continued:
    """Go on with the mean of each weekday over the last four weeks."""
    return Continued(
        _repeated(_weekdays(series), n_days),
        _memory(series, n_days, 1 / min(series.shape[1] // WEEK_DAYS, RECENT_WEEKS)),
    )


def damped_trend(series: Counts, n_days: int) -> Continued:
    """Go on with a level and a trend that fades, smoothed over weeks, spread over days as the last four weeks were.

    The three weights of each series are those of a grid with the least squared error of one week ahead.

    Source:
        Gardner and McKenzie, Forecasting trends in time series (1985); Hyndman and Athanasopoulos, Forecasting:
        Principles and Practice (3rd edition), section 8.2; what a week takes over from an error before it: Hyndman
        et al., Forecasting with Exponential Smoothing (2008), table 6.1.
    """
    weeks = _weeks(series)
    smoothed = _smoothed(weeks, -(-n_days // WEEK_DAYS))
    return Continued(_spread_over_days(series, np.maximum(smoothed.days, 0), n_days), smoothed.memory)


def damped_growth(series: Counts, n_days: int) -> Continued:
    """Go on as `damped_trend` does, but with ratios of weeks in place of differences: growth by a part, not by so many.

    No week is forecast above a hundred times the largest so far.
    """
    weeks = _weeks(series)
    smoothed = _smoothed(np.log1p(weeks), -(-n_days // WEEK_DAYS))
    most = np.log1p(weeks.max(axis=1, keepdims=True)) + np.log(_MOST_TIMES)
    ahead = np.expm1(np.clip(smoothed.days, 0, most))
    return Continued(_spread_over_days(series, ahead, n_days), smoothed.memory)


METHODS: Final[Mapping[str, Method]] = {
    "mean": mean,
    "seasonal_week": seasonal_week,
    "last_value": last_value,
    "weekday_mean": weekday_mean,
    "damped_trend": damped_trend,
    "damped_growth": damped_growth,
}
"""Every method by its name, the simplest first: of equal errors the first wins."""

BASELINES: Final = ("last_value", "mean", "seasonal_week")
"""Naive methods, whose errors are told beside that of the chosen one."""

SHORT_HISTORY_METHOD: Final = "seasonal_week"
"""What goes on with a history that is too short to hold anything out."""

_GRID: Final = tuple(product((0.1, 0.3, 0.5, 0.7, 0.9), (0.0, 0.1, 0.3, 0.6), (0.8, 0.9, 0.98)))

_MOST_TIMES: Final = 100


def _weeks(series: Counts) -> Counts:
    weeks: Counts = series.reshape(len(series), -1, WEEK_DAYS).sum(axis=2)
    return weeks


def _smoothed(weeks: Counts, n_weeks: int) -> Continued:
    """Return how weeks go on by level and damped trend, each series by the weights that told it best."""
    alphas, betas, dampings = (weight[:, np.newaxis] for weight in np.array(_GRID).T)
    level = np.repeat(weeks[np.newaxis, :, 0], len(_GRID), axis=0)
    trend, squared = np.zeros_like(level), np.zeros_like(level)
    for week in weeks.T[1:]:
        expected = level + dampings * trend
        error = week - expected
        squared += error**2
        level = expected + alphas * error
        trend = dampings * trend + alphas * betas * error
    best, each = squared.argmin(axis=0), np.arange(len(weeks))
    level, trend = level[best, each, np.newaxis], trend[best, each, np.newaxis]
    alpha, beta, damping = alphas[best], betas[best], dampings[best]
    faded = np.cumsum(damping ** np.arange(1, n_weeks + 1), axis=1)
    return Continued(level + faded * trend, alpha * (1 + beta * faded))


def _spread_over_days(series: Counts, weeks: Counts, n_days: int) -> Counts:
    """Return weeks as days, of which each weekday has the share that it had in the last four weeks."""
    shape = _weekdays(series)
    total = shape.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, shape / np.where(total > 0, total, 1), 1 / WEEK_DAYS)
    days: Counts = (weeks[:, :, np.newaxis] * shares[:, np.newaxis, :]).reshape(len(series), -1)
    return days[:, :n_days]


def _repeated(week: Counts, n_days: int) -> Counts:
    return np.tile(week, (1, -(-n_days // WEEK_DAYS)))[:, :n_days]


def _weekdays(series: Counts) -> Counts:
    """Return the mean of each weekday over the last four weeks, shape (n_series, 7)."""
    recent: Counts = series[:, -RECENT_WEEKS * WEEK_DAYS :].reshape(len(series), -1, WEEK_DAYS).mean(axis=1)
    return recent


def _memory(series: Counts, n_days: int, share: float) -> Counts:
    """Return the same share of an error for every week that is forecast."""
    return np.full((len(series), -(-n_days // WEEK_DAYS)), float(share))
