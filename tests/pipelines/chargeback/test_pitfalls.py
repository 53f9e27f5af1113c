"""Pains that other tools are known for, each as a property: rounding, seats, idle accelerators, prepayments."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tollbook.chargeback.origins import pico_of
from tollbook.chargeback.statement_lines import round_lines

if TYPE_CHECKING:
    from tests.pipelines.chargeback.conftest import Charge

Told = Callable[..., dict[str, Any]]
few = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@few
@given(
    teams=st.lists(st.integers(1, 10**6), min_size=1, max_size=12),
    # Currency, digits behind its point, and millionths of a millionth in its minor unit.
    minor=st.sampled_from([("USD", 2, 10**10), ("JPY", 0, 10**12), ("KWD", 3, 10**9)]),
    amount=st.integers(1, 10**18),
)
def test_pitfall_18_only_statements_round_and_their_lines_sum_to_the_invoice(
    charge: Charge, told: Told, used: Told, teams: list[int], minor: tuple[str, int, int], amount: int
) -> None:
    """litellm#8867, langfuse#1041: rounded on the way, parts of an invoice sum to something else.

    Shares are exact to the pico; on statements, in the currency's minor unit, none moves by a unit or more.
    """
    currency, digits, unit = minor
    cost = {"component": "all", "amount": f"{Decimal(amount).scaleb(-12):f}"}
    platform = told("p", platform_id="p", currency="USD", costs=[cost])
    done = charge(
        [used(f"t{place}", calls=calls) for place, calls in enumerate(teams)],
        shared_platforms=[platform],
        allocation_rules=[told("r", pool={"platform": "p"}, method="proportional", driver="calls")],
    )
    lines = [
        {"team": line["team"], "billing_currency": currency, "effective_cost": line["effective_cost"]}
        for line in done.lines
    ]
    exact = [Fraction(line["effective_cost"]) for line in lines]
    assert sum(exact) == Fraction(amount, 10**12)

    round_lines(lines, ["effective_cost"])

    rounded = [Fraction(line["effective_amount"]) for line in lines]
    # Python rounds a half to the even neighbour, as an invoice of the whole does.
    assert sum(rounded) == Fraction(round(Fraction(amount, unit)), 10**digits)
    assert all(abs(one - other) < Fraction(1, 10**digits) for one, other in zip(rounded, exact, strict=True))


@few
@given(used_up=st.integers(1, 10**15), included=st.integers(0, 10**6), other=st.integers(0, 10**15))
def test_pitfall_19_included_usage_is_never_charged_twice_nor_given_away(
    charge: Charge, told: Told, used: Told, used_up: int, included: int, other: int
) -> None:
    """Usage under a plan costs what lies beyond the included part; usage beside the plan is left alone."""
    plan = told(
        "plan",
        subscription_id="p",
        vendor="v",
        plan="Team",
        currency="USD",
        per="month",
        fee="1",
        included={"unit": "spend", "quantity": str(included), "per": "plan"},
    )
    cost = Decimal(used_up).scaleb(-12)
    usage = [used("a", list_cost=cost, subscription_id="p"), used("a", list_cost=Decimal(other).scaleb(-12))]
    done = charge(usage, subscriptions=[plan])
    taken_off = done.borne(charge_kind="included_usage").get("a", Decimal(0))
    assert used_up + pico_of(taken_off) == max(0, used_up - included * 10**12)


@few
@given(
    seconds=st.lists(st.integers(0, 10**8), min_size=1, max_size=5),
    devices=st.integers(1, 64),
    power=st.decimals(0, 10**6, places=12),
)
def test_pitfall_21_used_and_idle_parts_of_accelerators_are_their_whole_cost(
    charge: Charge, told: Told, used: Told, seconds: list[int], devices: int, power: Decimal
) -> None:
    """No share of a device is lost or sold twice: the parts sum to the cost, and idle is what nobody used of it."""
    fleet = told(
        "fleet",
        fleet_id="f",
        currency="USD",
        devices=devices,
        owned={"purchase_price": "0", "purchased_on": "2026-01-01", "useful_life_months": 12},
        running=[{"component": "power", "amount": f"{power:f}"}],
        serves={"inference_paths": ["on_prem"]},
        measure="accelerator_seconds",
    )
    usage = [
        used(f"t{place}", inference_path="on_prem", accelerator_seconds=Decimal(each), list_cost=Decimal(0))
        for place, each in enumerate(seconds)
    ]
    done = charge(usage, fleets=[fleet])
    ran = [pico_of(line["effective_cost"]) for line in done.lines if line["charge_kind"] == "fleet_used"]
    idle = [pico_of(line["effective_cost"]) for line in done.lines if line["charge_kind"] == "fleet_idle"]
    assert sum(ran) + sum(idle) == pico_of(power)
    share = min(Fraction(1), Fraction(sum(seconds), devices * 30 * 86_400))
    assert abs(sum(ran) - pico_of(power) * share) <= 1
    assert {line["team"] for line in done.lines if line["charge_kind"] == "fleet_idle"} <= {"unallocated"}


@few
@given(
    price=st.decimals(0, 10**9, places=12),
    life=st.integers(1, 60),
    bought=st.dates(date(2024, 1, 1), date(2025, 12, 31)),
    months=st.integers(0, 40),
)
def test_pitfall_25_what_is_not_used_up_of_a_purchase_stays_a_prepayment(
    charge: Charge, told: Told, price: Decimal, life: int, bought: date, months: int
) -> None:
    """Payable once, used up by days: in no month is more used up than was paid, and in the end all of it is."""
    fleet = told(
        "fleet",
        fleet_id="f",
        currency="USD",
        devices=1,
        owned={"purchase_price": f"{price:f}", "purchased_on": str(bought), "useful_life_months": life},
        serves={"models": ["m"]},
        measure="accelerator_seconds",
        valid_from=str(bought),
        known_from="2020-01-01T00:00:00Z",
    )
    years, month = divmod(bought.month - 1 + months, 12)
    now = datetime(bought.year + years, month + 1, 28, tzinfo=UTC)
    done = charge(fleets=[fleet], now=max(now, datetime(bought.year, bought.month, bought.day, tzinfo=UTC)))
    paid = sum(pico_of(row["contracted_cost"]) for row in done.origins)
    spent = sum(pico_of(row["effective_cost"]) for row in done.origins)
    assert paid == pico_of(price)
    assert 0 <= spent <= paid
    assert (spent == paid) or months < life
