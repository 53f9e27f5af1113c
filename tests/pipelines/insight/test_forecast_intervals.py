"""Intervals of forecasts: their width by hand, and that four months of five lie within them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipelines.insight.forecast_worlds import WORLDS, coverage

from tollbook.insight.forecast_intervals import Spread, interval, spreads, weeks_inside

T_OF_EIGHT = 1.397


def weeks_of(*counts: float) -> np.ndarray:
    """Return one series of weeks whose days are alike, shape (1, 7 * n_weeks)."""
    return np.repeat(np.array(counts) / 7, 7)[np.newaxis]


def test_a_week_is_off_by_what_the_next_one_and_all_since_were() -> None:
    """Weeks of 7, 14, 28 and 42, each told to be like the last.

    From the third: 14 more came. From the second, of 14 and 14: 14 more, and 42 in all, where two weeks that take over
    all of each other's error are off by the root of 2 x 2 + 1. From the first, of 7 thrice: 7 more, and 63 in all, by
    the root of 9 + 4 + 1. As ratios they are ln 1.5, ln 2 and ln 2 for the next weeks: too large.
    """
    (spread,) = spreads(weeks_of(7, 14, 28, 42), "seasonal_week")
    errors = [14, 14, 14, 42 / 5**0.5, 7, 63 / 14**0.5]

    assert spread.count == pytest.approx((sum(error**2 for error in errors) / 6) ** 0.5)
    assert (spread.ratio, spread.origins) == (None, 3)


def test_ratios_are_told_where_a_week_is_not_off_by_half() -> None:
    """Of 100, 110 came, and of 110 then 121, by the week before: ln 1.1 each.

    The two weeks after 100 came to 231 of 200: ln 1.155, of which each is half, so by the root of 1 + 1/4.
    """
    (spread,) = spreads(weeks_of(100, 110, 121), "seasonal_week")
    errors = [math.log(1.1)] * 3 + [math.log(1.155) / 1.25**0.5]

    assert spread.ratio == pytest.approx((sum(error**2 for error in errors) / 4) ** 0.5)


@pytest.mark.parametrize("weeks", [(0, 100, 100), (100, 0, 100), (100, 100, 0)])
def test_an_empty_week_has_no_ratio(weeks: tuple[int, ...]) -> None:
    """Nothing is no part of anything."""
    assert spreads(weeks_of(*weeks), "seasonal_week")[0].ratio is None


def test_a_random_walk_of_weeks_is_off_by_all_of_them() -> None:
    """Errors of 10, of eight weeks: t is 1.397. Two weeks, from the second on: 2 of the first, 2 of the second, 1.

    Without memory each week is off by its own error alone: the root of 2.
    """
    days = np.full(21, 100.0)

    assert interval(days, np.ones(3), Spread(10, None, 8), 7, 21) == pytest.approx(
        (1400 - T_OF_EIGHT * 30, 1400 + T_OF_EIGHT * 30)
    )
    assert interval(days, np.zeros(3), Spread(10, None, 8), 7, 21)[1] == pytest.approx(1400 + T_OF_EIGHT * 10 * 2**0.5)


def test_ratios_widen_upwards_more_than_downwards() -> None:
    """A tenth a week: each of two weeks is half, off by 1, 1 and a half: 1.5 times a tenth, times 1.397."""
    lower, upper = interval(np.full(21, 100.0), np.ones(3), Spread(10, 0.1, 8), 7, 21)

    assert (lower, upper) == pytest.approx((1400 / math.exp(0.20955), 1400 * math.exp(0.20955)))


def test_no_interval_is_off_by_more_than_tenfold() -> None:
    """Two weeks of history can be off by any ratio at the end of the fourth month."""
    assert interval(np.full(7, 100.0), np.ones(1), Spread(10, 99.0, 1), 0, 7) == pytest.approx((70, 7_000))


def test_what_is_forecast_to_be_nothing_has_an_interval_of_counts() -> None:
    """A part of nothing would be nothing for sure."""
    assert interval(np.zeros(7), np.ones(1), Spread(10, 0.1, 8), 0, 7) == pytest.approx((0, 13.97))


@given(
    st.floats(0, 1e9), st.none() | st.floats(0, 0.69), st.integers(1, 8), st.floats(0, 9), st.integers(0, 60), st.data()
)
def test_intervals_hold_the_sum_and_vanish_without_errors(
    count: float, ratio: float | None, origins: int, memory: float, first: int, data: st.DataObject
) -> None:
    """Whatever weeks take over; more days are known less well in counts, and a later sum no better."""
    beyond = first + data.draw(st.integers(1, 60))
    days, taken_over = np.full(140, 1e6), np.full(20, memory)
    total = days[first:beyond].sum()
    lower, upper = interval(days, taken_over, Spread(count, ratio, origins), first, beyond)

    assert 0 <= lower <= total * (1 + 1e-12)
    assert total * (1 - 1e-12) <= upper < 1e12
    assert interval(days, taken_over, Spread(0, None, origins), first, beyond) == (total, total)
    assert interval(days, taken_over, Spread(0, 0.0, origins), first, beyond) == (total, total)
    if ratio is None:
        later = interval(days, taken_over, Spread(count, None, origins), first + 7, beyond + 7)[1]
        longer = interval(days, taken_over, Spread(count, None, origins), first, beyond + 1)[1]
        assert later >= upper * (1 - 1e-12)
        assert longer - days[beyond] >= (upper - 1e-6) * (1 - 1e-12)


def test_weeks_held_out_are_inside_or_not() -> None:
    """Steady weeks told steady ones without a doubt; then half as much again came, and then the old count again."""
    assert weeks_inside(weeks_of(*[700] * 12), "mean", 4) == [4]
    assert weeks_inside(weeks_of(*[700] * 8, 1050, 1050, 700, 1050), "mean", 4) == [1]
    assert weeks_inside(weeks_of(700, 700, 700), "mean", 0) == [None]


@pytest.mark.parametrize("world", WORLDS)
def test_months_lie_within_their_intervals_about_four_times_of_five(world: str) -> None:
    """Growth of any pace is held; levels that jump or walk are held less often, by nature: they have no pattern.

    Seeds are fixed, so the shares are those numbers whenever it runs. `tests/bench/forecast_coverage.py` has more.
    """
    least = 0.55 if world in {"level shift", "walk that grows"} else 0.7

    assert least <= coverage(world, teams=25, weeks=26, seed=1).inside.mean() <= 0.97


def test_over_all_worlds_it_is_near_four_of_five() -> None:
    """Neither too narrow nor too wide."""
    shares = [coverage(world, teams=25, weeks=26, seed=2).inside.mean() for world in WORLDS]

    assert 0.76 <= np.mean(shares) <= 0.86


def test_a_pace_of_growth_that_goes_on_is_told() -> None:
    """Usage that grows by a tenth a week is four times as much after fourteen; the fourth month is off by a third."""
    assert coverage("growing 10 % a week", teams=25, weeks=26, seed=3).off[3] < 0.35
