"""What holds for the effects of any bills: they sum to the change, turn around with time, and need no other period."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.pipelines.insight.bill_rows import BUCKETS, JULY, JUNE, MAY, Row, bills, by_cell, driven, listed, usage

from tollbook.insight.price_volume_mix import every_pair, price_volume_mix

MONTHS = (MAY, JUNE, JULY)
COSTS = ("usage_cost", "estimate_cost", "period_charge_cost", "correction_cost")
TURNED = {"new_workflow": "retired_workflow", "retired_workflow": "new_workflow"}
Rows = tuple[list[Row], list[Row], list[Row]]

counts = st.one_of(st.just(0), st.integers(1, 9), st.integers(1, 10**12))
money = st.integers(0, 10**21).map(lambda pico: Decimal(pico).scaleb(-12))
prices = st.one_of(st.none(), st.just("0"), st.integers(1, 10**9).map(str))


@st.composite
def any_bills(draw: st.DrawFn) -> Rows:
    """Draw three months of bills in which teams, workflows, models, tiers and prices come, go and are unknown."""
    used, drivers, listed_prices = [], [], []
    for month in MONTHS:
        for team, workflow in (("search", "answers"), ("search", "review"), ("legal", "review")):
            for model, tier in (("alpha", "default"), ("alpha", "batch"), ("beta", "default")):
                if not draw(st.booleans()):
                    continue
                cost = draw(st.one_of(st.none(), st.just(Decimal(0)), money))
                tokens = draw(st.tuples(counts, counts, counts, counts))
                calls = draw(st.integers(1, 10**9))
                row = usage(
                    month, cost, calls=calls, tokens=tokens, team=team, workflow=workflow, model=model, tier=tier
                )
                if cost is not None and draw(st.booleans()):
                    more = draw(st.integers(1, 10**6))
                    row["calls"] += more
                    row["output_tokens"] += more
                used.append(row)
            tasks = draw(st.one_of(st.none(), st.integers(0, 10**6)))
            beside = {name: draw(st.one_of(st.none(), money)) for name in ("estimate", "period_charge")}
            correction = draw(st.one_of(st.none(), money.map(lambda amount: -amount), money))
            drivers.append(
                driven(month, tasks, without=tasks, team=team, workflow=workflow, correction=correction, **beside)
            )
        for model in ("alpha", "beta"):
            listed_prices += [listed(month, unit, draw(prices), model=model) for unit in BUCKETS]
    return used, drivers, listed_prices


def costs(rows: Rows) -> dict[tuple[date, str, str], Decimal]:
    """Return what each team and workflow was charged in each month, what is unknown left out."""
    charged: defaultdict[tuple[date, str, str], Decimal] = defaultdict(Decimal)
    for row in (*rows[0], *rows[1]):
        amounts = (row.get(name) for name in ("effective_cost", *COSTS))
        for amount in amounts:
            charged[row["billing_period_start"], row["team"], row["workflow"]] += amount or 0
    return charged


def told(rows: Rows, pairs: list[tuple[date, date]]) -> list[dict[str, Any]]:
    """Return the effects of some pairs, row by row."""
    found: list[dict[str, Any]] = price_volume_mix(bills(*rows), pairs).to_pylist()
    return found


@settings(max_examples=40, deadline=None)
@given(any_bills())
def test_effects_sum_to_the_change_of_each_workflow_team_and_the_organisation(rows: Rows) -> None:
    """To the last pico-USD, at every level; no effect is zero, and none stands twice."""
    charged = costs(rows)

    effects = told(rows, every_pair(MONTHS))

    names = ("from_period_start", "to_period_start", "team", "workflow", "effect")
    assert len({tuple(row[name] for name in names) for row in effects}) == len(effects)
    assert all(row["effect_cost"] != 0 for row in effects)
    for before, after in every_pair(MONTHS):
        of_pair = [row for row in effects if (row["from_period_start"], row["to_period_start"]) == (before, after)]
        for level in ((), ("team",), ("team", "workflow")):
            explained: defaultdict[tuple[str, ...], Decimal] = defaultdict(Decimal)
            change: defaultdict[tuple[str, ...], Decimal] = defaultdict(Decimal)
            for row in of_pair:
                explained[tuple(row[name] for name in level)] += row["effect_cost"] or 0
            for (month, team, workflow), cost in charged.items():
                place = tuple({"team": team, "workflow": workflow}[name] for name in level)
                change[place] += cost * ((month == after) - (month == before))
            assert {key: value for key, value in explained.items() if value} == {
                key: value for key, value in change.items() if value
            }


@settings(max_examples=40, deadline=None)
@given(any_bills())
def test_exchanging_the_periods_changes_the_sign_of_every_effect(rows: Rows) -> None:
    """What is new one way is retired the other; nothing else changes its name."""
    forth, back = (by_cell(price_volume_mix(bills(*rows), [pair])) for pair in ((MAY, JULY), (JULY, MAY)))

    turned = {
        cell: {TURNED.get(effect, effect): None if amount is None else -amount for effect, amount in effects.items()}
        for cell, effects in back.items()
    }
    assert turned == forth


@settings(max_examples=40, deadline=None)
@given(any_bills())
def test_the_same_bill_again_has_no_effect(rows: Rows) -> None:
    """June is May under another date: there is nothing to explain, and what is unknown stays so."""
    of_may = [[row for row in each if row["billing_period_start"] == MAY] for each in rows]
    used, drivers, listed_prices = ([*each, *(row | {"billing_period_start": JUNE} for row in each)] for each in of_may)

    effects = told((used, drivers, listed_prices), [(MAY, JUNE)])

    assert [row for row in effects if row["effect_cost"] is not None] == []
    assert {row["effect"] for row in effects} <= {"unknown_price"}


@settings(max_examples=40, deadline=None)
@given(any_bills(), st.randoms(use_true_random=False))
def test_neither_other_periods_nor_the_order_of_rows_change_a_pair(rows: Rows, random: Any) -> None:
    """A build that makes some pairs gives what one gives that makes all of them, to the last place."""
    of_two = tuple([row for row in each if row["billing_period_start"] != JUNE] for each in rows)
    for each in of_two:
        random.shuffle(each)

    alone = price_volume_mix(bills(*of_two), [(MAY, JULY)])

    assert alone.equals(price_volume_mix(bills(*rows), [(MAY, JULY)]))


@settings(max_examples=40, deadline=None)
@given(any_bills(), st.integers(2, 1_000))
def test_more_of_the_same_is_task_volume_alone(rows: Rows, times: int) -> None:
    """All of May so many times over: tasks explain all of it, whatever models and prices are in it."""
    used, _, listed_prices = ([row for row in each if row["billing_period_start"] == MAY] for each in rows)
    assume(used)
    scaled = ("calls", "priced_calls", *BUCKETS, *(f"priced_{name}" for name in BUCKETS), "effective_cost")
    used += [
        row | {"billing_period_start": JUNE} | {name: row[name] * times for name in scaled if row[name] is not None}
        for row in used
    ]
    listed_prices += [row | {"billing_period_start": JUNE} for row in listed_prices]

    effects = told((used, [], listed_prices), [(MAY, JUNE)])

    # Shares are binary fractions: some units of the sixteenth digit may lie elsewhere.
    amounts = {(row["team"], row["workflow"], row["effect"]): abs(row["effect_cost"] or 0) for row in effects}
    small = max(amounts.values(), default=Decimal(0)) * Decimal("1e-13") + Decimal("1e-11")
    assert {effect for (*_, effect), amount in amounts.items() if amount > small} <= {"task_volume"}


def test_columns_are_those_that_are_promised() -> None:
    """Without pairs there is an empty table of the same shape."""
    empty = price_volume_mix(bills([]), [])

    assert empty.num_rows == 0
    assert empty.schema.field("effect_cost").type == pa.decimal128(38, 12)
