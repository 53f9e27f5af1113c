"""Days of reference data cut by billing periods, and by the days on which something about them changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from fractions import Fraction
from itertools import pairwise

from tollbook.chargeback.origins import PICO, Span
from tollbook.rating.periods.calendar import BillingPeriod, billing_periods

_MONTHS = 12


def spans_of(first: date, beyond: date | None, today: date, cuts: Iterable[date] = ()) -> Iterator[Span]:
    """Yield the spans of the billing periods begun that the days of `[first, beyond)` lie in, in order.

    Args:
        first: First day.
        beyond: First day that is no longer in; None while it is open.
        today: Periods that begin after this day have not begun.
        cuts: Days on which a span ends and another begins.
    """
    days = sorted(set(cuts))
    for period in billing_periods(first, date.max if beyond is None else beyond):
        if period.start > today:
            return
        begin, end = max(first, period.start), min(beyond or period.end, period.end)
        inner = [day for day in days if begin < day < end]
        for since, until in pairwise([begin, *inner, end]):
            yield Span(period, since, until)


def years_of(first: date, beyond: date | None, today: date, since: date) -> Iterator[tuple[date, date]]:
    """Yield the years counted from `since` that the days of `[first, beyond)` touch and that have begun."""
    start = since
    number = 0
    while start <= today and (beyond is None or start < beyond):
        number += 1
        end = months_after(since, number * _MONTHS)
        if end > first:
            yield start, end
        start = end


def months_after(day: date, months: int) -> date:
    """Return the day some months later, the last of its month where that has fewer days."""
    years, month = divmod(day.month - 1 + months, _MONTHS)
    start = date(day.year + years, month + 1, 1)
    last = (BillingPeriod.of(start).end - start).days
    return start.replace(day=min(day.day, last))


def overlap(first: date, beyond: date | None, since: date, until: date) -> tuple[date, date] | None:
    """Return the days that are in both, None where there are none."""
    begin, end = max(first, since), min(beyond or until, until)
    return (begin, end) if begin < end else None


def portion(amount: Fraction, before: int, after: int, whole: int) -> Fraction:
    """Return what of an amount falls on the part from `before` to `after` of a whole, in whole pico-units.

    Parts that follow each other add up to the amount, rounded once, however often it is cut.

    Args:
        amount: The whole amount.
        before: Days, or other units, that went before the part.
        after: Those up to its end.
        whole: All of them, one or more.
    """
    return Fraction(round(amount * PICO * after / whole) - round(amount * PICO * before / whole), PICO)
