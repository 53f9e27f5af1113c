"""Shared platforms: what each of them costs in a billing period, by days where it is a part of one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from fractions import Fraction

from tollbook.chargeback.origins import PURCHASE, RECURRING, Origins
from tollbook.chargeback.spans import portion, spans_of
from tollbook.reference.dated.entries import DatedEntry

PLATFORM = "platform"


def charge_platforms(origins: Origins, entries: Iterable[DatedEntry], cuts: Collection[date], today: date) -> None:
    """Add what platforms cost in every billing period begun.

    Args:
        origins: Takes the charges.
        entries: Platforms in force.
        cuts: Days on which those who bear a charge may change.
        today: Day of the billing calendar.
    """
    for entry in entries:
        platform, vendor = entry.body["platform_id"], entry.body.get("vendor")
        for span in spans_of(entry.valid_from, entry.valid_to, today, cuts):
            before, after = (span.first - span.period.start).days, (span.beyond - span.period.start).days
            whole = (span.period.end - span.period.start).days
            for cost in entry.body["costs"]:
                amount = portion(Fraction(cost["amount"]), before, after, whole)
                origins.add(
                    span,
                    entry,
                    kind="platform_cost",
                    component=cost["component"],
                    description=f"{platform}, {cost['component']}: {span.days} of {whole} days",
                    category=PURCHASE,
                    frequency=RECURRING,
                    source=(PLATFORM, platform),
                    currency=entry.body["currency"],
                    contracted=amount,
                    effective=amount,
                    provider=vendor,
                    billed_by=vendor,
                )
