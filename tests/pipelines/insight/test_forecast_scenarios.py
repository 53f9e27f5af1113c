"""What comes otherwise than expected, by hand: a million tokens a day at 2 USD, 30 August is the last day known."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pipelines.insight.forecast_rows import (
    AS_OF,
    Row,
    book,
    days,
    forecast_rows,
    item,
    items_of,
    part,
    scenario,
)

from tollbook.insight.forecast_scenarios import scenarios_of

AUGUST, SEPTEMBER, OCTOBER, NOVEMBER = (date(2026, month, 1) for month in (8, 9, 10, 11))
STEADY = [1_000_000] * 84
ONE_WORKFLOW = [part("answer", 28_000_000, "56"), part("answer", 0, None, model=None, tasks=280)]
AMOUNTS = ("forecast_cost", "forecast_lower_cost", "forecast_upper_cost")


def months(*assumptions: Row, parts: list[Row] | None = None, **told: Any) -> dict[date, Row]:
    """Return the months of a team whose usage is steady, under assumptions."""
    told.setdefault("items", items_of(days(STEADY), (0, 4)))
    rows = forecast_rows(
        days(STEADY),
        told.pop("items"),
        told.pop("prices", None),
        scenarios=[scenario(*assumptions)],
        by_workflow=ONE_WORKFLOW if parts is None else parts,
    )
    return {row["billing_period_start"]: row for row in rows if row["scenario"] == "other" and row["team"] == "search"}


def test_twice_the_tasks_from_the_middle_of_a_month_on() -> None:
    """September: 15 days of 2 USD and 15 of 4; October 31 of 4. What is known of August stays, and its last day."""
    rows = months({"from": "2026-09-16", "tasks": {"factor": "2"}})

    assert [rows[month]["forecast_cost"] for month in (AUGUST, SEPTEMBER, OCTOBER)] == [62, 90, 124]
    september = rows[SEPTEMBER]
    assert (september["forecast_tasks"], september["forecast_tokens"]) == (450, 45_000_000)
    assert (september["forecast_tokens_per_task"], september["forecast_price_per_million_tokens"]) == (100_000, 2)
    assert (september["scenario_entry"], september["forecast_method"]) == ("other-1", "mean")


def test_growth_of_a_tenth_a_month_is_compounded() -> None:
    """60, 62 and 60 USD are expected: times 1.1, 1.21 and 1.331."""
    rows = months({"from": "2026-09-01", "tasks": {"factor_per_month": "1.10"}})

    assert [rows[month]["forecast_cost"] for month in (SEPTEMBER, OCTOBER, NOVEMBER)] == [
        Decimal(66),
        Decimal("75.02"),
        Decimal("79.86"),
    ]


def test_what_ends_is_as_expected_again() -> None:
    """Half as much on ten days of September: 20 days of 2 USD and 10 of 1."""
    rows = months({"from": "2026-09-11", "until": "2026-09-21", "tasks": {"factor": "0.5"}})

    assert (rows[SEPTEMBER]["forecast_cost"], rows[OCTOBER]["forecast_cost"]) == (50, 62)


def test_larger_tasks_are_no_more_tasks() -> None:
    """Half as many tokens again for each: 90 USD, of 300 tasks of 150,000 tokens."""
    september = months({"from": "2026-09-01", "tokens_per_task": {"factor": "1.5"}})[SEPTEMBER]

    assert (september["forecast_cost"], september["forecast_tasks"]) == (90, 300)
    assert (september["forecast_tokens_per_task"], september["forecast_tokens"]) == (150_000, 45_000_000)


def test_factors_on_the_same_usage_multiply() -> None:
    """Twice the tasks of half as many tokens each at a tenth of the price: 60 USD become 6."""
    september = months(
        {"from": "2026-09-01", "tasks": {"factor": "2"}},
        {"from": "2026-09-01", "tokens_per_task": {"factor": "0.5"}},
        {"from": "2026-09-01", "price": {"factor": "0.1"}},
    )[SEPTEMBER]

    assert (september["forecast_cost"], september["forecast_tasks"]) == (6, 600)


@pytest.mark.parametrize("models", [["m"], ["M*"], ["x", "*m"]])
def test_a_price_by_patterns_of_models_is_that_of_its_part(models: list[str]) -> None:
    """Half of the tokens at 3 USD a million (m), half at 1 (n): 45 and 15 USD. A quarter of m's price: 26.25."""
    used = [each for held in (0, 4) for each in (item(held, 14_000_000, "42"), item(held, 14_000_000, "14", model="n"))]
    parts = [part("answer", 14_000_000, "42"), part("answer", 14_000_000, "14", model="n")]
    cut: Row = {"from": "2026-09-01", "provider": "Acme", "models": models, "price": {"factor": "0.25"}}
    rows = months(cut, parts=parts, items=used)

    assert rows[SEPTEMBER]["forecast_cost"] == Decimal("26.25")
    assert rows[SEPTEMBER]["forecast_tokens"] == 30_000_000


