"""Invoices against what is payable for usage, by vendor, billing period and model, with every residual named.

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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
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
# Obligation's vendor, first day of the billing period, and model.
Key = tuple[str, date, str | None]


@dataclass(slots=True)
class OurSums:
    """What events and charges say of a billing period, a vendor and a model.

    Attributes:
        payable: What is payable. Unit: pico-USD.
        credits: Of it, credits of contracts. Unit: pico-USD.
        calls: Calls.
        tokens: Tokens.
        unpriced_calls: Calls without a price.
        month: Contracted cost of usage in the same month of UTC. Unit: pico-USD.
        usage: Contracted cost of usage in the period. Unit: pico-USD.
    """

    payable: int = 0
    credits: int = 0
    calls: int = 0
    tokens: int = 0
    unpriced_calls: int = 0
    month: int = 0
    usage: int = 0

    def add(self, other: OurSums) -> None:
        """Add what is said of another model."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(slots=True)
class PeriodUnit:
    """A vendor's billing period: what is payable, what its cost report says, and what was invoiced net of tax.

    Attributes:
        vendor: Vendor of the obligation.
        period: Billing period.
        model: Model that lines of the invoice are for; None for all that no line names.
        calls: Our calls.
        tokens: Our tokens.
        cost: What is payable, against what was invoiced. Unit: pico-USD.
        vendor_cost: What the vendor's cost report says of its days; None without one. Unit: pico-USD.
        is_final: Whether the period has ended and its usage is invoiced.
    """

    vendor: str
    period: BillingPeriod
    model: str | None
    calls: int
    tokens: int
    cost: Measure
    vendor_cost: int | None
    is_final: bool


def compare_invoices(
    lines: Iterable[Row],
    ours: Mapping[Key, OurSums],
    days: Sequence[DayUnit],
    calendar: BillingCalendar,
    today: date,
    same_vendor: Mapping[str, frozenset[str]],
) -> list[PeriodUnit]:
    """Return every billing period of a vendor whose usage an invoice is known for, with its residual named.

    Models that lines of the invoice name are compared each by itself, where our usage or the report names them too.

    Args:
        lines: Lines of invoices, `INVOICE_LINES_SCHEMA`; those whose amount in USD is not known leave their period out.
        ours: What is payable.
        days: Days of vendors' reports, named.
        calendar: Billing calendar.
        today: Day of the billing calendar.
        same_vendor: Vendors of reports by vendor of an obligation.
    """
    told: defaultdict[tuple[str, date], list[Row]] = defaultdict(list)
    for line in lines:
        if line["obligation"].startswith(_USAGE_OF) and line["charge_category"] != TAX:
            told[line["obligation"].removeprefix(_USAGE_OF), line["billing_period_start"]].append(line)
    by_period: defaultdict[tuple[str, date], list[DayUnit]] = defaultdict(list)
    for unit in days:
        by_period[unit.vendor, period_of(unit.day, calendar)].append(unit)
    sums: defaultdict[tuple[str, date], dict[str | None, OurSums]] = defaultdict(dict)
    for (vendor, start, model), held in ours.items():
        sums[vendor, start][model] = held
    found: list[PeriodUnit] = []
    for (vendor, start), members in sorted(told.items()):
        if all(line["billed_cost"] is not None for line in members):
            mine = [each for name in sorted(same_vendor.get(vendor, ())) for each in by_period[name, start]]
            found += _compared(vendor, BillingPeriod.of(start), members, sums[vendor, start], mine, today)
    return found


def period_of(day: date, calendar: BillingCalendar) -> date:
    """Return the first day of the billing period in which a day of UTC begins."""
    return calendar.period_at(datetime(day.year, day.month, day.day, tzinfo=UTC)).start


def _compared(
    vendor: str,
    period: BillingPeriod,
    lines: Sequence[Row],
    sums: Mapping[str | None, OurSums],
    days: Sequence[DayUnit],
    today: date,
) -> Iterator[PeriodUnit]:
    last_day = period.end - _DAY
    is_final = today >= period.end and any(
        line["charge_category"] == USAGE and line["issued_on"] >= last_day for line in lines
    )
    apart = _models_apart(lines, sums, days)
    told = {line["model"] for line in lines} | set(sums) | {unit.model for unit in days}
    groups: list[str | None] = [*sorted(apart), *([None] if told - apart else [])]
    for model in groups:
        mine = OurSums()
        for name, each in sums.items():
            if _group(name, apart) == model:
                mine.add(each)
        of_model = [line for line in lines if _group(line["model"], apart) == model]
        of_days = [unit for unit in days if _group(unit.model, apart) == model]
        yield _named(vendor, period, model, of_model, mine, of_days, is_final=is_final)


def _group(model: str | None, apart: frozenset[str]) -> str | None:
    return model if model in apart else None


def _models_apart(lines: Sequence[Row], sums: Mapping[str | None, OurSums], days: Sequence[DayUnit]) -> frozenset[str]:
    """Return the models that are compared each by itself; none where the vendor's report tells days as a whole."""
    if any(unit.model is None and any(measure.parts for measure in unit.measures) for unit in days):
        return frozenset()
    named = {line["model"] for line in lines if line["model"] is not None}
    return frozenset(named & (set(sums) | {unit.model for unit in days}))


def _named(
    vendor: str,
    period: BillingPeriod,
    model: str | None,
    lines: Sequence[Row],
    ours: OurSums,
    days: Sequence[DayUnit],
    *,
    is_final: bool,
) -> PeriodUnit:
    cost = Measure(ours.payable, sum(_pico(line["billed_cost"]) for line in lines))
    credited = sum(_pico(line["billed_cost"]) for line in lines if line["charge_category"] == CREDIT)
    cost.name(CREDITS, credited - ours.credits)
    priced = [unit for unit in days if unit.cost.theirs is not None]
    for reason in REASONS:
        cost.name(reason, sum(unit.cost.parts.get(reason, 0) for unit in priced))
    if not priced:
        cost.name(UNLOGGED, take(cost.rest, _unlogged(days, ours)))
    _name_calendar(cost, ours.month - ours.usage)
    if ours.unpriced_calls and cost.rest > _HALF_A_CENT * len(lines):
        cost.name(UNKNOWN_PRICE, cost.rest)
    close_rest(cost, _HALF_A_CENT * len(lines))
    return PeriodUnit(
        vendor=vendor,
        period=period,
        model=model,
        calls=ours.calls,
        tokens=ours.tokens,
        cost=cost,
        vendor_cost=sum(unit.cost.theirs or 0 for unit in priced) if priced else None,
        is_final=is_final,
    )


def _unlogged(days: Sequence[DayUnit], ours: OurSums) -> int:
    """Return what unlogged tokens would cost at our average: of their day, model and project, else of the period."""
    estimate = 0
    for unit in days:
        unlogged = unit.tokens.parts.get(UNLOGGED, 0)
        cost, tokens = unit.cost.ours, unit.tokens.ours - unit.unpriced_tokens
        if cost <= 0 or tokens <= 0:
            cost, tokens = ours.usage, ours.tokens
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
