"""Commitments: met exactly, short by a pico, included usage and overage. An input token costs 1,000,000 pico-USD."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from tollbook.rating.contract_terms import BILLING_PERIOD, TERM, CommittedUse, Reach, SpendCommitment, Step
from tollbook.rating.sources.exchange import ExchangeRate, ExchangeRates

if TYPE_CHECKING:
    from tests.pipelines.rating.periods.conftest import Desk

MILLION = 10**6
FEE = CommittedUse(Fraction(5), included_tokens=1000, overage_rate=Fraction("0.000002"))


def promise(amount: str, per: str = TERM, *steps: Step) -> SpendCommitment:
    """Return a spend commitment."""
    return SpendCommitment(Fraction(amount), per, steps)


def test_a_promise_that_is_met_exactly_charges_nothing(desk: Desk) -> None:
    """2,000 tokens at 1,000,000 pico-USD are 0.002 USD."""
    agreed = desk.contract(desk.term(promise("0.002")))
    days = [desk.usage("2026-06-10", input=1500), desk.usage("2026-08-31", input=500)]
    assert desk.charge(agreed, *days) == []


def test_a_promise_that_is_short_by_one_pico_charges_one_pico(desk: Desk) -> None:
    """The shortfall is exact, dated over the term, and billed in the period in which the term ends."""
    agreed = desk.contract(desk.term(promise("0.002000000001")))
    (charge,) = desk.charge(agreed, desk.usage("2026-06-10", input=2000))
    assert charge["contracted_cost"] == charge["effective_cost"] == Decimal("0.000000000001")
    assert charge["list_cost"] is None
    assert (charge["charge_kind"], charge["charge_category"]) == ("commitment_shortfall", "Usage")
    assert charge["billing_period_start"] == datetime(2026, 8, 1, tzinfo=UTC)
    assert charge["charge_period_start"] == datetime(2026, 6, 1, tzinfo=UTC)
    assert charge["charge_period_end"] == datetime(2026, 9, 1, tzinfo=UTC)
    assert charge["charge_description"] == (
        "0.002000000001 USD were promised for 2026-06-01 to 2026-08-31, 0.002 USD were spent"
    )


@pytest.mark.parametrize(
    ("now", "months"), [("2026-06-30T23:59:59", []), ("2026-07-01", [6]), ("2026-09-01", [6, 7, 8])]
)
def test_a_shortfall_is_charged_when_its_time_has_ended(desk: Desk, now: str, months: list[int]) -> None:
    """In the middle of a month the rest of it can still keep the promise. June spent 0.001 of 0.003 USD."""
    agreed = desk.contract(desk.term(promise("0.003", BILLING_PERIOD)))
    charges = desk.charge(agreed, desk.usage("2026-06-10", input=1000), now=now)
    assert [charge["month"] for charge in charges] == months
    expected = {6: Decimal("0.002"), 7: Decimal("0.003"), 8: Decimal("0.003")}
    assert [charge["contracted_cost"] for charge in charges] == [expected[month] for month in months]


def test_discount_steps_of_a_promise_fill_up_over_the_whole_term(desk: Desk) -> None:
    """10 % off beyond 0.003 USD: June spends 0.002, July 0.002 of which 0.001 is beyond, August 0.001 all beyond.

    Spent after discounts: 0.002 + 0.0019 + 0.0009 = 0.0048, so a promise of 0.005 is short by 0.0002.
    """
    steps = (Step(Fraction(0)), Step(Fraction("0.003"), share=Fraction(1, 10)))
    agreed = desk.contract(desk.term(promise("0.005", TERM, *steps)))
    days = [desk.usage(f"2026-0{month}-05", input=count) for month, count in ((6, 2000), (7, 2000), (8, 1000))]
    assert desk.columns(desk.charge(agreed, *days), "month", "charge_kind", "contracted_cost") == [
        (7, "commitment_discount", Decimal("-0.0001")),
        (8, "commitment_discount", Decimal("-0.0001")),
        (8, "commitment_shortfall", Decimal("0.0002")),
    ]


def test_a_fee_includes_tokens_and_what_goes_beyond_has_its_own_rate(desk: Desk) -> None:
    """June: 400 + 900 tokens. The first 1,000 are covered, 300 beyond cost 2 instead of 1 USD a million.

    Payable: fee 5 + 300 x 0.000002 = 5.0006. At list the usage was 0.0013, so the charges are 5.0006 - 0.0013.
    July has no usage and pays the fee; August has not begun.
    """
    agreed = desk.contract(desk.term(FEE))
    days = [desk.usage("2026-06-10", input=400), desk.usage("2026-06-11", input=900)]
    charges = desk.charge(agreed, *days, now="2026-07-31")
    assert desk.columns(charges, "month", "charge_kind", "charge_category", "contracted_cost", "consumed_quantity") == [
        (6, "commitment_fee", "Purchase", Decimal(5), None),
        (6, "included_usage", "Usage", Decimal("-0.001"), 1000),
        (6, "overage", "Usage", Decimal("0.0003"), 300),
        (7, "commitment_fee", "Purchase", Decimal(5), None),
    ]
    assert sum(each["contracted_cost"] for each in charges[:3]) + Decimal("0.0013") == Decimal("5.0006")
    fee = charges[0]
    assert (fee["service_period_start"], fee["service_period_end"]) == (
        datetime(2026, 6, 1, tzinfo=UTC),
        datetime(2026, 7, 1, tzinfo=UTC),
    )
    assert fee["charge_frequency"] == "Recurring"


def test_usage_that_is_no_token_is_not_included(desk: Desk) -> None:
    """500 tokens cost 0.0005 USD, a web search beside them 0.01: the fee covers the tokens alone."""
    agreed = desk.contract(desk.term(CommittedUse(Fraction(5), 1000, None)))
    charges = desk.charge(agreed, desk.usage("2026-06-10", "0.0105", input=500), now="2026-06-30")
    assert desk.columns(charges, "charge_kind", "contracted_cost") == [
        ("commitment_fee", Decimal(5)),
        ("included_usage", Decimal("-0.0005")),
    ]


def test_overage_without_a_rate_keeps_its_contracted_price(desk: Desk) -> None:
    """1,300 tokens: 1,000 included, 300 as they were."""
    agreed = desk.contract(desk.term(CommittedUse(Fraction(5), 1000, None)))
    charges = desk.charge(agreed, desk.usage("2026-06-10", input=1300), now="2026-06-30")
    assert desk.columns(charges, "charge_kind", "contracted_cost") == [
        ("commitment_fee", Decimal(5)),
        ("included_usage", Decimal("-0.001")),
    ]


def test_a_part_of_a_month_pays_the_whole_fee_for_its_days(desk: Desk) -> None:
    """The term begins on 20 June: the fee serves eleven days, and usage before them is not included."""
    agreed = desk.contract(desk.term(FEE, valid_from=date(2026, 6, 20)))
    days = [desk.usage("2026-06-19", input=500), desk.usage("2026-06-20", input=500)]
    charges = desk.charge(agreed, *days, now="2026-06-30")
    assert desk.columns(charges, "charge_kind", "contracted_cost") == [
        ("commitment_fee", Decimal(5)),
        ("included_usage", Decimal("-0.0005")),
    ]
    assert {charge["charge_period_start"] for charge in charges} == {datetime(2026, 6, 20, tzinfo=UTC)}


def test_a_promise_counts_what_is_left_after_volume_and_committed_use(desk: Desk) -> None:
    """1,500 tokens: 1,000 are included in a fee, so 0.0005 USD of usage counts towards 0.002."""
    committed = desk.term(CommittedUse(Fraction(5), 1000, None), "use")
    agreed = desk.contract(desk.term(promise("0.002")), committed)
    charges = desk.charge(agreed, desk.usage("2026-06-10", input=1500))
    shortfall = [each["contracted_cost"] for each in charges if each["charge_kind"] == "commitment_shortfall"]
    assert shortfall == [Decimal("0.0015")]


def test_a_change_of_the_exchange_rate_inside_a_period_splits_its_charges(desk: Desk) -> None:
    """In euros: 1.00 USD until 15 June, 2.00 from then on.

    The fee of 5 EUR is due on 1 June: 5 USD. Included: 600 tokens of 0.0006 USD are 0.0006 EUR, 400 tokens of 0.0004
    USD are 0.0002 EUR. Beyond: 300 tokens that cost 0.0003 USD = 0.00015 EUR now cost 0.0006 EUR, 0.00045 EUR more,
    which are 0.0009 USD.
    """
    middle = datetime(2026, 6, 15, tzinfo=UTC)
    exchange = ExchangeRates.of(
        [
            ExchangeRate("EUR", Fraction(1), datetime(2026, 1, 1, tzinfo=UTC), middle),
            ExchangeRate("EUR", Fraction(2), middle, datetime(2026, 7, 1, tzinfo=UTC)),
        ]
    )
    agreed = desk.contract(desk.term(FEE), currency="EUR")
    days = [desk.usage("2026-06-10", input=600), desk.usage("2026-06-20", input=700)]
    charges = desk.charge(agreed, *days, now="2026-07-01", exchange=exchange)
    shown = ("charge_kind", "billing_currency_amount", "contracted_cost", "exchange_rate", "exchange_rate_date")
    assert desk.columns(charges, *shown) == [
        ("commitment_fee", Decimal(5), Decimal(5), 1, date(2026, 1, 1)),
        ("included_usage", Decimal("-0.0006"), Decimal("-0.0006"), 1, date(2026, 1, 1)),
        ("included_usage", Decimal("-0.0002"), Decimal("-0.0004"), 2, date(2026, 6, 15)),
        ("overage", Decimal("0.00045"), Decimal("0.0009"), 2, date(2026, 6, 15)),
        # July has no exchange rate: the fee is known in euros and unknown in dollars.
        ("commitment_fee", Decimal(5), None, None, None),
    ]
    assert [charge["charge_period_start"].day for charge in charges[1:4]] == [1, 15, 15]
    assert {charge["billing_currency"] for charge in charges} == {"EUR"}
    payable = Decimal("0.0013") + sum(charge["contracted_cost"] for charge in charges[:4])
    # 5 USD, and 300 tokens at 2 EUR a million at 2 USD.
    assert payable == Decimal("5.0012")


def test_days_without_an_exchange_rate_are_told_as_unknown(desk: Desk) -> None:
    """A promise in euros cannot count dollars of a day that has no rate: what is missing is unknown, unless it is kept.

    1,000 tokens are 0.001 USD = 0.0005 EUR: of 0.002 EUR 0.0015 are missing, or less, if the other 1,000 count.
    """
    rate = ExchangeRate("EUR", Fraction(2), datetime(2026, 6, 15, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC))
    agreed = desk.contract(desk.term(promise("0.002")), currency="EUR")
    days = [desk.usage("2026-06-14", input=1000), desk.usage("2026-06-15", input=1000)]
    (charge,) = desk.charge(agreed, *days, exchange=ExchangeRates.of([rate]))
    assert (charge["billing_currency_amount"], charge["contracted_cost"], charge["effective_cost"]) == (None,) * 3
    assert (charge["unpriced_calls"], charge["unpriced_tokens"]) == (1, 1000)
    assert charge["charge_description"] == (
        "0.002 EUR were promised for 2026-06-01 to 2026-08-31, 0.0005 EUR were spent beside what is not known "
        "(1 calls, 1,000 tokens): so is what is missing"
    )
    kept = desk.contract(desk.term(promise("0.0005")), currency="EUR")
    assert desk.charge(kept, *days, exchange=ExchangeRates.of([rate])) == []


def test_a_term_for_some_models_leaves_others_alone(desk: Desk) -> None:
    """A fee for mini models covers no large one; a single named model is on the line."""
    agreed = desk.contract(desk.term(CommittedUse(Fraction(5), 1000, None), reach=Reach(models=("gpt-mini",))))
    charges = desk.charge(agreed, desk.usage("2026-06-10", input=500), now="2026-06-30")
    assert desk.columns(charges, "charge_kind", "model") == [("commitment_fee", "gpt-mini")]


def test_a_promise_until_9999_stops_no_build(desk: Desk) -> None:
    """10 % off beyond 0.001 USD over a term without end: June and July spend 0.001 each, so July is 0.0001 cheaper."""
    forever: dict[str, Any] = {"valid_to": date(9999, 12, 31)}
    body = promise("10", TERM, Step(Fraction(0)), Step(Fraction("0.001"), share=Fraction(1, 10)))
    agreed = desk.contract(desk.term(body, **forever), **forever)
    days = [desk.usage(f"2026-0{month}-05", input=1000) for month in (6, 7)]
    assert desk.columns(desk.charge(agreed, *days), "month", "charge_kind", "contracted_cost") == [
        (7, "commitment_discount", Decimal("-0.0001"))
    ]


def test_no_overage_is_charged_on_tokens_that_another_fee_includes(desk: Desk) -> None:
    """5,000 tokens: the first fee includes 4,000, the second 300 of the other 1,000; 700 cost 3 USD a million.

    Payable: 100 + 1 + 700 x 0.000003 = 101.0021, where the usage was 0.005 at list. The first fee's overage rate of 2
    had set the price of 1,000 tokens: 0.001 more than list. Of those 0.002 the second includes 300, which are 0.0006,
    and prices 700 at 0.0021 in place of 0.0014.
    """
    big = desk.term(CommittedUse(Fraction(100), 4000, Fraction(2, MILLION)), "big")
    more = desk.term(CommittedUse(Fraction(1), 300, Fraction(3, MILLION)), "more")
    charges = desk.charge(desk.contract(big, more), desk.usage("2026-06-02", input=5000), now="2026-06-30")
    assert desk.columns(charges, "term_id", "charge_kind", "consumed_quantity", "contracted_cost") == [
        ("big", "commitment_fee", None, 100),
        ("big", "included_usage", 4000, Decimal("-0.004")),
        ("big", "overage", 1000, Decimal("0.001")),
        ("more", "commitment_fee", None, 1),
        ("more", "included_usage", 300, Decimal("-0.0006")),
        ("more", "overage", 700, Decimal("0.0007")),
    ]
    assert Decimal("0.005") + sum(charge["contracted_cost"] for charge in charges) == Decimal("101.0021")


def test_a_fee_that_includes_all_leaves_nothing_to_a_second_one(desk: Desk) -> None:
    """5,000 tokens are in the first fee whole: the second is a fee and no more."""
    terms = [
        desk.term(CommittedUse(Fraction(fee), tokens, Fraction(3, MILLION)), name)
        for name, fee, tokens in (("big", 100, 10_000), ("more", 1, 1000))
    ]
    charges = desk.charge(desk.contract(*terms), desk.usage("2026-06-02", input=5000), now="2026-06-30")
    assert desk.columns(charges, "term_id", "charge_kind", "contracted_cost") == [
        ("big", "commitment_fee", 100),
        ("big", "included_usage", Decimal("-0.005")),
        ("more", "commitment_fee", 1),
    ]
