"""Usage without a price, charged at an estimate that somebody approved, until it has one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Final

from tollbook.chargeback.origins import USAGE, USAGE_BASED, Origin, Origins, digest, money
from tollbook.chargeback.usage_lines import UsageLines, Where
from tollbook.rating.periods.calendar import BillingPeriod
from tollbook.reference.dated.entries import DatedEntry

ESTIMATE: Final = "estimate"
UNPRICED_ESTIMATE: Final = "unpriced_estimate"
UNPRICED_TOKENS: Final = "unpriced_tokens"
_MILLION: Final = 10**6


def estimate_origins(origins: Origins, entries: Iterable[DatedEntry], usage: UsageLines) -> Iterator[Origin]:
    """Yield what usage without a price is charged at, one charge for each billing period and estimate.

    A call that has a price by now is not estimated, so the charge ends with the price that makes it needless.

    Args:
        origins: Gives the calendar.
        entries: Estimates in force.
        usage: Usage of billing periods.
    """
    for entry in sorted(entries, key=lambda each: each.entry_id):
        provider, model = entry.body["provider"], entry.body["model"]
        price = Fraction(entry.body["usd_per_million_tokens"])
        measured = usage.by_receiver(UNPRICED_TOKENS, where_estimated(entry))
        for start, held in sorted(measured.items()):
            tokens = sum(held.values())
            if not tokens or not entry.holds_on(start):
                continue
            period = BillingPeriod.of(start)
            cost = money(Fraction(tokens) * price / _MILLION)
            yield Origin(
                charge_id=digest((ESTIMATE, provider, model, start)),
                billing_period_start=period.start,
                billing_period_end=period.end,
                charge_period_start=origins.calendar.begins(period.start),
                charge_period_end=origins.calendar.begins(period.end),
                first_day=start,
                charge_category=USAGE,
                charge_frequency=USAGE_BASED,
                charge_kind=UNPRICED_ESTIMATE,
                charge_description=(
                    f"{provider} {model}: {tokens:,} tokens without a price, estimated at {price_text(entry)} USD a "
                    f"million, approved by {entry.body['approved_by']}"
                ),
                source_kind=ESTIMATE,
                source_id=provider,
                provider=provider,
                model=model,
                billed_by=provider,
                obligation=f"usage {provider}",
                list_cost=None,
                contracted_cost=cost,
                effective_cost=cost,
                pricing_currency_contracted_cost=cost,
                pricing_currency_effective_cost=cost,
                exchange_rate=Decimal(1),
                measured_quantity=Decimal(tokens),
                measured_unit="Tokens",
                reference_entry=entry.entry_id,
            )


def where_estimated(entry: DatedEntry) -> Where:
    """Return the usage that an estimate is for."""
    return Where(providers=(entry.body["provider"],), models=(entry.body["model"],))


def price_text(entry: DatedEntry) -> str:
    """Return the price of an estimate as it was written."""
    return str(entry.body["usd_per_million_tokens"])
