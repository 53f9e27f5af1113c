"""What rating charges over a period, by contracts and re-ratings, as origin charges; and usage that nobody owns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from tollbook.chargeback.origins import USAGE, USAGE_BASED, Origin, Origins, decimal_of, digest
from tollbook.chargeback.usage_lines import UsageLines, Where
from tollbook.rating.periods.calendar import BillingPeriod

CONTRACT, UNTAGGED = "contract", "untagged"
UNTAGGED_MOVED, UNTAGGED_USAGE = "untagged_usage_moved", "untagged_usage"

# From a provider as the price list names it to the one that events name.
NamedByEvents = Callable[[str], str]


def contract_origins(rows: Iterable[Mapping[str, Any]], named: NamedByEvents) -> Iterable[Origin]:
    """Yield charges of rating as origins, under the names and amounts that they have there.

    Args:
        rows: `charge/v1` with the dates of its periods, as the second pass returns them.
        named: Gives the name of a provider in events: an invoice for usage settles these charges too.
    """
    for row in rows:
        provider = None if row["provider"] is None else named(row["provider"])
        yield Origin(
            charge_id=row["charge_id"],
            billing_period_start=row["billing_period_first_date"],
            billing_period_end=row["billing_period_end_date"],
            charge_period_start=row["charge_period_start"],
            charge_period_end=row["charge_period_end"],
            first_day=row["billing_period_first_date"],
            charge_category=row["charge_category"],
            charge_class=row["charge_class"],
            charge_frequency=row["charge_frequency"],
            charge_kind=row["charge_kind"],
            charge_component=row["term_id"],
            charge_description=row["charge_description"],
            source_kind=CONTRACT,
            source_id=row["contract_id"] or row["term_id"] or CONTRACT,
            provider=provider,
            model=row["model"],
            contract_id=row["contract_id"],
            billed_by=provider,
            obligation=f"usage {provider}",
            # A fee has no price but its own.
            list_cost=row["contracted_cost"] if row["list_cost"] is None else row["list_cost"],
            contracted_cost=row["contracted_cost"],
            effective_cost=row["effective_cost"],
            pricing_currency_contracted_cost=row["contracted_cost"],
            pricing_currency_effective_cost=row["effective_cost"],
            exchange_rate=Decimal(1),
            measured_quantity=row["consumed_quantity"],
            measured_unit=row["consumed_unit"],
            corrects_period_start=row["corrects_period_first_date"],
        )


def untagged_origins(origins: Origins, usage: UsageLines, rule_on: Callable[[date], str | None]) -> Iterable[Origin]:
    """Yield usage that nobody owns, where a rule says who bears it: the cost, and the same taken off `unallocated`.

    The usage itself, its calls and tokens, stays where it is; the two charges of a provider are each other's opposite.

    Args:
        origins: Gives the calendar.
        usage: Usage of billing periods.
        rule_on: Entry of the rule in force on a day, None where there is none.
    """
    where = Where(owned=False)
    sums = {name: usage.by_provider(name, where) for name in ("list_cost", "contracted_cost")}
    for start, costs in sorted(sums["contracted_cost"].items()):
        rule = rule_on(start)
        period = BillingPeriod.of(start)
        for provider, contracted in sorted(costs.items()) if rule is not None else ():
            listed = sums["list_cost"][start].get(provider, 0)
            for kind, sign in ((UNTAGGED_USAGE, 1), (UNTAGGED_MOVED, -1)):
                if contracted or listed:
                    cost = decimal_of(sign * contracted)
                    yield Origin(
                        charge_id=digest((UNTAGGED, kind, provider, start)),
                        billing_period_start=period.start,
                        billing_period_end=period.end,
                        charge_period_start=origins.calendar.begins(period.start),
                        charge_period_end=origins.calendar.begins(period.end),
                        first_day=start,
                        charge_category=USAGE,
                        charge_frequency=USAGE_BASED,
                        charge_kind=kind,
                        charge_description=f"Usage of {provider} that nobody owns"
                        + ("" if sign > 0 else ", borne by others"),
                        source_kind=UNTAGGED,
                        source_id=provider,
                        provider=provider,
                        billed_by=provider,
                        obligation=f"usage {provider}",
                        list_cost=decimal_of(sign * listed),
                        contracted_cost=cost,
                        effective_cost=cost,
                        pricing_currency_contracted_cost=cost,
                        pricing_currency_effective_cost=cost,
                        exchange_rate=Decimal(1),
                        reference_entry=rule,
                    )
