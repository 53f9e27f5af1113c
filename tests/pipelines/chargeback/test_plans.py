"""Seats, fees, included usage and overage beside API cost, each worked by hand (pitfall 19)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tollbook.chargeback.origins import pico_of
from tollbook.rating.periods.calendar import BillingCalendar

if TYPE_CHECKING:
    from tests.pipelines.chargeback.conftest import Charge

Told = Callable[..., dict[str, Any]]
CENT_FREE = Decimal(0)


def plan(told: Told, name: str = "plan", **more: Any) -> dict[str, Any]:
    """Return a plan `p` that is billed by the month in USD, but for what is told."""
    return told(
        name, **{"subscription_id": "p", "vendor": "v", "plan": "Team", "currency": "USD", "per": "month", **more}
    )


def seats(purchased: int, fee: str = "30.00", **assigned: int) -> dict[str, Any]:
    """Return seats, and how many of them teams have."""
    return {"purchased": purchased, "fee": fee, "assigned": [{"team": t, "seats": n} for t, n in assigned.items()]}


def test_a_seat_that_comes_in_the_middle_of_a_month_is_charged_by_days(charge: Charge, told: Told) -> None:
    """10 seats for 15 of 30 days are 150, 12 for the other 15 are 180. b has one of 10 and then three of 12."""
    plans = [
        plan(told, "ten", seats=seats(10, a=8, b=1), valid_to="2026-06-16"),
        plan(told, "twelve", seats=seats(12, a=8, b=3), valid_from="2026-06-16"),
    ]
    done = charge(subscriptions=plans)
    assert done.charged() == {
        (6, 1, "subscription_seats", "seats"): Decimal(150),
        (6, 16, "subscription_seats", "seats"): Decimal(180),
    }
    # a: 8/10 of 150 and 8/12 of 180. b: 1/10 and 3/12. Nobody has one seat of either.
    assert done.borne() == {"a": Decimal(240), "b": Decimal(60), "unallocated": Decimal(30)}
    assert {row["charge_category"] for row in done.origins} == {"Purchase"}


def test_a_part_month_can_be_charged_whole(charge: Charge, told: Told) -> None:
    """Some vendors do not prorate: the fee of the month is due though the plan began on its last day."""
    whole = plan(told, seats=seats(2, a=2), valid_from="2026-06-30", part_periods="whole")
    assert charge(subscriptions=[whole]).borne() == {"a": Decimal(60)}


def test_a_year_paid_in_advance_is_used_up_by_days(charge: Charge, told: Told) -> None:
    """365 for a year from 1 June: payable in June, a dollar a day; July has begun, August has not (pitfall 25)."""
    yearly = plan(told, per="year", fee="365.00")
    done = charge(subscriptions=[yearly], now=datetime(2026, 7, 1, tzinfo=UTC))
    assert done.charged("contracted_cost") == {
        (6, 1, "subscription_purchase", "fee"): Decimal(365),
        (6, 1, "subscription_fee", "fee"): CENT_FREE,
        (7, 1, "subscription_fee", "fee"): CENT_FREE,
    }
    assert done.charged("effective_cost") == {
        (6, 1, "subscription_purchase", "fee"): CENT_FREE,
        (6, 1, "subscription_fee", "fee"): Decimal(30),
        (7, 1, "subscription_fee", "fee"): Decimal(31),
    }
    assert done.borne() == {"unallocated": Decimal(61)}


def test_a_seat_added_to_a_year_is_paid_for_what_is_left_of_it(charge: Charge, told: Told) -> None:
    """From 1 December, 182 of 365 days are left of the term that began on 1 June: 365 a year make 182."""
    added = plan(told, per="year", seats=seats(1, "365.00", a=1), term_from="2026-06-01", valid_from="2026-12-01")
    done = charge(subscriptions=[added], now=datetime(2026, 12, 5, tzinfo=UTC))
    assert done.charged("contracted_cost")[12, 1, "subscription_purchase", "seats"] == Decimal(182)
    assert done.charged()[12, 1, "subscription_seats", "seats"] == Decimal(31)


def test_included_usage_is_taken_off_those_who_used_it_and_the_rest_costs_what_it_costs(
    charge: Charge, told: Told, used: Told
) -> None:
    """20 a seat, 2 seats: 40 of list cost are covered. 50 were used, 30 and 20: of each 4/5 is taken off."""
    included = plan(told, seats=seats(2, a=2), included={"unit": "spend", "quantity": "20.00", "per": "seat"})
    usage = [
        used("a", list_cost=Decimal(30), subscription_id="p"),
        used("b", list_cost=Decimal(20), subscription_id="p"),
        used("b", list_cost=Decimal(1000)),
    ]
    done = charge(usage, subscriptions=[included])
    assert done.borne(charge_kind="included_usage") == {"a": Decimal(-24), "b": Decimal(-16)}
    (row,) = [row for row in done.origins if row["charge_kind"] == "included_usage"]
    assert (row["obligation"], row["measured_quantity"], row["list_cost"]) == ("usage openai", Decimal(40), 0)
    assert charge([used("a")], subscriptions=[included]).borne(charge_kind="included_usage") == {}


def test_overage_has_a_price_of_its_own(charge: Charge, told: Told, used: Told) -> None:
    """Credits worth 0.01 each: 5 USD are 500 credits, 400 are included, 100 cost 0.012: 1.20 for all, 3 to 2."""
    tiered = plan(
        told,
        fee="10.00",
        included={"unit": "credits", "quantity": "400", "per": "plan", "credit_value": "0.01"},
        overage={"price": "0.012"},
    )
    usage = [
        used("a", list_cost=Decimal(3), subscription_id="p"),
        used("b", list_cost=Decimal(2), subscription_id="p"),
    ]
    done = charge(usage, subscriptions=[tiered])
    assert done.borne(charge_kind="included_usage") == {"a": Decimal(-3), "b": Decimal(-2)}
    assert done.borne(charge_kind="subscription_overage") == {"a": Decimal("0.72"), "b": Decimal("0.48")}


@pytest.mark.parametrize(
    ("included", "taken_off"),
    [
        ({"unit": "all"}, "-4"),
        ({"unit": "tokens", "quantity": "500", "per": "plan"}, "-2"),
        ({"unit": "tokens", "quantity": "5000", "per": "plan"}, "-4"),
    ],
)
def test_a_plan_covers_all_usage_or_some_tokens(
    charge: Charge, told: Told, used: Told, included: dict[str, Any], taken_off: str
) -> None:
    """1,000 tokens for 4 USD: half of them is half of the cost, and more than were used is all of it."""
    usage = [used("a", list_cost=Decimal(4), subscription_id="p")]
    done = charge(usage, subscriptions=[plan(told, fee="10.00", included=included)])
    assert done.borne(charge_kind="included_usage") == {"a": Decimal(taken_off)}


def test_a_plan_in_another_currency_is_converted_at_the_rate_of_its_day(charge: Charge, told: Told) -> None:
    """100 EUR at 1.10 are 110 USD; without a rate the cost is unknown in USD, and still 100 EUR."""
    european = plan(told, currency="EUR", seats=seats(4, "25.00", a=3, b=1))
    done = charge(subscriptions=[european])
    assert done.borne() == {"a": Decimal("82.5"), "b": Decimal("27.5")}
    assert done.borne("pricing_currency_effective_cost") == {"a": Decimal(75), "b": Decimal(25)}
    assert {line["exchange_rate"] for line in done.lines} == {Decimal("1.1")}
    swiss = charge(subscriptions=[plan(told, currency="CHF", fee="100.00")])
    assert [(row["effective_cost"], row["pricing_currency_effective_cost"]) for row in swiss.lines] == [(None, 100)]


def test_a_period_is_of_the_billing_calendar(charge: Charge, told: Told) -> None:
    """At 23:00 UTC on 30 June it is July in Berlin: July's fee is due there."""
    late = datetime(2026, 6, 30, 23, tzinfo=UTC)
    monthly = plan(told, fee="30.00")
    assert len(charge(subscriptions=[monthly], now=late).origins) == 1
    done = charge(subscriptions=[monthly], now=late, calendar=BillingCalendar("Europe/Berlin"))
    assert [row["charge_period_start"] for row in done.origins] == [
        datetime(2026, 5, 31, 22, tzinfo=UTC),
        datetime(2026, 6, 30, 22, tzinfo=UTC),
    ]


