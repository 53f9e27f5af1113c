"""Seats and flat plans against the same usage at API prices: worked by hand, and sums that hold for any usage."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tollbook.insight.plan_terms import Terms, Tier
from tollbook.insight.subsidies import FEES_SCHEMA, PERSONS_SCHEMA, Offer, Plan, subsidies

JUNE = date(2026, 6, 1)
USD = 10**12
LIST = Terms(fee=0)
Row = dict[str, Any]


def used(person: str, listed: str | None, tokens: int = 0, *, subscription: str = "s") -> Row:
    """Return usage of a person in June."""
    return {
        "billing_period_start": JUNE,
        "subscription_id": subscription,
        "person": person,
        "calls": 1,
        "unpriced_calls": 1 if listed is None else 0,
        "unpriced_tokens": tokens if listed is None else 0,
        "total_tokens": tokens,
        "list_cost": None if listed is None else Decimal(listed),
    }


def made(
    rows: Iterable[Row],
    *,
    seats_cost: str | None = "0",
    fee_cost: str | None = "0",
    plan: Plan | None = None,
    offers: Iterable[Offer] = (),
) -> list[Row]:
    """Return what comes of usage in June under one subscription that is paid for."""
    paid = {
        "billing_period_start": JUNE,
        "subscription_id": "s",
        "seats_cost": None if seats_cost is None else Decimal(seats_cost),
        "fee_cost": None if fee_cost is None else Decimal(fee_cost),
    }
    table = subsidies(
        pa.Table.from_pylist(list(rows), schema=PERSONS_SCHEMA),
        pa.Table.from_pylist([paid], schema=FEES_SCHEMA),
        {} if plan is None else {(JUNE, "s"): plan},
        {JUNE: list(offers)},
    )
    rows_made: list[Row] = table.to_pylist()
    return rows_made


def by_person(rows: Iterable[Row], *names: str) -> dict[str, Any]:
    """Return columns of the rows of persons."""
    held = [row for row in rows if row["person"] is not None]
    if len(names) == 1:
        return {row["person"]: row[names[0]] for row in held}
    return {row["person"]: tuple(row[name] for name in names) for row in held}


def test_the_published_case_is_175_to_one() -> None:
    """35,000 USD of compute on a plan of 200 USD."""
    (row,) = made([used("a", "35000")], fee_cost="200", plan=Plan("v", "Max", None, Terms(fee=0, unit="all")))
    assert (row["fee_cost"], row["subsidy_multiple"], row["plan_multiple"]) == (200, 175, 175)
    # All is covered by its own terms; metered it would be 35,000.
    assert (row["own_terms_cost"], row["list_cost"]) == (200, 35_000)
    assert (row["usage_rank"], row["gini"], row["top_1_percent_share"]) == (1, 0, 1)


def test_seats_are_shared_by_those_who_sit_and_the_empty_ones_are_stated() -> None:
    """11 seats for 330: 30 each for a, b and c, 240 for the eight that nobody used. Calls of nobody bear none."""
    rows = made(
        [used("a", "60"), used("b", "15"), used("c", "0"), used("unknown", "25")],
        seats_cost="330",
        plan=Plan("v", "Team", Fraction(11), LIST),
    )
    assert by_person(rows, "fee_cost", "subsidy_multiple") == {
        "a": (30, 2),
        "b": (30, Decimal("0.5")),
        "c": (30, 0),
        "unknown": (0, None),
        "unallocated": (240, None),
    }
    assert {(row["persons"], row["seats"], row["unused_seats"]) for row in rows} == {(3, 11, 8)}
    assert {(row["plan_list_cost"], row["plan_fee_cost"]) for row in rows} == {(100, 330)}


def test_more_persons_than_seats_share_them() -> None:
    """One seat of 10 for three persons: thirds, and the pico-dollars that are left go to the first."""
    rows = made(
        [used("a", "1"), used("b", "1"), used("c", "1")], seats_cost="10", plan=Plan("v", "T", Fraction(1), LIST)
    )
    third = Decimal("3.333333333333")
    assert by_person(rows, "fee_cost") == {"a": third + Decimal("0.000000000001"), "b": third, "c": third}
    assert {row["unused_seats"] for row in rows} == {0}


def test_a_flat_plan_is_shared_by_usage_that_has_a_price() -> None:
    """100 by 30, 10 and 60 of nobody; d has no price, so no part and no multiple. Its calls are counted."""
    rows = made([used("a", "30"), used("b", "10"), used("unknown", "60"), used("d", None, 500)], fee_cost="100")
    assert by_person(rows, "fee_cost", "subsidy_multiple", "unpriced_calls") == {
        "a": (30, 1, 0),
        "b": (10, 1, 0),
        "unknown": (60, 1, 0),
        "d": (0, None, 1),
    }
    assert by_person(rows, "usage_rank", "usage_share", "lorenz_persons", "lorenz_usage") == {
        "a": (1, Decimal("0.75"), 1, 1),
        "b": (2, Decimal("0.25"), Decimal("0.5"), Decimal("0.25")),
        "unknown": (None, None, None, None),
        "d": (None, None, None, None),
    }
    # Of 30 and 10: (30 - 10) / (2 * 40).
    assert {row["gini"] for row in rows} == {Decimal("0.25")}


def test_own_terms_cover_all_usage_together_and_price_the_rest_by_usage() -> None:
    """40 of 100 are covered, 60 at 1.20 are 72: 54 for 75 and 18 for 25, beside a seat of 30 each."""
    terms = Terms(fee=0, covered=Fraction(40), tiers=(Tier(None, Fraction("1.2")),))
    rows = made([used("a", "75"), used("b", "25")], seats_cost="60", plan=Plan("v", "Team", Fraction(2), terms))
    assert by_person(rows, "own_terms_cost") == {"a": 84, "b": 48}
    # Without a price of overage what is beyond costs its list cost: 60, 45 and 15.
    at_list = Terms(fee=0, covered=Fraction(40))
    rows = made([used("a", "75"), used("b", "25")], seats_cost="60", plan=Plan("v", "Team", Fraction(2), at_list))
    assert by_person(rows, "own_terms_cost") == {"a": 75, "b": 45}


def test_the_cheapest_plan_of_each_and_what_one_plan_for_all_would_cost() -> None:
    """A seat is 30 and covers 100, beyond at list; metered is list. a 250: 180 on a seat. b 30: alike, the first name.

    c 4: 4 metered. Mix 180 + 30 + 4 = 214; all metered 284, all on seats 180 + 30 + 30 = 240.
    """
    seat = Terms(fee=30 * USD, covered=Fraction(100))
    rows = made(
        [used("a", "250"), used("b", "30"), used("c", "4"), used("unknown", "9"), used("d", None, 5)],
        offers=[Offer("metered", LIST), Offer("seat", seat), Offer("other", LIST, frozenset({"t"}))],
    )
    assert by_person(rows, "cheapest_plan", "cheapest_cost") == {
        "a": ("seat", 180),
        "b": ("metered", 30),
        "c": ("metered", 4),
        "unknown": (None, None),
        "d": (None, None),
    }
    told = ("offer_id", "offer_persons", "offer_seats", "offer_mix_cost", "offer_uniform_cost")
    assert [tuple(row[name] for name in told) for row in rows if row["offer_id"]] == [
        ("metered", 2, 2, 34, 284),
        ("seat", 1, 1, 180, 240),
    ]


def test_what_is_not_known_is_null() -> None:
    """A fee without an exchange rate, a subscription that no reference data know, and one that nobody used."""
    rows = made([used("a", "5")], seats_cost=None, plan=Plan("v", "T", Fraction(2), None))
    assert by_person(rows, "fee_cost", "subsidy_multiple", "own_terms_cost") == {"a": (None, None, None)}
    rows = made([used("a", "5", subscription="t")], seats_cost="20", plan=Plan("v", "T", Fraction(2), LIST))
    assert [(row["subscription_id"], row["person"], row["plan"], row["fee_cost"], row["calls"]) for row in rows] == [
        ("s", "unallocated", "T", 20, 0),
        ("t", "a", None, None, 1),
    ]


AMOUNTS = st.none() | st.decimals(0, 10**6, places=12).map(str)


@settings(max_examples=150, deadline=None)
@given(
    usage=st.dictionaries(st.sampled_from(["a", "b", "c", "d", "unknown"]), AMOUNTS, max_size=5),
    seats=st.fractions(0, 12, max_denominator=31),
    seats_cost=st.decimals(0, 10**5, places=12),
    fee_cost=st.decimals(0, 10**5, places=12),
)
def test_fees_sum_and_shares_sum(
    usage: dict[str, str | None], seats: Fraction, seats_cost: Decimal, fee_cost: Decimal
) -> None:
    """Whoever sits where: fees of the rows are the plan's to the last pico-dollar, shares sum to 1 but for rounding."""
    rows = made(
        [used(name, listed, 7) for name, listed in usage.items()],
        seats_cost=str(seats_cost),
        fee_cost=str(fee_cost),
        plan=Plan("v", "T", seats or None, LIST),
        offers=[Offer("metered", LIST), Offer("seat", Terms(fee=3 * USD, minimum_seats=2, unit="all"))],
    )
    assert sum(row["fee_cost"] for row in rows if row["person"]) == seats_cost + fee_cost
    shares = [row["usage_share"] for row in rows if row["usage_share"] is not None]
    assert not shares or abs(sum(shares) - 1) < Decimal("0.00000000001")
    mix = [row for row in rows if row["offer_id"]]
    assert all(sum(row["offer_mix_cost"] for row in mix) <= row["offer_uniform_cost"] for row in mix)
