"""What the months ahead will cost, worked by hand: 30 August is the last complete day, a Sunday."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from tests.pipelines.insight.forecast_rows import AS_OF, Row, book, days, forecast_rows, item, items_of

from tollbook.insight.forecast import forecast
from tollbook.insight.forecast_history import DAYS_SCHEMA, ITEMS_SCHEMA, histories, windows_needed

AUGUST, SEPTEMBER, OCTOBER, NOVEMBER = (date(2026, month, 1) for month in (8, 9, 10, 11))
STEADY = [1_000_000] * 84


def by_month(rows: list[Row], scenario: str = "expected", team: str = "search") -> dict[date, Row]:
    """Return the rows of a scenario and team by month."""
    return {row["billing_period_start"]: row for row in rows if row["scenario"] == scenario and row["team"] == team}


def test_a_constant_series_gives_itself_without_a_doubt() -> None:
    """A million tokens a day at 2 USD a million: 30 days of August are known, one is ahead, and months have all theirs.

    Twelve weeks hold out four, of which no method is off; the simplest of them goes on.
    """
    told = days(STEADY)
    rows = by_month(forecast_rows(told, items_of(told, (0, 4))))

    assert {month: row["forecast_cost"] for month, row in rows.items()} == {
        AUGUST: Decimal(62),
        SEPTEMBER: Decimal(60),
        OCTOBER: Decimal(62),
        NOVEMBER: Decimal(60),
    }
    for row in rows.values():
        assert row["forecast_lower_cost"] == row["forecast_cost"] == row["forecast_upper_cost"]
        assert (row["forecast_method"], row["backtest_error"], row["reason"]) == ("mean", 0, None)
        assert (row["history_weeks"], row["held_out_weeks"], row["held_out_weeks_inside"]) == (12, 4, 4)
    assert [row["months_ahead"] for row in rows.values()] == [0, 1, 2, 3]
    assert [row["actual_cost"] for row in rows.values()] == [60, 0, 0, 0]
    september = rows[SEPTEMBER]
    assert (september["forecast_tasks"], september["forecast_tokens"]) == (300, 30_000_000)
    assert (september["forecast_tokens_per_task"], september["forecast_price_per_million_tokens"]) == (100_000, 2)
    assert (september["base_start_date"], september["base_tasks"]) == (date(2026, 8, 3), 280)
    assert (september["base_priced_tokens"], september["base_cost"]) == (28_000_000, Decimal(56))


def test_a_price_cut_next_month_quarters_the_part_of_its_model() -> None:
    """Half of the tokens at 3 USD a million and half at 1: 60 USD in September, 45 of m, 15 of n.

    m falls by 75 % on 1 September: 11.25 + 15. At flat prices it does not.
    """
    told = days(STEADY)
    used = [each for held in (0, 4) for each in (item(held, 14_000_000, "42"), item(held, 14_000_000, "14", model="n"))]
    rows = forecast_rows(told, used, book((SEPTEMBER, 500_000), others={"n": 7}))

    assert by_month(rows)[SEPTEMBER]["forecast_cost"] == Decimal("26.25")
    assert by_month(rows)[SEPTEMBER]["forecast_price_per_million_tokens"] == Decimal("0.875")
    assert by_month(rows, "flat_prices")[SEPTEMBER]["forecast_cost"] == Decimal(60)
    assert by_month(rows)[AUGUST]["forecast_cost"] == Decimal(62), "the day that is left of August is at old prices"


def test_a_price_that_changes_within_a_month_weighs_by_its_days() -> None:
    """Ten days of September at 2 USD and 20 at 0.50: 20 + 10 USD."""
    told = days(STEADY)
    rows = forecast_rows(told, items_of(told, (0, 4)), book((date(2026, 9, 11), 500_000)))

    assert by_month(rows)[SEPTEMBER]["forecast_cost"] == Decimal(30)
    assert by_month(rows)[OCTOBER]["forecast_cost"] == Decimal("15.5")


def test_a_known_cut_in_the_weeks_held_out_is_no_error() -> None:
    """The price halved on 3 August, the first of the 28 days held out: costs halve, and the back-test knows why.

    A cut that the book does not have is one: 2 told of 1 that came is 100 % off.
    """
    told = days(STEADY)
    for row in told[56:]:
        row["effective_cost"] /= 2
    used = [item(0, 28_000_000, "28"), item(4, 28_000_000, "56")]

    known = forecast_rows(told, used, book((date(2026, 8, 3), 1_000_000)))
    unknown = forecast_rows(told, used)

    assert by_month(known)[SEPTEMBER]["backtest_error"] == 0
    assert by_month(unknown)[SEPTEMBER]["backtest_error"] == 1
    assert by_month(known)[SEPTEMBER]["forecast_cost"] == by_month(unknown)[SEPTEMBER]["forecast_cost"] == 30


def test_a_weekly_pattern_is_recovered() -> None:
    """Monday to Friday 7 million tokens each, none on the weekend: repeating the week is right on every day.

    The mean day is right by the week alone, so days decide. The last day is a Sunday without any: off by all. Monday
    31 August has 14 USD; September 2026 has 22 days from Monday to Friday.
    """
    told = days(([7_000_000] * 5 + [0] * 2) * 12)
    rows = by_month(forecast_rows(told, items_of(told, (0, 4))))

    assert rows[AUGUST]["forecast_method"] == "seasonal_week"
    assert rows[AUGUST]["forecast_cost"] - rows[AUGUST]["actual_cost"] == Decimal(14)
    assert rows[SEPTEMBER]["forecast_cost"] == Decimal(22 * 14)
    assert rows[SEPTEMBER]["backtest_error"] == rows[SEPTEMBER]["seasonal_week_error"] == 0
    assert rows[SEPTEMBER]["mean_error"] == 0
    assert rows[SEPTEMBER]["last_value_error"] == 1


def test_the_method_is_chosen_by_weeks_and_not_by_empty_days() -> None:
    """28 million tokens a week, all on its Monday, then Wednesday, Friday, Tuesday, and so on.

    By the day nothing at all is off by 28 of 28, the last week repeated by 56 in three weeks of four; by the week the
    one is off by all, the other by none. The last one was on a Tuesday, of which September has five.
    """
    week = [[28_000_000 if day == of else 0 for day in range(7)] for of in (0, 2, 4, 1)]
    told = days([tokens for each in week * 3 for tokens in each])
    september = by_month(forecast_rows(told, items_of(told, (0, 4))))[SEPTEMBER]

    assert (september["forecast_method"], september["backtest_error"]) == ("seasonal_week", 0)
    assert (september["mean_error"], september["last_value_error"]) == (0, 1)
    assert september["forecast_cost"] == Decimal(5 * 56)


def test_short_histories_are_forecast_naively_and_say_so() -> None:
    """Three weeks: the last one is repeated, untested.

    Told from the second week, 21 million came of 14; from the first, 14 and 21 of 7 and 7. A week that is off takes
    those after it along, so two weeks of equal size are off in all by what one is times the root of 1 and of a half
    squared. Of two weeks that were told from, Student's t is 1.886. The first day ahead is
    August's, so September has six days of the first week ahead, all of three more and three of the fifth: the error of
    the first is in all 30 days, that of the second in 24, then in 17, 10 and 3.
    """
    told = days([1_000_000] * 7 + [2_000_000] * 7 + [3_000_000] * 7)
    rows = by_month(forecast_rows(told, items_of(told, (0,))))

    september = rows[SEPTEMBER]
    assert (september["forecast_method"], september["reason"]) == ("seasonal_week", "short_history")
    assert (september["backtest_error"], september["held_out_weeks"]) == (None, 0)
    assert september["forecast_cost"] == Decimal(180)
    week = [math.log(21 / 14)] * 2 + [math.log(14 / 7), math.log(35 / 14) / 1.25**0.5]
    deviation = (sum(off**2 for off in week) / 4) ** 0.5
    ratio = 1.886 * deviation * sum((n / 30) ** 2 for n in (30, 24, 17, 10, 3)) ** 0.5
    assert deviation < math.log(2)
    assert september["forecast_upper_cost"] == round(90_000_000 * math.exp(ratio)) * Decimal("0.000002")
    assert september["forecast_lower_cost"] == round(90_000_000 * math.exp(-ratio)) * Decimal("0.000002")


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (days([1_000_000] * 13), "too_little_history"),
        (days([1_000_000] * 28, unpriced=True), "no_known_price"),
        (days([1_000_000] * 56 + [0] * 28), "no_recent_usage"),
    ],
)
def test_what_cannot_be_forecast_says_why_and_is_never_zero(told: list[Row], reason: str) -> None:
    """A team stays in the table, so that nobody takes a sum for that of all."""
    rows = forecast_rows(told, items_of(told, (0, 2, 4)))

    assert len(rows) == 8
    assert {row["reason"] for row in rows} == {reason}
    assert {row["forecast_cost"] for row in rows} == {row["forecast_method"] for row in rows} == {None}


def test_tokens_without_a_price_are_counted_and_in_no_forecast() -> None:
    """Half of the tokens have no known price: the other half is what is forecast."""
    told = days(STEADY)
    for row in told:
        row["unpriced_tokens"] = 1_000_000
    september = by_month(forecast_rows(told, items_of(told, (0, 4))))[SEPTEMBER]

    assert (september["forecast_cost"], september["base_unpriced_tokens"]) == (Decimal(60), 28_000_000)


def test_prices_are_not_loaded_before_a_team_has_two_weeks() -> None:
    """A small build must not pay for what it cannot have."""

    def refuse() -> Any:
        raise AssertionError("prices were loaded")

    teams = histories(pa.Table.from_pylist(days([1] * 13), DAYS_SCHEMA), AS_OF)

    assert windows_needed(teams) == []
    assert forecast(teams, AS_OF, ITEMS_SCHEMA.empty_table(), refuse).num_rows == 8


def test_on_the_last_day_of_a_month_the_next_one_is_forecast_first() -> None:
    """Of September nothing is known yet."""
    told = [row | {"usage_date": date.fromordinal(row["usage_date"].toordinal() + 1)} for row in days(STEADY)]
    rows = by_month(forecast_rows(told, [item(held, 28_000_000, "56") for held in (0, 4)], as_of=date(2026, 8, 31)))

    assert list(rows) == [SEPTEMBER, OCTOBER, NOVEMBER, date(2026, 12, 1)]
    assert (rows[SEPTEMBER]["actual_cost"], rows[SEPTEMBER]["forecast_cost"]) == (0, Decimal(60))