def test_the_same_data_give_the_same_charges(charge: Charge, told: Told, used: Told) -> None:
    """A statement that names a line finds it in every later build."""
    usage = [used("a", subscription_id="p"), used("b")]
    plans = [plan(told, seats=seats(3, a=2), included={"unit": "all"})]
    assert charge(usage, subscriptions=plans) == charge(usage[::-1], subscriptions=plans)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    fee=st.decimals(0, 10**6, places=12),
    first=st.dates(date(2024, 1, 1), date(2025, 12, 31)),
    cut=st.dates(date(2024, 1, 2), date(2026, 5, 31)),
)
def test_what_a_year_cost_is_used_up_to_the_last_pico(
    charge: Charge, told: Told, fee: Decimal, first: Any, cut: Any
) -> None:
    """Purchases and what is used up of them are equal when the term has ended, wherever rules cut it."""
    end = (
        first.replace(year=first.year + 1)
        if (first.month, first.day) != (2, 29)
        else first.replace(first.year + 1, 2, 28)
    )
    yearly = plan(told, per="year", fee=f"{fee:f}", valid_from=str(first), valid_to=str(end))
    rule = told("rule", pool={"subscription": "p"}, method="even", receivers=["a"], valid_from=str(cut))
    done = charge(subscriptions=[yearly], allocation_rules=[rule], now=datetime(2027, 6, 1, tzinfo=UTC))
    paid = sum(pico_of(row["contracted_cost"]) for row in done.origins)
    assert paid == pico_of(fee)
    assert sum(pico_of(row["effective_cost"]) for row in done.origins) == paid