def test_an_assumed_price_is_over_the_changes_that_the_book_knows() -> None:
    """The book halves the price on 1 October; half of that is assumed: 62 USD become 15.50. September is as it was."""
    rows = months({"from": "2026-10-01", "price": {"factor": "0.5"}}, prices=book((OCTOBER, 1_000_000)))

    assert (rows[SEPTEMBER]["forecast_cost"], rows[OCTOBER]["forecast_cost"]) == (60, Decimal("15.5"))


def moved(share: str, model: str, **told: str) -> Row:
    """Return a move of all models' usage to another."""
    return {"from": "2026-09-01", "moved": {"share": share, "provider": "acme", "model": model, **told}}


def test_half_of_the_usage_at_a_model_of_half_the_price() -> None:
    """30 USD stay; the other half needs 1.2 times the tokens at half the price, 18 USD. 15 and 18 million tokens."""
    rows = months(moved("0.5", "n", tokens_factor="1.2"), prices=book(others={"n": 1_000_000}))

    assert rows[SEPTEMBER]["forecast_cost"] == 48
    assert (rows[SEPTEMBER]["forecast_tokens"], rows[SEPTEMBER]["forecast_tasks"]) == (33_000_000, 300)


def test_moves_take_their_shares_until_nothing_is_left() -> None:
    """Six tenths to n at half the price, 18 USD; of six more to o, at a quarter, four tenths are left: 6 USD."""
    rows = months(moved("0.6", "n"), moved("0.6", "o"), prices=book(others={"n": 1_000_000, "o": 500_000}))

    assert rows[SEPTEMBER]["forecast_cost"] == 24


def test_what_was_moved_has_the_price_of_where_it_went() -> None:
    """Model n costs half as much as m, and is assumed to fall by half again; m doubles: 30 x 2 + 30 / 4."""
    rows = months(
        moved("0.5", "n"),
        {"from": "2026-09-01", "models": ["n"], "price": {"factor": "0.5"}},
        {"from": "2026-09-01", "models": ["m"], "price": {"factor": "2"}},
        prices=book(others={"n": 1_000_000}),
    )

    assert rows[SEPTEMBER]["forecast_cost"] == Decimal("67.5")


def test_a_move_to_a_model_without_a_known_price_costs_nothing_known() -> None:
    """Zero would be a bargain. Counts are still told; before the move there is an amount."""
    rows = months({**moved("0.5", "unheard-of"), "from": "2026-10-01"})

    assert (rows[SEPTEMBER]["forecast_cost"], rows[SEPTEMBER]["reason"]) == (60, None)
    assert rows[OCTOBER]["reason"] == "no_known_price_of_move"
    assert {rows[OCTOBER][name] for name in (*AMOUNTS, "forecast_price_per_million_tokens")} == {None}
    assert rows[OCTOBER]["forecast_tokens"] == 31_000_000


