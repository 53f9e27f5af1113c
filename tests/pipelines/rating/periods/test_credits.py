"""Prepaid credits: across periods, in the order of their use, what expires. An input token costs 1,000,000 pico-USD."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tollbook.rating.contract_terms import PrepaidCredit, Reach
from tollbook.rating.sources.exchange import ExchangeRate, ExchangeRates

if TYPE_CHECKING:
    from tests.pipelines.rating.periods.conftest import Desk

MILLION = 10**6


def credit(amount: str, *, price: str | None = None, bought: str = "2026-06-01", **fields: Any) -> PrepaidCredit:
    """Return a credit that never expires unless told otherwise."""
    expires = fields.get("expires")
    return PrepaidCredit(
        Fraction(amount),
        Fraction(price or amount),
        date.fromisoformat(bought),
        None if expires is None else date.fromisoformat(expires),
        fields.get("order", 0),
    )


SHOWN = ("month", "charge_kind", "contracted_cost", "effective_cost")


def test_a_credit_pays_across_periods_until_it_is_used_up(desk: Desk) -> None:
    """0.003 USD of credit; June uses 0.002, July 0.002, of which 0.001 is left to pay.

    Payable: June 0.003 + 0.002 - 0.002, July 0.002 - 0.001. Effective: what was used, 0.002 in each.
    """
    agreed = desk.contract(desk.term(credit("0.003")))
    days = [desk.usage("2026-06-10", input=2000), desk.usage("2026-07-10", input=2000)]
    charges = desk.charge(agreed, *days)
    assert desk.columns(charges, *SHOWN) == [
        (6, "prepaid_purchase", Decimal("0.003"), 0),
        (6, "prepaid_drawdown", Decimal("-0.002"), 0),
        (7, "prepaid_drawdown", Decimal("-0.001"), 0),
    ]
    purchase, drawdown = charges[:2]
    assert (purchase["charge_category"], drawdown["charge_category"]) == ("Purchase", "Credit")
    assert purchase["service_period_start"] == datetime(2026, 6, 1, tzinfo=UTC)
    assert purchase["service_period_end"] is None


def test_what_a_credit_did_not_pay_for_expires_as_cost(desk: Desk) -> None:
    """0.003 USD until 1 July: June uses 0.002, so 0.001 expires on 30 June. July pays for itself.

    Payable is 0.003 for the purchase and nothing for June's usage; effective 0.002 of usage and 0.001 expired.
    """
    agreed = desk.contract(desk.term(credit("0.003", expires="2026-07-01")))
    days = [desk.usage("2026-06-30", input=2000), desk.usage("2026-07-01", input=2000)]
    charges = desk.charge(agreed, *days, now="2026-07-01")
    assert desk.columns(charges, *SHOWN, "billing_currency_amount") == [
        (6, "prepaid_purchase", Decimal("0.003"), 0, Decimal("0.003")),
        (6, "prepaid_drawdown", Decimal("-0.002"), 0, Decimal("-0.002")),
        (6, "prepaid_expiry", 0, Decimal("0.001"), Decimal("0.001")),
    ]
    assert charges[2]["charge_period_start"] == datetime(2026, 6, 30, tzinfo=UTC)
    assert len(desk.charge(agreed, *days, now="2026-06-30T23:59:59")) == 2


def test_a_bonus_makes_each_dollar_of_credit_cheaper(desk: Desk) -> None:
    """0.004 USD of credit for 0.003: 0.002 of usage costs 0.0015 effectively, what expires the other 0.0015."""
    agreed = desk.contract(desk.term(credit("0.004", price="0.003", expires="2026-07-01")))
    charges = desk.charge(agreed, desk.usage("2026-06-10", input=2000))
    assert desk.columns(charges, *SHOWN) == [
        (6, "prepaid_purchase", Decimal("0.003"), 0),
        (6, "prepaid_drawdown", Decimal("-0.002"), Decimal("-0.0005")),
        (6, "prepaid_expiry", 0, Decimal("0.0015")),
    ]
    usage = Decimal("0.002")
    assert usage + sum(each["effective_cost"] for each in charges) == Decimal("0.003")
    assert usage + sum(each["contracted_cost"] for each in charges) == Decimal("0.003")


def test_credits_are_used_in_their_order_then_by_expiry(desk: Desk) -> None:
    """`last` waits for its number although it expires first; of the others the one that expires first pays first."""
    terms = [
        desk.term(credit("0.001", order=1, expires="2026-07-01"), "last"),
        desk.term(credit("0.001"), "never-expires"),
        desk.term(credit("0.001", expires="2026-08-01"), "expires"),
    ]
    charges = desk.charge(desk.contract(*terms), desk.usage("2026-06-10", input=1500), now="2026-06-30")
    drawn = [each for each in charges if each["charge_kind"] == "prepaid_drawdown"]
    assert desk.columns(drawn, "term_id", "contracted_cost") == [
        ("expires", Decimal("-0.001")),
        ("never-expires", Decimal("-0.0005")),
    ]


def test_a_credit_pays_only_for_what_it_is_for_and_not_before_it_is_bought(desk: Desk) -> None:
    """Bought on 10 June for output tokens: usage of the 9th and input tokens stay to be paid."""
    reach = Reach(rate_keys=frozenset({"output_tokens"}))
    agreed = desk.contract(desk.term(credit("1", bought="2026-06-10"), reach=reach))
    days = [desk.usage("2026-06-09", output=1000), desk.usage("2026-06-10", input=1000, output=1000)]
    assert desk.columns(desk.charge(agreed, *days), "charge_kind", "contracted_cost") == [
        ("prepaid_purchase", Decimal(1)),
        ("prepaid_drawdown", Decimal("-0.004")),
    ]


def test_a_credit_that_nobody_bought_yet_charges_nothing(desk: Desk) -> None:
    """The file may tell of a purchase next month."""
    agreed = desk.contract(desk.term(credit("1", bought="2026-08-01")))
    assert desk.charge(agreed, desk.usage("2026-06-09", output=1000), now="2026-07-31") == []


def test_thirds_of_a_pico_are_rounded_once_and_half_even(desk: Desk) -> None:
    """A credit of 3 picos for 1: drawing 1 costs a third less two thirds, -0.67 picos, rounded to -1."""
    agreed = desk.contract(desk.term(credit("0.000000000003", price="0.000000000001")))
    row = desk.usage("2026-06-10", "0.000000000001", cost_basis="provider_reported")
    charges = desk.charge(agreed, row)
    assert desk.columns(charges, "contracted_cost", "effective_cost") == [
        (Decimal("0.000000000001"), 0),
        (Decimal("-0.000000000001"), Decimal("-0.000000000001")),
    ]


def _euros(*worths: tuple[str, str, str]) -> ExchangeRates:
    return ExchangeRates.of(
        [
            ExchangeRate("EUR", Fraction(usd), datetime.fromisoformat(first), datetime.fromisoformat(beyond))
            for usd, first, beyond in worths
        ]
    )


MOVED = (
    ("1", "2026-06-01T00:00:00+00:00", "2026-06-10T00:00:00+00:00"),
    ("1.5", "2026-06-10T00:00:00+00:00", "2026-09-01T00:00:00+00:00"),
)


def test_a_credit_costs_what_was_paid_for_it_wherever_the_exchange_rate_goes(desk: Desk) -> None:
    """12 EUR are bought at 1 USD: 12 USD. They pay for 18 USD of usage when a euro is 1.50 USD.

    Payable: 12 + 18 - 18. Effective: 18 of usage, less 18 that was not paid, and 12 that the credit had cost.
    """
    agreed = desk.contract(desk.term(credit("12")), currency="EUR")
    charges = desk.charge(agreed, desk.usage("2026-06-15", input=18 * MILLION), exchange=_euros(*MOVED))
    assert desk.columns(charges, *SHOWN) == [(6, "prepaid_purchase", 12, 0), (6, "prepaid_drawdown", -18, -6)]


def test_what_expires_costs_what_was_paid_for_it_wherever_the_exchange_rate_goes(desk: Desk) -> None:
    """12 EUR for 9 EUR at 1 USD; 6 EUR pay for 9 USD at 1.50, 6 EUR expire on 30 June: 4.50 USD each was paid."""
    agreed = desk.contract(desk.term(credit("12", price="9", expires="2026-07-01")), currency="EUR")
    charges = desk.charge(agreed, desk.usage("2026-06-15", input=9 * MILLION), exchange=_euros(*MOVED))
    assert desk.columns(charges, *SHOWN) == [
        (6, "prepaid_purchase", 9, 0),
        (6, "prepaid_drawdown", -9, Decimal("-4.5")),
        (6, "prepaid_expiry", 0, Decimal("4.5")),
    ]


def test_an_expiry_on_a_day_without_an_exchange_rate_costs_what_was_paid(desk: Desk) -> None:
    """What was paid is known; only a credit bought without a rate has an unknown price, and its use an unknown cost."""
    agreed = desk.contract(desk.term(credit("12", expires="2026-07-01")), currency="EUR")
    charges = desk.charge(agreed, exchange=_euros(MOVED[0]))
    assert desk.columns(charges, *SHOWN) == [(6, "prepaid_purchase", 12, 0), (6, "prepaid_expiry", 0, 12)]
    charges = desk.charge(agreed, desk.usage("2026-06-15", input=3 * MILLION), exchange=_euros(MOVED[1]))
    assert desk.columns(charges, *SHOWN) == [
        (6, "prepaid_purchase", None, 0),
        (6, "prepaid_drawdown", -3, None),
        (6, "prepaid_expiry", 0, None),
    ]
