"""Billing periods: calendar months in UTC, half-open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

_MONTHS = 12


@dataclass(frozen=True, slots=True, order=True)
class BillingPeriod:
    """The days of `[start, end)`; the last month that dates can tell lacks its last day."""

    start: date
    end: date

    @classmethod
    def of(cls, day: date) -> BillingPeriod:
        """Return the billing period that a day lies in."""
        start = day.replace(day=1)
        years, month = divmod(start.month, _MONTHS)
        if start.year + years > date.max.year:
            return cls(start, date.max)
        return cls(start, date(start.year + years, month + 1, 1))


def billing_periods(first: date, beyond: date) -> Iterator[BillingPeriod]:
    """Yield the billing periods that the days of `[first, beyond)` lie in, in order."""
    while first < beyond:
        period = BillingPeriod.of(first)
        yield period
        first = period.end
