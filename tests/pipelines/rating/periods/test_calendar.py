"""Billing periods: months, half-open, over the end of a year."""

from __future__ import annotations

from datetime import date

from tollbook.rating.periods.calendar import BillingPeriod, billing_periods


def test_a_billing_period_is_the_month_of_a_day() -> None:
    """Its end is the first day of the next one, also in December and in a leap year."""
    assert BillingPeriod.of(date(2026, 12, 31)) == BillingPeriod(date(2026, 12, 1), date(2027, 1, 1))
    assert BillingPeriod.of(date(2028, 2, 29)) == BillingPeriod(date(2028, 2, 1), date(2028, 3, 1))


def test_periods_of_a_span_are_those_its_days_lie_in() -> None:
    """The day after the last belongs to no period of the span."""
    spans = [(period.start.month, period.end.month) for period in billing_periods(date(2026, 11, 30), date(2027, 2, 1))]
    assert spans == [(11, 12), (12, 1), (1, 2)]
    assert list(billing_periods(date(2026, 6, 1), date(2026, 6, 1))) == []


def test_the_last_month_that_dates_can_tell_is_a_billing_period() -> None:
    """People write 9999-12-31 where a contract has no end."""
    last = BillingPeriod.of(date(9999, 12, 31))
    assert last == BillingPeriod(date(9999, 12, 1), date(9999, 12, 31))
    assert list(billing_periods(date(9999, 11, 30), date.max)) == [BillingPeriod.of(date(9999, 11, 1)), last]
