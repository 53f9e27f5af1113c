"""What approvers moved from one team to another, as two charges that are each other's opposite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Final

from tollbook.chargeback.methods import Share, Split
from tollbook.chargeback.origins import ADJUSTMENT, ONE_TIME, Origin, Origins, digest, money
from tollbook.chargeback.usage_lines import Receiver
from tollbook.closing.adjustments import AdjustmentEntry, Adjustments, Place, posting_day
from tollbook.closing.closes import first_day
from tollbook.rating.contract_terms import USD
from tollbook.rating.periods.calendar import BillingPeriod

ADJUSTED: Final = "adjustment"
GIVEN, TAKEN = "given", "taken"


def adjustment_origins(origins: Origins, entries: Iterable[AdjustmentEntry]) -> Iterator[Origin]:
    """Yield what entries move: off the one who bore it, and on the one who bears it.

    Args:
        origins: Gives the calendar and exchange rates.
        entries: Entries that move an amount.
    """
    for entry in entries:
        start, of_period = posting_day(entry), first_day(entry.period)
        days, currency = BillingPeriod.of(start), entry.currency or USD
        rate = None if currency == USD else origins.exchange.at(currency, origins.calendar.begins(of_period))
        worth = Fraction(1) if currency == USD else None if rate is None else rate.usd
        for component, sign in ((GIVEN, -1), (TAKEN, 1)):
            amount = sign * Fraction(entry.moved or Decimal(0))
            cost = None if worth is None else money(amount * worth)
            corrects = of_period if of_period < start else None
            yield Origin(
                charge_id=digest((ADJUSTED, entry.number, component)),
                billing_period_start=days.start,
                billing_period_end=days.end,
                charge_period_start=origins.calendar.begins(of_period),
                charge_period_end=origins.calendar.begins(BillingPeriod.of(of_period).end),
                first_day=start,
                charge_category=ADJUSTMENT,
                charge_class=None if corrects is None else "Correction",
                charge_frequency=ONE_TIME,
                charge_kind=ADJUSTED,
                charge_component=component,
                charge_description=f"Adjustment {entry.number} of {entry.charge_id} ({entry.period}): {entry.reason}",
                source_kind=ADJUSTED,
                source_id=str(entry.number),
                billed_by=entry.billed_by,
                obligation=entry.obligation or ADJUSTED,
                list_cost=Decimal(0),
                contracted_cost=cost,
                effective_cost=cost,
                pricing_currency=currency,
                pricing_currency_contracted_cost=money(amount),
                pricing_currency_effective_cost=money(amount),
                exchange_rate=None if worth is None else money(worth),
                corrects_period_start=corrects,
            )


def split_of_adjustment(adjustments: Adjustments, origin: Origin) -> Split:
    """Return who bears a side of an adjustment: the one that its entry names.

    Args:
        adjustments: Entries of the log.
        origin: A charge of `adjustment_origins`.
    """
    entry = adjustments.entries[int(origin.source_id) - 1]
    place = entry.from_place if origin.charge_component == GIVEN else entry.to_place
    share = Share(Fraction(1), _receiver(place))
    return Split(f"{entry.step} by {entry.author}", "fixed", None, (share,))


def _receiver(place: Place | None) -> Receiver:
    if place is None:
        raise ValueError("expected an entry that moves an amount to name who bears it")
    return Receiver(place.team, place.cost_center, place.business_unit, place.workflow)
