"""The cheapest mix of plans and what usage costs under their terms: worked by hand, and against all that there are."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollbook.insight.plan_mix import Choice, cheapest_mix, cost_of_mix
from tollbook.insight.plan_terms import Terms, Tier, Usage, terms_of_offer, tiered

USD = 10**12


@st.composite
def choices(draw: st.DrawFn) -> list[Choice]:
    """Draw up to three plans for up to five persons, with least seats that may be more than there are persons."""
    persons = draw(st.integers(1, 5))
    costs = st.lists(st.integers(0, 12), min_size=persons, max_size=persons)
    return [
        Choice(draw(st.integers(0, 8)), draw(st.integers(1, 6)), draw(costs)) for _ in range(draw(st.integers(1, 3)))
    ]


@settings(max_examples=400, deadline=None)
@given(choices())
def test_no_mix_is_cheaper(plans: list[Choice]) -> None:
    """Every way to put every person on a plan is tried."""
    persons = len(plans[0].usage_costs)
    least = min(cost_of_mix(plans, way) for way in product(range(len(plans)), repeat=persons))
    assert cost_of_mix(plans, cheapest_mix(plans)) == least


@given(choices())
def test_a_mix_is_never_dearer_than_one_plan_for_all(plans: list[Choice]) -> None:
    """Whoever buys one plan for everybody buys a mix too."""
    assert cost_of_mix(plans, cheapest_mix(plans)) <= min(plan.uniform_cost() for plan in plans)


def test_seats_that_are_paid_anyway_go_to_those_who_gain_most() -> None:
    """Metered: 50, 40, 10, 1 are 101. A seat is 20, three at least: 60 for the first three, and 1 metered: 61.

    A second such plan at 18 that covers half of what the first two use: 20 + 25 = 45 and 38 are no better than 20.
    """
    metered = Choice(0, 1, [50, 40, 10, 1])
    seat = Choice(20, 3, [0, 0, 0, 0])
    half = Choice(18, 3, [25, 20, 5, 0])
    assert cheapest_mix([metered, seat, half]) == [1, 1, 1, 0]
    assert cost_of_mix([metered, seat, half], [1, 1, 1, 0]) == 61
    # With nine seats at least, 180 are more than 101 for all.
    assert cheapest_mix([metered, Choice(20, 9, [0, 0, 0, 0])]) == [0, 0, 0, 0]


def test_somebody_moves_on_where_two_plans_have_seats_that_are_paid() -> None:
    """Two plans of two seats at 10, four persons of 30 each; a can only use the first, b only the second.

    Greedy gains alone would fill the first plan with c and d and leave a at 30.
    """
    metered = Choice(0, 1, [30, 30, 30, 30])
    first, second = Choice(10, 2, [0, 30, 0, 0]), Choice(10, 2, [30, 0, 1, 2])
    mix = cheapest_mix([metered, first, second])
    assert cost_of_mix([metered, first, second], mix) == 41
    assert mix[:2] == [1, 2]
    assert sorted(mix[2:]) == [1, 2]
    assert mix[2:] == [2, 1]


def test_without_a_plan_there_is_no_mix() -> None:
    """An empty list is a mistake of the caller."""
    with pytest.raises(ValueError, match="expected one plan or more, got none"):
        cheapest_mix([])


def test_tiers_price_each_part_at_its_own() -> None:
    """250 units: 100 at 1.10 and 150 at 0.90 are 110 + 135."""
    tiers = (Tier(Fraction(100), Fraction("1.10")), Tier(None, Fraction("0.90")))
    assert tiered(Fraction(250), tiers) == 245
    assert tiered(Fraction(100), tiers) == 110
    assert tiered(Fraction(0), tiers) == 0


@pytest.mark.parametrize(
    ("told", "usage", "fee", "beyond"),
    [
        # Metered at list: 35,000 is 35,000.
        ({"fee": "0", "per": "month"}, Usage(35_000 * USD, 10), 0, 35_000 * USD),
        # 20 of 50 are covered, 30 cost 1.10 each.
        (
            {"fee": "30", "per": "month", "included": {"unit": "spend", "quantity": "20"}, "overage": {"price": "1.1"}},
            Usage(50 * USD, 10),
            30 * USD,
            33 * USD,
        ),
        # 2,200 a year are 183.333333333333 a month. 50 are 1,250 credits of 0.04, 250 beyond cost 0.05: 12.50.
        (
            {
                "fee": "2200",
                "per": "year",
                "included": {"unit": "credits", "quantity": "1000", "credit_value": "0.04"},
                "overage": {"price": "0.05"},
            },
            Usage(50 * USD, 10),
            183_333_333_333_333,
            12_500_000_000_000,
        ),
        # 3 million tokens, 1 million covered, 2 a million beyond: 4. Without a price two thirds of the list cost of 9.
        (
            {
                "fee": "5",
                "per": "month",
                "included": {"unit": "tokens", "quantity": "1000000"},
                "overage": {"price": "2"},
            },
            Usage(None, 3_000_000),
            5 * USD,
            4 * USD,
        ),
        (
            {"fee": "5", "per": "month", "included": {"unit": "tokens", "quantity": "1000000"}},
            Usage(9 * USD, 3_000_000),
            5 * USD,
            6 * USD,
        ),
        ({"fee": "200", "per": "month", "included": {"unit": "all"}}, Usage(None, 7), 200 * USD, 0),
        ({"fee": "0", "per": "month"}, Usage(None, 7), 0, None),
    ],
)
def test_terms_of_an_offer(told: dict[str, object], usage: Usage, fee: int, beyond: int | None) -> None:
    """Each unit that can be counted, worked by hand; what has no known price is unknown, never free."""
    terms = terms_of_offer(told, Fraction(1))
    assert (terms.fee, terms.beyond(usage)) == (fee, beyond)


def test_terms_in_another_currency_are_converted() -> None:
    """30 EUR at 1.10 are 33 USD, and so is each price of overage: 10 beyond at 1.00 EUR are 11 USD."""
    told = {"fee": "30", "per": "month", "included": {"unit": "spend", "quantity": "5"}, "overage": {"price": "1"}}
    terms = terms_of_offer(told, Fraction("1.10"))
    assert (terms.fee, terms.beyond(Usage(15 * USD, 0))) == (33 * USD, 11 * USD)
    assert Terms(fee=0).beyond(Usage(0, 0)) == 0
