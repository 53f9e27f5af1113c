"""Volume tiers: at a boundary, one token over it, on both sides of a cliff. An input token costs 1,000,000 pico-USD."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.rating.contract_terms import GRADUATED, SPEND, TOKENS, WHOLE_VOLUME, Reach, Step, VolumeTiers

if TYPE_CHECKING:
    from tests.pipelines.rating.periods.conftest import Desk

INPUT = Reach(rate_keys=frozenset({"input_tokens"}))
MILLION = 1_000_000


def tiers(mode: str, *steps: Step, counts: str = TOKENS) -> VolumeTiers:
    """Return volume tiers whose first step changes nothing."""
    return VolumeTiers(counts, mode, (Step(Fraction(0)), *steps))


def off(start: int | str, percent: int) -> Step:
    """Return a step with a discount."""
    return Step(Fraction(start), share=Fraction(percent, 100))


def test_a_total_at_the_boundary_of_a_graduated_tier_pays_nothing_less(desk: Desk) -> None:
    """The first 1,000 tokens are below the tier that begins at 1,000."""
    agreed = desk.contract(desk.term(tiers(GRADUATED, off(1000, 10)), reach=INPUT))
    assert desk.charge(agreed, desk.usage("2026-06-10", input=600), desk.usage("2026-06-20", input=400)) == []


def test_one_token_over_the_boundary_is_one_token_cheaper(desk: Desk) -> None:
    """One token at 1,000,000 less 10 % is 100,000 pico-USD off: 0.000000100000 USD."""
    agreed = desk.contract(desk.term(tiers(GRADUATED, off(1000, 10)), reach=INPUT))
    (charge,) = desk.charge(agreed, desk.usage("2026-06-10", input=600), desk.usage("2026-06-20", input=401))
    assert charge["contracted_cost"] == charge["effective_cost"] == Decimal("-0.0000001")
    assert (charge["consumed_quantity"], charge["consumed_unit"], charge["tier_from"]) == (1, "Tokens", 1000)
    assert charge["list_cost"] == 0
    assert (charge["charge_category"], charge["charge_kind"], charge["charge_class"]) == ("Usage", "volume_tier", None)
    assert charge["charge_description"] == "Volume tier from 1,000 tokens, graduated: 1 tokens at 10 % off"


def test_a_graduated_tier_prices_each_step_and_ties_to_the_total(desk: Desk) -> None:
    """3,000 tokens: 1,000 at list, 1,000 at 10 % off, 1,000 at 0.50 a million.

    At list 3,000,000,000 pico-USD. The tiers say 1,000,000,000 + 900,000,000 + 500,000,000 = 2,400,000,000.
    """
    rate = Step(Fraction(2000), rate=Fraction("0.0000005"))
    agreed = desk.contract(desk.term(tiers(GRADUATED, off(1000, 10), rate), reach=INPUT))
    days = [desk.usage("2026-06-01", input=1500), desk.usage("2026-06-02", input=1500)]
    charges = desk.charge(agreed, *days)
    assert desk.columns(charges, "tier_from", "consumed_quantity", "contracted_cost") == [
        (1000, 1000, Decimal("-0.0001")),
        (2000, 1000, Decimal("-0.0005")),
    ]
    payable = sum(day["contracted_cost"] for day in days) + sum(charge["contracted_cost"] for charge in charges)
    assert payable == Decimal("0.0024")
    assert "at 0.5 USD a million" in charges[1]["charge_description"]


@pytest.mark.parametrize(("tokens", "charge"), [(999, None), (1000, Decimal("-0.0001")), (1001, Decimal("-0.0001001"))])
def test_a_whole_volume_tier_is_a_cliff(desk: Desk, tokens: int, charge: Decimal | None) -> None:
    """999 tokens pay list. The thousandth makes all of them 10 % cheaper: 1,000 x 100,000 pico-USD off."""
    agreed = desk.contract(desk.term(tiers(WHOLE_VOLUME, off(1000, 10)), reach=INPUT))
    charges = desk.charge(agreed, desk.usage("2026-06-01", input=1), desk.usage("2026-06-30", input=tokens - 1))
    assert [each["contracted_cost"] for each in charges] == ([] if charge is None else [charge])


def test_each_billing_period_begins_anew(desk: Desk) -> None:
    """900 tokens in each of two months never reach the tier from 1,000; 1,100 in the third do by 100."""
    agreed = desk.contract(desk.term(tiers(GRADUATED, off(1000, 10)), reach=INPUT))
    days = [desk.usage(day, input=count) for day, count in (("2026-06-30", 900), ("2026-07-01", 900))]
    charges = desk.charge(agreed, *days, desk.usage("2026-08-31", input=1100))
    assert desk.columns(charges, "month", "contracted_cost") == [(8, Decimal("-0.00001"))]


def test_only_what_the_term_names_counts_and_gets_cheaper(desk: Desk) -> None:
    """Output tokens, other models, other accounts, other days and gateway answers neither fill the tier nor gain."""
    reach = Reach(models=("gpt",), rate_keys=frozenset({"input_tokens"}))
    agreed = desk.contract(desk.term(tiers(GRADUATED, off(1000, 10)), reach=reach), billing_accounts=frozenset({"a"}))
    day = desk.usage("2026-06-01", input=1500, output=9000, billing_account_id="a")
    others = [
        desk.usage("2026-06-01", input=5000, billing_account_id="b"),
        desk.usage("2026-06-01", input=5000),
        desk.usage("2026-06-01", input=5000, billing_account_id="a", model="o3"),
        desk.usage("2026-06-01", input=5000, billing_account_id="a", provider="anthropic"),
        desk.usage("2026-05-31", input=5000, billing_account_id="a"),
        desk.usage("2026-06-01", input=5000, billing_account_id="a", sku_price_id="tollbook/gateway_cache_hit"),
    ]
    (charge,) = desk.charge(agreed, day, *others)
    # 500 tokens x 100,000 pico-USD.
    assert charge["contracted_cost"] == Decimal("-0.00005")
    assert (charge["billing_account_id"], charge["model"]) == ("a", "gpt")


def test_spend_tiers_count_money(desk: Desk) -> None:
    """10 % off what is spent beyond 0.003 USD: 1,000 output tokens cost 0.004, so 0.001 USD is 0.0001 cheaper."""
    agreed = desk.contract(desk.term(tiers(GRADUATED, off("0.003", 10), counts=SPEND)))
    (charge,) = desk.charge(agreed, desk.usage("2026-06-01", output=1000))
    assert charge["contracted_cost"] == Decimal("-0.0001")
    assert (charge["tier_from"], charge["consumed_quantity"]) == (Decimal("0.003"), None)


def test_a_second_term_works_on_what_the_first_left_to_pay(desk: Desk) -> None:
    """1,000 tokens at 0.001 USD: half off leaves 0.0005, of which half off is 0.00025."""
    half = tiers(GRADUATED, off(0, 50)).steps[1:]
    terms = [desk.term(VolumeTiers(TOKENS, GRADUATED, half), name) for name in ("first", "second")]
    charges = desk.charge(desk.contract(*terms), desk.usage("2026-06-01", input=1000))
    assert desk.columns(charges, "term_id", "contracted_cost") == [
        ("first", Decimal("-0.0005")),
        ("second", Decimal("-0.00025")),
    ]


def test_usage_without_a_price_is_left_out_and_told(desk: Desk) -> None:
    """Unknown is not zero: a charge says how many calls and tokens it could not count (pitfall 3)."""
    agreed = desk.contract(desk.term(tiers(GRADUATED, off(1000, 10)), reach=INPUT))
    unpriced = desk.unpriced("2026-06-01", 700, model="gpt")
    reported = desk.usage("2026-06-01", "5", input=30, cost_basis="provider_reported", sku_price_id="tollbook/provider")
    (charge,) = desk.charge(agreed, desk.usage("2026-06-01", input=1100), unpriced, reported)
    assert charge["contracted_cost"] == Decimal("-0.00001")
    assert (charge["unpriced_calls"], charge["unpriced_tokens"]) == (1, 730)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3000)), max_size=8))
def test_graduated_tiers_come_to_what_the_total_says_however_it_is_spread(
    desk: Desk, days: list[tuple[int, int]]
) -> None:
    """List cost and charges add up to the tiers' price of the total: 1,000 at list, 1,000 at 10 % off, half off."""
    agreed = desk.contract(desk.term(tiers(GRADUATED, off(1000, 10), off(2000, 50)), reach=INPUT))
    rows = [desk.usage(f"2026-06-{day:02}", input=tokens) for day, tokens in days]
    charges = desk.charge(agreed, *rows)
    total = sum(tokens for _, tokens in days)
    first, second, third = min(total, 1000), min(max(total - 1000, 0), 1000), max(total - 2000, 0)
    expected = first * MILLION + second * 900_000 + third * 500_000
    payable = total * MILLION + sum(int(charge["contracted_cost"].scaleb(12)) for charge in charges)
    assert payable == expected


