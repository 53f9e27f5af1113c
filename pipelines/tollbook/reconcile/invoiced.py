"""Invoices against what is payable for usage, by vendor and billing period, with every residual named.

What is payable is the usage at agreed prices and all charges of its obligation, such as a contract's credits. The
residual of a period is named by the days of the vendor's report where there is one, then by the invoice itself:

1. `credits`: lines of category Credit, less the credits that contracts charge already.
2. What days of a cost report name, as they are. Of a report without cost: `unlogged_calls` at our average for the day,
   model and project, at most the rest.
3. `timing`: where the billing calendar is not UTC, our cost of the vendor's month less that of the period, at most the
   rest.
4. `unknown_price`: what is left above zero while calls of the period have no price.
5. `rounding`: at most half a cent for each line of the invoices; and the rest, `other`.

An invoice is final, and its residual booked, when the period has ended and a line of usage is known that was issued on
its last day or later: an invoice for a purchase, or one within the month, is a part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from tollbook.chargeback.invoices import TAX
from tollbook.chargeback.origins import CREDIT, PICO, USAGE, pico_of
from tollbook.rating.periods.calendar import BillingCalendar, BillingPeriod
from tollbook.reconcile.residuals import (
    CREDITS,
    REASONS,
    TIMING,
    UNKNOWN_PRICE,
    UNLOGGED,
    DayUnit,
    Measure,
    close_rest,
    take,
)

_HALF_A_CENT: Final = PICO // 200
_USAGE_OF: Final = "usage "
_DAY: Final = timedelta(days=1)

Row = Mapping[str, Any]
# Obligation's vendor and first day of the billing period.
Key = tuple[str, date]


@dataclass(frozen=True, slots=True)
class OurPeriods:
    """What events and charges say of billing periods, by vendor and first day.

    Attributes:
        payable: What is payable. Unit: pico-USD.
        credits: Of it, credits of contracts. Unit: pico-USD.
        calls: Calls.
        tokens: Tokens.
        unpriced_calls: Calls without a price.
        months: Contracted cost of usage in the same month of UTC. Unit: pico-USD.
        usage: Contracted cost of usage in the period. Unit: pico-USD.
    """

    payable: Mapping[Key, int]
    credits: Mapping[Key, int] = field(default_factory=dict)
    calls: Mapping[Key, int] = field(default_factory=dict)
    tokens: Mapping[Key, int] = field(default_factory=dict)
    unpriced_calls: Mapping[Key, int] = field(default_factory=dict)
    months: Mapping[Key, int] = field(default_factory=dict)
    usage: Mapping[Key, int] = field(default_factory=dict)


@dataclass(slots=True)
class PeriodUnit:
    """A vendor's billing period: what is payable, what its cost report says, and what was invoiced net of tax.

    Attributes:
        vendor: Vendor of the obligation.
        period: Billing period.
        calls: Our calls.
        tokens: Our tokens.
        cost: What is payable, against what was invoiced. Unit: pico-USD.
        vendor_cost: What the vendor's cost report says of its days; None without one. Unit: pico-USD.
        is_final: Whether the period has ended and its usage is invoiced.
    """

    vendor: str
    period: BillingPeriod
    calls: int
    tokens: int
    cost: Measure
    vendor_cost: int | None
    is_final: bool


def compare_invoices(
    lines: Iterable[Row],
    ours: OurPeriods,
    days: Sequence[DayUnit],
    calendar: BillingCalendar,
    today: date,
    same_vendor: Mapping[str, frozenset[str]],
) -> list[PeriodUnit]:
    """Return every billing period of a vendor whose usage an invoice is known for, with its residual named.

    Args:
        lines: Lines of invoices, `INVOICE_LINES_SCHEMA`; those whose amount in USD is not known leave their period out.
        ours: What is payable.
        days: Days of vendors' reports, named.
        calendar: Billing calendar.
        today: Day of the billing calendar.
        same_vendor: Vendors of reports by vendor of an obligation.
    """
    told: defaultdict[Key, list[Row]] = defaultdict(list)
    for line in lines:
        if line["obligation"].startswith(_USAGE_OF) and line["charge_category"] != TAX:
            told[line["obligation"].removeprefix(_USAGE_OF), line["billing_period_start"]].append(line)
    by_period: defaultdict[Key, list[DayUnit]] = defaultdict(list)
    for unit in days:
        by_period[unit.vendor, period_of(unit.day, calendar)].append(unit)
    found = []
    for (vendor, start), held in sorted(told.items()):
        if all(line["billed_cost"] is not None for line in held):
            mine = [each for name in sorted(same_vendor.get(vendor, ())) for each in by_period[name, start]]
            found.append(_compared((vendor, start), held, ours, mine, today))
    return found


def period_of(day: date, calendar: BillingCalendar) -> date:
    """Return the first day of the billing period in which a day of UTC begins."""
    return calendar.period_at(datetime(day.year, day.month, day.day, tzinfo=UTC)).start


def _compared(key: Key, lines: Sequence[Row], ours: OurPeriods, days: Sequence[DayUnit], today: date) -> PeriodUnit:
    period = BillingPeriod.of(key[1])
    invoiced = sum(_pico(line["billed_cost"]) for line in lines)
    cost = Measure(ours.payable.get(key, 0), invoiced)
    credited = sum(_pico(line["billed_cost"]) for line in lines if line["charge_category"] == CREDIT)
    cost.name(CREDITS, credited - ours.credits.get(key, 0))
    priced = [unit for unit in days if unit.cost.theirs is not None]
    for reason in REASONS:
        cost.name(reason, sum(unit.cost.parts.get(reason, 0) for unit in priced))
    if not priced:
        cost.name(UNLOGGED, take(cost.rest, _unlogged(days, ours, key)))
    _name_calendar(cost, ours.months.get(key, 0) - ours.usage.get(key, 0))
    if ours.unpriced_calls.get(key) and cost.rest > _HALF_A_CENT * len(lines):
        cost.name(UNKNOWN_PRICE, cost.rest)
    close_rest(cost, _HALF_A_CENT * len(lines))
    last_day = period.end - _DAY
    is_final = today >= period.end and any(
        line["charge_category"] == USAGE and line["issued_on"] >= last_day for line in lines
    )
    return PeriodUnit(
        vendor=key[0],
        period=period,
        calls=ours.calls.get(key, 0),
        tokens=ours.tokens.get(key, 0),
        cost=cost,
        vendor_cost=sum(unit.cost.theirs or 0 for unit in priced) if priced else None,
        is_final=is_final,
    )


def _unlogged(days: Sequence[DayUnit], ours: OurPeriods, key: Key) -> int:
    """Return what unlogged tokens would cost at our average: of their day, model and project, else of the period."""
    whole_cost, whole_tokens = ours.usage.get(key, 0), ours.tokens.get(key, 0)
    estimate = 0
    for unit in days:
        unlogged = unit.tokens.parts.get(UNLOGGED, 0)
        cost, tokens = unit.cost.ours, unit.tokens.ours - unit.unpriced_tokens
        if cost <= 0 or tokens <= 0:
            cost, tokens = whole_cost, whole_tokens
        if unlogged > 0 and tokens > 0:
            estimate += -(-unlogged * cost // tokens)
    return estimate


def _name_calendar(cost: Measure, shifted: int) -> None:
    """Name what the vendor's month of UTC has beyond the billing period or lacks, as far as the rest goes that way."""
    if shifted > 0:
        cost.name(TIMING, take(cost.rest, shifted))
    elif shifted < 0:
        cost.name(TIMING, -take(-cost.rest, -shifted))


def _pico(amount: Decimal) -> int:
    return pico_of(amount)
