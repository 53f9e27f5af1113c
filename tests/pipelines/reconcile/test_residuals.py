"""Naming what differs: every reason by hand, and that residuals sum to the difference whatever comes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.rating.periods.calendar import UTC_CALENDAR
from tollbook.reconcile.residuals import REASONS, DayUnit, Measure, name_residuals
from tollbook.reconcile.table import MATCHED, reconciliation_table
from tollbook.reconcile.windows import cut_hours

USD = 10**12
DAY = date(2026, 6, 1)


def unit(*, day: date = DAY, model: str | None = "gpt-5", **told: Any) -> DayUnit:
    """Return a day on which both sides tell of 10 calls of 1,000 tokens in all for 2 USD, but for what is told."""
    measures = {
        "calls": Measure(10, 10),
        "tokens": Measure(1000, 1000),
        "cost": Measure(2 * USD, 2 * USD),
    }
    return DayUnit("openai", day, model, None, **(measures | told))


def named(*units: DayUnit) -> list[dict[str, dict[str, int]]]:
    """Name the residuals of days; return the parts of each measure."""
    name_residuals(units)
    return [{"calls": each.calls.parts, "tokens": each.tokens.parts, "cost": each.cost.parts} for each in units]


def test_sides_that_agree_have_no_residual() -> None:
    """Nothing is named where nothing differs."""
    assert named(unit()) == [{"calls": {}, "tokens": {}, "cost": {}}]


def test_calls_that_no_event_told_of_cost_the_vendors_average() -> None:
    """The vendor has 15 calls, 1,500 tokens and 3 USD: 500 of 1,500 tokens are a third of 3 USD."""
    more = unit(calls=Measure(10, 15), tokens=Measure(1000, 1500), cost=Measure(2 * USD, 3 * USD))
    assert named(more) == [
        {"calls": {"unlogged_calls": 5}, "tokens": {"unlogged_calls": 500}, "cost": {"unlogged_calls": USD}}
    ]


def test_tokens_beyond_ours_of_calls_that_we_know_are_not_unlogged() -> None:
    """Ten calls on both sides: a stream that broke off told fewer tokens than the vendor billed."""
    assert named(unit(tokens=Measure(1000, 1100)))[0]["tokens"] == {"other": 100}


def test_calls_that_the_vendor_does_not_tell_of_are_of_no_other_reason() -> None:
    """Such as those of another account."""
    fewer = unit(calls=Measure(10, 8), tokens=Measure(1000, 800), cost=Measure(2 * USD, USD))
    assert named(fewer) == [{"calls": {"other": -2}, "tokens": {"other": -200}, "cost": {"other": -USD}}]


def test_hours_that_the_vendor_leaves_out_are_timing() -> None:
    """300 tokens before the query's time, 200 in the hour in which it begins, of which the vendor has 50."""
    cut = unit(
        calls=Measure(10, None),
        tokens=Measure(1000, 550, outside=300, edge=200),
        cost=Measure(2 * USD, None),
    )
    assert named(cut) == [{"calls": {}, "tokens": {"timing": -450}, "cost": {}}]


def test_what_the_vendor_counts_after_midnight_is_timing_as_far_as_the_hour_reaches() -> None:
    """We have 100 tokens more on the 1st, the vendor 100 more on the 2nd; our last hour had 80: 20 remain each way."""
    first = unit(calls=Measure(), tokens=Measure(1000, 900, last=80), cost=Measure())
    second = unit(day=date(2026, 6, 2), calls=Measure(), tokens=Measure(1000, 1100), cost=Measure())
    assert [each["tokens"] for each in named(first, second)] == [
        {"timing": -80, "other": -20},
        {"timing": 80, "unlogged_calls": 20},
    ]


def test_what_is_told_under_another_model_is_not_unlogged() -> None:
    """The vendor has 300 more of one model, 200 fewer of another: 200 moved, 100 were not logged."""
    one = unit(calls=Measure(), tokens=Measure(1000, 1300), cost=Measure())
    other = unit(model="gpt-5-mini", calls=Measure(), tokens=Measure(1000, 800), cost=Measure())
    assert [each["tokens"] for each in named(one, other)] == [{"other": 200, "unlogged_calls": 100}, {"other": -200}]


