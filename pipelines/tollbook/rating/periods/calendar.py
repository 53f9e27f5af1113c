"""Billing periods: calendar months in UTC, half-open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

_MONTHS = 12


@dataclass(frozen=True, slots=True, order=True)
class BillingPeriod:
    """The days of `[start, end)`."""

    start: date
    end: date

    @classmethod
    def of(cls, day: date) -> BillingPeriod:
        """Return the billing period that a day lies in."""
        start = day.replace(day=1)
        years, month = divmod(start.month, _MONTHS)
        return cls(start, date(start.year + years, month + 1, 1))

    def following(self) -> BillingPeriod:
        """Return the next one."""
        return BillingPeriod.of(self.end)


def billing_periods(first: date, beyond: date) -> Iterator[BillingPeriod]:
    """Yield the billing periods that the days of `[first, beyond)` lie in, in order."""
    period = BillingPeriod.of(first)
    while period.start < beyond and first < beyond:
        yield period
        period = period.following()
