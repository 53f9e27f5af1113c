"""What holds for forecasts of any counts: intervals hold them, teams do not mix, what is held out is not looked at."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pipelines.insight.forecast_rows import Row, days, forecast_rows, item, items_of

from tollbook.insight.forecast_errors import (
    cost_error,
    held_out_forecasts,
    weeks_held_out,
)
from tollbook.insight.forecast_methods import METHODS

COUNTS = st.integers(0, 10**9)
WEEKS = st.integers(2, 14)
PRICES = st.sampled_from(["0.000002", "0.000000000001", "12.5"])


@st.composite
def a_team(draw: st.DrawFn, team: str = "search", least: int = 2) -> list[Row]:
    """Draw the days of a team, of whole weeks or a day more."""
    n_days = draw(st.integers(least, 14)) * 7 + draw(st.integers(0, 1))
    tokens = draw(st.lists(COUNTS, min_size=n_days, max_size=n_days))
    tasks = draw(st.lists(st.integers(0, 1000), min_size=n_days, max_size=n_days))
    return days(tokens, team=team, price=draw(PRICES), tasks=tasks)


def drawn(seed: int, n_series: int, weeks: int) -> np.ndarray:
    """Return counts of whole weeks."""
    return np.random.default_rng(seed).integers(0, 10**9, (n_series, weeks * 7)).astype(float)


@settings(max_examples=40, deadline=None)
@given(a_team())
def test_intervals_hold_the_point_and_a_month_holds_what_is_known_of_it(told: list[Row]) -> None:
    """No end of an interval is below what was already spent; more weeks ahead are never known better."""
    rows = [row for row in forecast_rows(told, items_of(told, range(9))) if row["forecast_cost"] is not None]
    for row in rows:
        assert row["forecast_lower_cost"] <= row["forecast_cost"] <= row["forecast_upper_cost"]
        assert row["forecast_lower_cost"] >= (row["actual_cost"] or 0) >= 0


@settings(max_examples=40, deadline=None)
@given(a_team(), a_team(team="legal"))
def test_a_team_is_forecast_as_if_it_were_alone(search: list[Row], legal: list[Row]) -> None:
    """What all come to is the sum of what each would be told by itself."""
    together = forecast_rows([*search, *legal], items_of([*search, *legal], range(9)))
    alone = [row for told in (search, legal) for row in forecast_rows(told, items_of(told, range(9)))]

    def by_team(rows: list[Row]) -> list[Row]:
        return sorted(rows, key=lambda row: (row["team"], row["billing_period_start"], row["scenario"]))

    assert by_team(together) == by_team(alone)


@settings(max_examples=40, deadline=None)
@given(a_team(least=4))
def test_the_same_prices_ahead_make_both_scenarios_one(told: list[Row]) -> None:
    """Without a known change there is nothing between them."""
    rows = forecast_rows(told, items_of(told, range(9)))
    expected, flat = (
        [row | {"scenario": ""} for row in rows if row["scenario"] == name] for name in ("expected", "flat_prices")
    )

    assert expected == flat


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 26), st.integers(0, 10**6))
def test_what_is_held_out_changes_nothing_of_what_is_said_of_it(seed: int, weeks: int, other: int) -> None:
    """A back-test that saw the answer would always choose well."""
    held = weeks_held_out(weeks)
    series, changed = drawn(seed, 3, weeks), drawn(seed, 3, weeks)
    changed[:, -held * 7 :] = drawn(other, 3, held)

    said, again = held_out_forecasts(series, held), held_out_forecasts(changed, held)

    assert list(said) == list(METHODS)
    for method, forecasts in said.items():
        assert forecasts.shape == (3, held * 7)
        np.testing.assert_array_equal(forecasts, again[method])


@settings(max_examples=30, deadline=None)
@given(a_team(least=12), st.integers(1, 10**9), st.integers(1, 1000))
def test_a_backtest_goes_by_the_mix_and_price_before_the_weeks_held_out(
    told: list[Row], tokens: int, cost: int
) -> None:
    """What was used since then is in what is forecast, and in no error."""
    used = items_of(told, (0, 4))
    other = [item(0, tokens, str(cost)), *(each for each in used if each["held_weeks"])]
    errors = ("backtest_error", "last_value_error", "mean_error", "seasonal_week_error")
    rows, again = forecast_rows(told, used), forecast_rows(told, other)

    assert [[row[name] for name in errors[1:]] for row in rows] == [[row[name] for name in errors[1:]] for row in again]
    for row, same in zip(rows, again, strict=True):
        assert None in (row["forecast_cost"], same["forecast_cost"]) or row["backtest_error"] == same["backtest_error"]
        assert same["forecast_price_per_million_tokens"] == round(Decimal(cost) * 10**6 / tokens, 12)


@given(st.integers(0, 10**6), st.integers(2, 12), st.sampled_from(sorted(METHODS)))
def test_every_method_goes_on_at_zero_or_above(seed: int, weeks: int, method: str) -> None:
    """There are no days of less than no tokens, and as many days as were asked for."""
    series = drawn(seed, 2, weeks)
    series[1] = np.linspace(10**6, 0, weeks * 7)
    continued = METHODS[method](series, 123)

    assert continued.days.shape == (2, 123)
    assert (continued.days >= 0).all()
    assert continued.memory.shape == (2, 18)
    assert (continued.memory > 0).all()


@pytest.mark.parametrize("method", sorted(METHODS))
def test_nothing_goes_on_as_nothing(method: str) -> None:
    """A team that stopped has no weekdays to divide by."""
    assert not METHODS[method](np.zeros((1, 28)), 31).days.any()


def test_damped_trend_follows_growth_that_means_do_not() -> None:
    """A week of 7 to 84 million by steps of 7: the next is above 84 and, as trends fade, below 91."""
    series = np.repeat(np.arange(1, 13) * 1_000_000.0, 7)[np.newaxis]

    assert 84_000_000 < METHODS["damped_trend"](series, 7).days.sum() < 91_000_000
    assert METHODS["mean"](series, 7).days.sum() == 73_500_000


def test_damped_growth_follows_doubling_that_differences_do_not() -> None:
    """Weeks of 7 to 14,336, each twice the one before: the next is near 28,672; a trend of differences is behind."""
    series = np.repeat(2.0 ** np.arange(12), 7)[np.newaxis]

    assert 26_000 < METHODS["damped_growth"](series, 7).days.sum() < 29_000
    assert METHODS["damped_trend"](series, 7).days.sum() < 26_000


def test_growth_out_of_nothing_is_no_more_than_a_hundredfold() -> None:
    """A first week of usage would grow beyond any number; none ahead is above a hundred times the largest."""
    series = np.concatenate([np.zeros(77), np.full(7, 1e9)])[np.newaxis]

    assert METHODS["damped_growth"](series, 18 * 7).days.reshape(18, 7).sum(axis=1).max() <= 7e11 * (1 + 1e-9)


@pytest.mark.parametrize(("weeks", "held"), [(2, 0), (3, 0), (4, 1), (6, 2), (12, 4), (26, 8)])
def test_a_third_is_held_out_from_four_weeks_on(weeks: int, held: int) -> None:
    """Eight weeks at most, and what is left can be learned from."""
    assert weeks_held_out(weeks) == held


def test_errors_of_cost_are_exact_and_have_a_scale() -> None:
    """2 and 4 tokens at 1/3 are 2/3 and 4/3; 1 and 1 came: off by 1/3 twice, of 2. Together they are right."""
    assert cost_error([2, 4], Fraction(1, 3), [1, 1], of_days=1) == Fraction(1, 3)
    assert cost_error([2, 4], Fraction(1, 3), [1, 1], of_days=2) == 0
    assert cost_error([2], Fraction(1), [0], of_days=1) is None