def test_a_workflow_that_ends_takes_its_part_of_tokens_and_tasks_along() -> None:
    """A quarter of the tokens and 240 of 280 tasks. October has 62 USD and 310 tasks: 46.50 and 310 / 7 are left."""
    parts = [part("answer", 21_000_000, "42"), part("index", 7_000_000, "14")]
    parts += [part("answer", 0, None, model=None, tasks=40), part("index", 0, None, model=None, tasks=240)]
    rows = months({"from": "2026-10-01", "workflow": "index", "tasks": {"factor": "0"}}, parts=parts)

    assert rows[SEPTEMBER]["forecast_cost"] == 60
    assert (rows[OCTOBER]["forecast_cost"], rows[OCTOBER]["forecast_tasks"]) == (Decimal("46.5"), 44)
    assert rows[OCTOBER]["forecast_tokens"] == 23_250_000


def test_cost_without_tokens_stays_where_it_is_and_grows_with_tasks() -> None:
    """A tool of 14 USD rides on tokens of 42: of 60 USD in September 15 are the tool's, and cannot move.

    Half of 45 goes to a model of half the price: 15 + 22.50 + 11.25.
    """
    used = [item(held, 28_000_000, "42") for held in (0, 4)]
    used += [item(held, 0, "14", model="tool") for held in (0, 4)]
    parts = [part("answer", 28_000_000, "42"), part("answer", 0, "14", model="tool")]
    prices = book(others={"n": 1_000_000})

    assert months(moved("0.5", "n"), parts=parts, items=used, prices=prices)[SEPTEMBER]["forecast_cost"] == Decimal(
        "48.75"
    )
    double: Row = {"from": "2026-09-01", "tasks": {"factor": "2"}}
    assert months(double, parts=parts, items=used, prices=prices)[SEPTEMBER]["forecast_cost"] == 120


NEW: Row = {
    "from": "2026-09-16",
    "team": "tax",
    "workflow": "file",
    "new": {"tasks_per_day": "40", "tokens_per_task": "50000", "price_per_million_tokens": "2.00", "currency": "USD"},
}


def test_a_new_team_has_rows_of_that_scenario_alone() -> None:
    """40 tasks of 50,000 tokens a day are 4 USD: 15 days of September, 31 of October. Nobody else's rows change."""
    rows = forecast_rows(
        days(STEADY), items_of(days(STEADY), (0, 4)), scenarios=[scenario(NEW)], by_workflow=ONE_WORKFLOW
    )
    tax = [row for row in rows if row["team"] == "tax"]
    search = {row["scenario"]: row for row in rows if row["team"] == "search" and row["months_ahead"] == 2}

    assert [row["forecast_cost"] for row in tax] == [0, 60, 124, 120]
    assert [(row["forecast_tasks"], row["forecast_tokens"]) for row in tax[:2]] == [(0, 0), (600, 30_000_000)]
    assert {(row["scenario"], row["reason"], row["base_priced_tokens"]) for row in tax} == {
        ("other", "only_assumed", 0)
    }
    named = ("scenario", "scenario_entry")
    other, expected = ({**search[name], **dict.fromkeys(named)} for name in ("other", "expected"))
    assert other == expected


def test_new_usage_of_a_team_adds_to_its_own_and_no_factor_touches_it() -> None:
    """Nothing of the old is left and 4 USD a day are new: 30 + 60 USD in September, 124 in October."""
    ends: Row = {"from": "2026-09-16", "tasks": {"factor": "0"}}
    rows = months(ends, {**NEW, "team": "search"})

    assert [rows[month]["forecast_cost"] for month in (SEPTEMBER, OCTOBER)] == [90, 124]
    assert rows[OCTOBER]["forecast_tasks"] == 40 * 31


def test_another_team_is_not_touched() -> None:
    """Its rows are those that are expected."""
    rows = months({"from": "2026-09-01", "team": "legal", "tasks": {"factor": "9"}})

    assert [row["forecast_cost"] for row in rows.values()] == [62, 60, 62, 60]