def test_credits_are_what_the_vendor_marks() -> None:
    """2 USD of usage, of which half a dollar is given back."""
    credited = unit(cost=Measure(2 * USD, 3 * USD // 2), credits=-USD // 2)
    assert named(credited)[0]["cost"] == {"credits": -USD // 2}


def test_calls_without_a_price_are_named_by_their_tokens() -> None:
    """Half of the tokens have no price, so we know 1 of the vendor's 2 USD."""
    unpriced = unit(cost=Measure(USD, 2 * USD), unpriced_calls=5, unpriced_tokens=500)
    assert named(unpriced)[0]["cost"] == {"unknown_price": USD}


def test_half_a_step_of_each_amount_is_rounding_and_no_more() -> None:
    """Two amounts told in cents can hide one cent; two cents they cannot."""
    assert named(unit(cost=Measure(2 * USD, 2 * USD + USD // 100), rounding=USD // 100))[0]["cost"] == {
        "rounding": USD // 100
    }
    assert named(unit(cost=Measure(2 * USD, 2 * USD + USD // 50), rounding=USD // 100))[0]["cost"] == {
        "other": USD // 50
    }


def test_a_cost_without_any_call_of_ours_is_unlogged() -> None:
    """A cost report alone, for a model that no event names."""
    alone = unit(calls=Measure(0, None), tokens=Measure(0, None), cost=Measure(0, USD))
    assert named(alone)[0]["cost"] == {"unlogged_calls": USD}


@pytest.mark.parametrize(
    ("buckets", "edges", "outside"),
    [
        ([("00:00", "24:00")], [], 0),
        ([("17:31", "24:00")], [17], 17),
        ([("00:00", "17:31")], [17], 6),
        ([("00:00", "12:00"), ("12:00", "24:00")], [], 0),
        ([("00:00", "01:00"), ("02:30", "03:00")], [2], 22),
    ],
)
def test_hours_of_a_day_that_buckets_cover_in_part(
    buckets: list[tuple[str, str]], edges: list[int], outside: int
) -> None:
    """The first and last day of a query are cut to the minute."""
    found = dict(cut_hours([(instant(start), instant(end)) for start, end in buckets]))
    assert [hour for hour, state in found.items() if state == "edge"] == edges
    assert sum(state == "outside" for state in found.values()) == outside


def instant(clock: str) -> datetime:
    """Return an instant of the day."""
    hours, minutes = map(int, clock.split(":"))
    return datetime(2026, 6, 1, tzinfo=UTC) + timedelta(hours=hours, minutes=minutes)


AMOUNT = st.integers(0, 5000)
MEASURE = st.builds(
    Measure,
    AMOUNT,
    st.none() | st.integers(-1000, 6000),
    outside=AMOUNT,
    edge=AMOUNT,
    first=AMOUNT,
    last=AMOUNT,
)
UNITS = st.lists(
    st.builds(
        DayUnit,
        st.sampled_from(["openai", "anthropic"]),
        st.integers(0, 3).map(lambda day: DAY + timedelta(days=day)),
        st.sampled_from(["a", "b", None]),
        st.sampled_from(["p", None]),
        MEASURE,
        MEASURE,
        MEASURE,
        unpriced_tokens=AMOUNT,
        unpriced_calls=st.integers(0, 3),
        credits=st.integers(-2000, 0),
        rounding=st.integers(0, 2000),
    ),
    max_size=8,
    unique_by=lambda unit: (unit.vendor, unit.day, unit.model, unit.project_id),
)


@given(UNITS)
def test_residuals_always_sum_to_the_difference_and_rows_to_both_sides(units: list[DayUnit]) -> None:
    """Whatever the sides tell: nothing is left without a name, and no reason is outside of the list."""
    name_residuals(units)
    for each in units:
        for measure in each.measures:
            assert set(measure.parts) <= set(REASONS)
            if measure.theirs is None:
                assert measure.parts == {}
            else:
                assert sum(measure.parts.values()) == measure.theirs - measure.ours
    rows = reconciliation_table(units, [], UTC_CALENDAR).to_pylist()
    for name in ("calls", "tokens"):
        assert sum(row[f"our_{name}"] for row in rows) == sum(getattr(each, name).ours for each in units)
        told = [getattr(each, name).theirs for each in units]
        assert sum(row[f"vendor_{name}"] or 0 for row in rows) == sum(each or 0 for each in told)
    assert all(row["residual_kind"] != MATCHED or not row["residual_tokens"] for row in rows)
