"""Organisations whose usage goes on in a known way, and how often intervals of 80 % hold what it came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tollbook.insight.forecast_errors import held_out_forecasts, weeks_held_out
from tollbook.insight.forecast_intervals import interval, spreads
from tollbook.insight.forecast_methods import METHODS, WEEK_DAYS, Counts

WEEKS_AHEAD: Final = 15
MONTHS: Final = ((0, 10), (10, 40), (40, 71), (71, 101))
"""The rest of a month, and three more, as days ahead."""

_WEEKDAYS: Final = np.array([1.2, 1.3, 1.25, 1.2, 1.0, 0.4, 0.3])

Levels = Callable[[np.random.Generator, int, int], Counts]
"""From how many teams and weeks there are to the level of each day, shape (n_teams, 7 * n_weeks)."""


def steady(_: np.random.Generator, teams: int, weeks: int) -> Counts:
    """No change but for noise."""
    return np.ones((teams, weeks * WEEK_DAYS))


def growing(share: float) -> Levels:
    """Return levels that grow by about a share a week, some teams by half of it and others by half as much again."""

    def levels(drawn: np.random.Generator, teams: int, weeks: int) -> Counts:
        rate = np.log1p(share) * drawn.uniform(0.5, 1.5, (teams, 1))
        days: Counts = np.exp(rate * np.arange(weeks * WEEK_DAYS) / WEEK_DAYS)
        return days

    return levels


def walking(drift: float) -> Levels:
    """Return levels of which each week is off the last by a tenth, and more by a drift."""

    def levels(drawn: np.random.Generator, teams: int, weeks: int) -> Counts:
        steps = drawn.normal(drift, 0.1, (teams, weeks))
        days: Counts = np.repeat(np.exp(np.cumsum(steps, axis=1)), WEEK_DAYS, axis=1)
        return days

    return levels


def shifted(drawn: np.random.Generator, teams: int, weeks: int) -> Counts:
    """Half or twice as much from some day on."""
    days: Counts = np.ones((teams, weeks * WEEK_DAYS))
    for team in days:
        team[drawn.integers(4 * WEEK_DAYS, len(team)) :] *= drawn.choice([0.5, 2])
    return days


def slowing(drawn: np.random.Generator, teams: int, weeks: int) -> Counts:
    """Growth that fades."""
    rate = drawn.uniform(0.75, 2.25, (teams, 1))
    days: Counts = np.exp(rate * (1 - np.exp(-np.arange(weeks * WEEK_DAYS) / (15 * WEEK_DAYS))))
    return days


def bursty(drawn: np.random.Generator, teams: int, weeks: int) -> Counts:
    """A day in seven, drawn, has most of the usage."""
    days: Counts = np.where(drawn.random((teams, weeks * WEEK_DAYS)) < 1 / WEEK_DAYS, 6.05, 0.05)
    return days


WORLDS: Final[Mapping[str, Levels]] = {
    "steady": steady,
    "growing 3 % a week": growing(0.03),
    "growing 10 % a week": growing(0.10),
    "growing 20 % a week": growing(0.20),
    "slowing growth": slowing,
    "walk": walking(0.0),
    "walk that grows": walking(0.05),
    "level shift": shifted,
    "bursty": bursty,
}


@dataclass(frozen=True, slots=True)
class Coverage:
    """How intervals held, by months ahead.

    Attributes:
        inside: Share of the teams whose month lay within its interval, shape (4,).
        off: Mean of how far months were off their forecast, for one unit of what they came to, shape (4,).
        times: Median of the upper end for one unit of the forecast, shape (4,).
    """

    inside: Counts
    off: Counts
    times: Counts


def coverage(world: str, *, teams: int, weeks: int, seed: int) -> Coverage:
    """Return how intervals held in a world, each team by the method that told its last weeks best."""
    drawn = np.random.default_rng(seed)
    days = WORLDS[world](drawn, teams, weeks + WEEKS_AHEAD) * drawn.lognormal(
        0, 0.25, (teams, (weeks + WEEKS_AHEAD) * WEEK_DAYS)
    )
    days = np.rint(1e6 * days * np.tile(_WEEKDAYS, weeks + WEEKS_AHEAD))
    known, came = days[:, : weeks * WEEK_DAYS], days[:, weeks * WEEK_DAYS :]
    chosen = _chosen(known)
    inside, off, times = (np.zeros((teams, len(MONTHS))) for _ in range(3))
    for team in range(teams):
        method = chosen[team]
        series = known[team : team + 1]
        continued = METHODS[method](series, WEEKS_AHEAD * WEEK_DAYS)
        (spread,) = spreads(series, method)
        for place, (first, beyond) in enumerate(MONTHS):
            lower, upper = interval(continued.days[0], continued.memory[0], spread, first, beyond)
            said, told = continued.days[0, first:beyond].sum(), came[team, first:beyond].sum()
            inside[team, place] = lower <= told <= upper
            off[team, place] = abs(told - said) / told
            times[team, place] = upper / said if said else np.inf
    return Coverage(inside.mean(axis=0), off.mean(axis=0), np.median(times, axis=0))


def _chosen(known: Counts) -> list[str]:
    """Return the method of each team that told the weeks held out best, as forecasts choose it."""
    held = weeks_held_out(known.shape[1] // WEEK_DAYS)
    told = known[:, -held * WEEK_DAYS :]
    errors = {}
    for method, said in held_out_forecasts(known, held).items():
        days = said - told
        weeks = np.abs(days.reshape(len(days), held, WEEK_DAYS).sum(axis=2)).sum(axis=1)
        errors[method] = list(zip(weeks, np.abs(days).sum(axis=1), strict=True))
    return [min(errors, key=lambda method: errors[method][team]) for team in range(len(known))]