def test_a_team_without_a_forecast_has_none_under_a_scenario() -> None:
    """Twice the unknown is unknown."""
    told = days([1_000_000] * 13)
    double = scenario({"from": "2026-09-01", "tasks": {"factor": "2"}})
    rows = forecast_rows(told, items_of(told, (0,)), scenarios=[double])

    assert len(rows) == 12
    assert {(row["reason"], row["forecast_cost"]) for row in rows} == {("too_little_history", None)}


def test_a_scenario_is_computed_while_its_entry_holds() -> None:
    """The helper's entry holds from 2026 on."""
    assert scenario({"from": "2026-09-01", "tasks": {"factor": "2"}}).name == "other"
    assert scenarios_of([], AS_OF) == []


COUNTS = st.integers(0, 10**9)


@st.composite
def a_team(draw: st.DrawFn) -> list[Row]:
    """Draw the days of a team with usage on its last day."""
    n_days = draw(st.integers(2, 10)) * 7
    tokens = [*draw(st.lists(COUNTS, min_size=n_days - 1, max_size=n_days - 1)), draw(st.integers(1, 10**9))]
    return days(tokens, tasks=draw(st.lists(st.integers(0, 1000), min_size=n_days, max_size=n_days)))


def parts_of(used: list[Row]) -> list[Row]:
    """Return the base by workflow, its tokens in two uneven parts of equal price."""
    (base,) = (each for each in used if each["held_weeks"] == 0)
    first = base["priced_tokens"] // 3
    costs = (first * Decimal("0.000002"), base["effective_cost"] - first * Decimal("0.000002"))
    parts = [part("a", first, str(costs[0])), part("b", base["priced_tokens"] - first, str(costs[1]))]
    return [*parts, part("a", 0, None, model=None, tasks=3), part("b", 0, None, model=None, tasks=4)]


@settings(max_examples=30, deadline=None)
@given(a_team(), st.lists(st.dates(date(2026, 8, 31), date(2026, 12, 31)), max_size=4))
def test_what_is_assumed_to_stay_the_same_is_what_is_expected(told: list[Row], borders: list[date]) -> None:
    """However the months are cut: no token is lost between spans, and no pico-dollar."""
    used = items_of(told, range(9))
    same = [
        {"from": str(day), kind: {"factor": "1"}}
        for day in (AS_OF, *borders)
        for kind in ("tasks", "tokens_per_task", "price")
    ]
    rows = forecast_rows(told, used, scenarios=[scenario(*same)], by_workflow=parts_of(used))
    named = ("scenario", "scenario_entry")
    by_scenario = {
        name: [{**row, **dict.fromkeys(named)} for row in rows if row["scenario"] == name]
        for name in ("expected", "other")
    }
    for expected, other in zip(by_scenario["expected"], by_scenario["other"], strict=True):
        if not expected["forecast_tokens"]:  # Without tokens there is no price of one.
            price = "forecast_price_per_million_tokens"
            expected, other = {**expected, price: None}, {**other, price: None}
        assert expected == other


@settings(max_examples=30, deadline=None)
@given(a_team(), st.integers(0, 50))
def test_intervals_grow_as_what_they_are_about(told: list[Row], times: int) -> None:
    """Of every amount ahead there is as many times as much, also of its lower and upper end."""
    used = items_of(told, range(9))
    grown = scenario({"from": "2026-08-01", "tasks": {"factor": str(times)}})
    rows = forecast_rows(told, used, scenarios=[grown], by_workflow=parts_of(used))
    by_scenario = {
        name: [row for row in rows if row["scenario"] == name and row["forecast_cost"] is not None]
        for name in ("expected", "other")
    }
    for expected, other in zip(by_scenario["expected"], by_scenario["other"], strict=True):
        known = expected["actual_cost"] or 0
        for name in AMOUNTS:
            assert other[name] - known == (expected[name] - known) * times
