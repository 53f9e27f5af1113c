"""Booking: what an invoice says beyond what is payable becomes charges, so that charged and invoiced tie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from tollbook.chargeback.origins import ADJUSTMENT, ONE_TIME, Origin, decimal_of, digest
from tollbook.rating.periods.calendar import BillingCalendar
from tollbook.reconcile.invoiced import PeriodUnit
from tollbook.reconcile.residuals import (
    CREDITS,
    OTHER,
    REASONS,
    ROUNDING,
    TIMING,
    UNKNOWN_PRICE,
    UNLOGGED,
)

RECONCILIATION, RESIDUAL = "reconciliation", "reconciliation_residual"
_WORDS: Final = {
    UNLOGGED: "calls that no event told of",
    TIMING: "usage that the vendor counts in another period",
    ROUNDING: "rounding of the vendor's",
    CREDITS: "credits of the vendor's",
    UNKNOWN_PRICE: "calls whose price was not known",
    OTHER: "a difference of no other reason",
}


def reconciliation_origins(units: Iterable[PeriodUnit], calendar: BillingCalendar) -> Iterator[Origin]:
    """Yield the residuals of final invoices as charges of the same obligation and period, by model and reason.

    With them what is payable for the usage of the period is what was invoiced, net of tax, exactly.

    Args:
        units: Billing periods of invoices, named.
        calendar: Billing calendar.
    """
    for unit in units:
        for reason in REASONS:
            residual = unit.cost.parts.get(reason, 0)
            if unit.is_final and residual:
                cost = decimal_of(residual)
                yield Origin(
                    charge_id=digest((RECONCILIATION, unit.vendor, unit.period.start, unit.model, reason)),
                    billing_period_start=unit.period.start,
                    billing_period_end=unit.period.end,
                    charge_period_start=calendar.begins(unit.period.start),
                    charge_period_end=calendar.begins(unit.period.end),
                    first_day=unit.period.start,
                    charge_category=ADJUSTMENT,
                    charge_frequency=ONE_TIME,
                    charge_kind=RESIDUAL,
                    charge_component=reason,
                    charge_description=f"Invoiced by {unit.vendor} beyond its usage: {_WORDS[reason]}"
                    if residual > 0
                    else f"Not invoiced by {unit.vendor} of its usage: {_WORDS[reason]}",
                    source_kind=RECONCILIATION,
                    source_id=unit.vendor,
                    provider=unit.vendor,
                    model=unit.model,
                    billed_by=unit.vendor,
                    obligation=f"usage {unit.vendor}",
                    list_cost=cost,
                    contracted_cost=cost,
                    effective_cost=cost,
                    pricing_currency_contracted_cost=cost,
                    pricing_currency_effective_cost=cost,
                    exchange_rate=Decimal(1),
                )
