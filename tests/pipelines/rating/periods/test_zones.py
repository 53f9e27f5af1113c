"""Charges by the billing calendar of another zone: what is due when, and on which days it arises."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tollbook.rating.contract_terms import CommittedUse, PrepaidCredit, SpendCommitment
from tollbook.rating.periods.charges import Scope
from tollbook.rating.sources.exchange import ExchangeRate, ExchangeRates

if TYPE_CHECKING:
    from tests.pipelines.rating.periods.conftest import Desk

JUNE = datetime(2026, 5, 31, 22, tzinfo=UTC)
JULY = datetime(2026, 6, 30, 22, tzinfo=UTC)
FEE = CommittedUse(Fraction(10), 0, None)
BERLIN = "Europe/Berlin"


def test_a_fee_is_due_when_the_month_begins_in_the_zone(desk: Desk) -> None:
    """Half an hour after midnight in Berlin it is still May in UTC, and June's fee is due."""
    agreed = desk.contract(desk.term(FEE))
    assert desk.charge(agreed, now="2026-05-31T21:59:59", zone=BERLIN) == []
    assert desk.charge(agreed, now="2026-05-31T22:30") == []
    (fee,) = desk.charge(agreed, now="2026-05-31T22:30", zone=BERLIN)
    assert (fee["billing_period_start"], fee["billing_period_end"]) == (JUNE, JULY)
    assert (fee["charge_period_start"], fee["charge_period_end"]) == (JUNE, JULY)
    assert desk.assess(agreed, now="2026-05-31T22:30", zone=BERLIN).scopes == (Scope("acme", "t", JUNE),)


def test_a_shortfall_is_due_when_the_month_has_ended_in_the_zone(desk: Desk) -> None:
    """5 USD were promised a month, 2 were spent on its last day: 3 are missing, from midnight in New York on."""
    agreed = desk.contract(desk.term(SpendCommitment(Fraction(5), "billing_period", ()), valid_to=date(2026, 7, 1)))
    used = desk.usage("2026-06-30", input=2_000_000)
    assert desk.charge(agreed, used, now="2026-07-01T03:59:59", zone="America/New_York") == []
    (missing,) = desk.charge(agreed, used, now="2026-07-01T04:00", zone="America/New_York")
    assert missing["contracted_cost"] == Decimal(3)
    assert missing["charge_period_end"] == datetime(2026, 7, 1, 4, tzinfo=UTC)


def test_the_exchange_rate_is_that_of_midnight_in_the_zone(desk: Desk) -> None:
    """Treasury's rate of June begins at midnight in Berlin, when June's fee falls due: 10 EUR are 12 USD, not 11."""
    rates = [
        ExchangeRate("EUR", Fraction(11, 10), datetime(2026, 4, 30, 22, tzinfo=UTC), JUNE),
        ExchangeRate("EUR", Fraction(12, 10), JUNE, JULY),
    ]
    agreed = desk.contract(desk.term(FEE, valid_to=date(2026, 7, 1)), currency="EUR")
    (fee,) = desk.charge(agreed, zone=BERLIN, exchange=ExchangeRates.of(rates))
    assert (fee["contracted_cost"], fee["exchange_rate_date"]) == (Decimal(12), date(2026, 6, 1))


def test_a_change_of_clocks_leaves_days_whole(desk: Desk) -> None:
    """A credit that is bought on the day of 25 hours serves from its midnight, and the purchase arises on all of it."""
    credit = PrepaidCredit(Fraction(10), Fraction(8), date(2026, 10, 25), None, 1)
    span: dict[str, Any] = {"valid_from": date(2026, 10, 1), "valid_to": None}
    agreed = desk.contract(desk.term(credit, **span), **span)
    purchase, *drawn = desk.charge(agreed, desk.usage("2026-10-25", input=1), now="2026-12-01", zone=BERLIN)
    assert purchase["charge_period_start"] == datetime(2026, 10, 24, 22, tzinfo=UTC)
    assert purchase["charge_period_end"] == datetime(2026, 10, 25, 23, tzinfo=UTC)
    assert purchase["billing_period_end"] == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert [row["charge_kind"] for row in drawn] == ["prepaid_drawdown"]
