"""Own and rented accelerators: what a fleet costs, which part of it was used, and what was idle."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from tollbook.chargeback.origins import ONE_TIME, PICO, PURCHASE, RECURRING, USAGE, USAGE_BASED, Origins, Span
from tollbook.chargeback.spans import months_after, overlap, portion, spans_of
from tollbook.chargeback.usage_lines import UsageLines, Where
from tollbook.rating.contract_terms import USD
from tollbook.rating.periods.calendar import BillingPeriod
from tollbook.reference.dated.entries import Body, DatedEntry

FLEET = "fleet"
USED, IDLE, INTERNAL_RATE = "fleet_used", "fleet_idle", "fleet_internal_rate"
_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class _Cost:
    """What one component of a fleet costs in a span: `contracted` becomes payable, `effective` is used up."""

    component: str
    contracted: Fraction
    effective: Fraction


def charge_fleets(
    origins: Origins, entries: Sequence[DatedEntry], usage: UsageLines, cuts: Collection[date], today: date
) -> None:
    """Add what fleets cost in every billing period begun, used and idle parts apart.

    What usage on a fleet cost by an internal rate is taken off again: the fleet's own cost stands in its place.

    Args:
        origins: Takes the charges.
        entries: Fleets in force.
        usage: Usage of billing periods.
        cuts: Days on which those who bear a charge may change.
        today: Day of the billing calendar.
    """
    bought: set[tuple[str, str]] = set()
    served: set[tuple[str, date, str]] = set()
    for entry in entries:
        name = entry.body["fleet_id"]
        if "owned" in entry.body and (name, entry.body["owned"]["purchased_on"]) not in bought:
            bought.add((name, entry.body["owned"]["purchased_on"]))
            _charge_purchase(origins, entry, today)
        for span in spans_of(entry.valid_from, entry.valid_to, today, cuts):
            ratio, words = _use(origins, entries, entry, span, usage)
            for cost in _costs(origins, entry, span):
                _charge_parts(origins, entry, span, cost, ratio, words)
            _take_off(origins, entry, span, usage, served)


def served_by(body: Body) -> Where:
    """Return the usage that ran on a fleet."""
    return Where.of(body["serves"])


def measure_of(body: Body) -> str:
    """Return the measure of usage by which a fleet's use is told."""
    return "total_tokens" if body["measure"] == "tokens" else "accelerator_seconds"


def _charge_purchase(origins: Origins, entry: DatedEntry, today: date) -> None:
    owned = entry.body["owned"]
    day = date.fromisoformat(owned["purchased_on"])
    if day > today:
        return
    period = BillingPeriod.of(day)
    origins.add(
        Span(period, day, period.end),
        entry,
        kind="fleet_purchase",
        component="purchase",
        description=f"{entry.body['fleet_id']}: {entry.body['devices']:,} devices, bought on {day}",
        category=PURCHASE,
        frequency=ONE_TIME,
        source=(FLEET, entry.body["fleet_id"]),
        currency=entry.body["currency"],
        contracted=Fraction(owned["purchase_price"]),
        effective=Fraction(0),
        provider=owned.get("vendor"),
        billed_by=owned.get("vendor"),
    )


def _costs(origins: Origins, entry: DatedEntry, span: Span) -> Iterator[_Cost]:
    body = entry.body
    if "owned" in body:
        amount = _amortised(body, span)
        if amount:
            yield _Cost("amortisation", Fraction(0), amount)
    else:
        begins = origins.calendar.begins
        seconds = round((begins(span.beyond) - begins(span.first)).total_seconds())
        hours = Fraction(seconds * body["devices"], _SECONDS_PER_HOUR)
        amount = hours * Fraction(body["rented"]["hourly_rate"])
        yield _Cost("rent", amount, amount)
    before, after = (span.first - span.period.start).days, (span.beyond - span.period.start).days
    for running in body.get("running", ()):
        amount = portion(Fraction(running["amount"]), before, after, (span.period.end - span.period.start).days)
        yield _Cost(running["component"], amount, amount)