@pytest.mark.parametrize("mode", [GRADUATED, WHOLE_VOLUME])
def test_a_spend_below_zero_by_a_pico_stops_no_build(desk: Desk, mode: str) -> None:
    """A term takes all input off, but rounding had charged one pico less than its tokens: minus one pico is left.

    1,000 tokens are 0.001 USD, charged were 0.000999999999. All of it off leaves -0.000000000001 USD, which has no
    step to stand in but the first one, whose 50 % off gives half a pico back: it rounds to zero.
    """
    free = desk.term(VolumeTiers(TOKENS, GRADUATED, (Step(Fraction(0), share=Fraction(1)),)), "free", reach=INPUT)
    steps = (Step(Fraction(0), share=Fraction(1, 2)), Step(Fraction(10), share=Fraction(3, 4)))
    spend = desk.term(VolumeTiers(SPEND, mode, steps), "spend")
    charges = desk.charge(desk.contract(free, spend), desk.usage("2026-06-02", "0.000999999999", input=1000))
    assert desk.columns(charges, "term_id", "tier_from", "contracted_cost") == [
        ("free", 0, Decimal("-0.001")),
        ("spend", 0, 0),
    ]


def test_a_refund_goes_back_down_the_steps_that_spend_had_climbed(desk: Desk) -> None:
    """10 % off beyond 3 USD: 5 spent, then 4 given back, of which 2 had been 10 % off.

    The total is 1 USD, all of it in the first step, so no discount is left: -0.20 and +0.20.
    """
    agreed = desk.contract(desk.term(tiers(GRADUATED, off(3, 10), counts=SPEND)))
    days = [desk.usage("2026-06-01", "5"), desk.usage("2026-06-02", "-4")]
    charges = desk.charge(agreed, *days)
    assert desk.columns(charges, "tier_from", "contracted_cost") == [(3, 0)]