def _amortised(body: Body, span: Span) -> Fraction:
    """Return what of the purchase price is spread over the days of a span."""
    owned = body["owned"]
    start = date.fromisoformat(owned["purchased_on"])
    end = months_after(start, owned["useful_life_months"])
    held = overlap(start, end, span.first, span.beyond)
    if held is None:
        return Fraction(0)
    spread = Fraction(owned["purchase_price"]) - Fraction(owned.get("residual_value", "0"))
    return portion(spread, (held[0] - start).days, (held[1] - start).days, (end - start).days)


def _use(
    origins: Origins, entries: Sequence[DatedEntry], entry: DatedEntry, span: Span, usage: UsageLines
) -> tuple[Fraction, str]:
    """Return which part of a fleet's capacity was used in a billing period, at most all of it, and it in words."""
    body = entry.body
    sums = usage.by_receiver(measure_of(body), served_by(body)).get(span.period.start, {})
    used = Fraction(sum(sums.values()))
    capacity = Fraction(0)
    for each in entries:
        held = overlap(each.valid_from, each.valid_to, span.period.start, span.period.end)
        if each.key == entry.key and each.body["measure"] == body["measure"] and held is not None:
            capacity += _capacity(origins, each.body, span, held)
    unit = "tokens"
    if body["measure"] != "tokens":
        used, unit = used / PICO, "accelerator seconds"
    ratio = min(Fraction(1), used / capacity)
    return ratio, f"{float(used):,.0f} of {float(capacity):,.0f} {unit} used"


def _capacity(origins: Origins, body: Body, span: Span, held: tuple[date, date]) -> Fraction:
    if body["measure"] == "tokens":
        days = (held[1] - held[0]).days
        return Fraction(body["capacity_tokens"] * days, (span.period.end - span.period.start).days)
    begins = origins.calendar.begins
    return Fraction(round((begins(held[1]) - begins(held[0])).total_seconds()) * body["devices"])


def _charge_parts(origins: Origins, entry: DatedEntry, span: Span, cost: _Cost, ratio: Fraction, words: str) -> None:
    vendor = entry.body.get("rented", entry.body.get("owned", {})).get("vendor") if cost.component == "rent" else None
    used = [Fraction(round(amount * ratio * PICO), PICO) for amount in (cost.contracted, cost.effective)]
    whole = [Fraction(round(amount * PICO), PICO) for amount in (cost.contracted, cost.effective)]
    idle = [all_of - part for all_of, part in zip(whole, used, strict=True)]
    for kind, (contracted, effective), part in ((USED, used, "used"), (IDLE, idle, "idle")):
        if contracted or effective:
            origins.add(
                span,
                entry,
                kind=kind,
                component=cost.component,
                description=f"{entry.body['fleet_id']}, {cost.component}, {part} part: {words}",
                category=USAGE,
                frequency=RECURRING,
                source=(FLEET, entry.body["fleet_id"]),
                currency=entry.body["currency"],
                contracted=contracted,
                effective=effective,
                listed=contracted,
                provider=vendor,
                billed_by=vendor,
            )


def _take_off(
    origins: Origins, entry: DatedEntry, span: Span, usage: UsageLines, served: set[tuple[str, date, str]]
) -> None:
    name, start = entry.body["fleet_id"], span.period.start
    costs = usage.by_provider("contracted_cost", served_by(entry.body)).get(start, {})
    for provider, cost in sorted(costs.items()):
        if cost and (name, start, provider) not in served:
            served.add((name, start, provider))
            amount = -Fraction(cost, PICO)
            origins.add(
                span,
                entry,
                kind=INTERNAL_RATE,
                description=f"{name}: usage of {provider} at its internal rate, in whose place the fleet's cost stands",
                category=USAGE,
                frequency=USAGE_BASED,
                source=(FLEET, name),
                currency=USD,
                contracted=amount,
                effective=amount,
                listed=Fraction(0),
                provider=provider,
                # Not billed by itself: neither is the usage that it takes off, so nothing of either stays accrued.
                billed_by=provider,
                obligation=f"usage {provider}",
            )
