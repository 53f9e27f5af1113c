"""Subscriptions: fees and seats by days, years paid in advance and amortised, included usage and overage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from tollbook.chargeback.origins import (
    ONE_TIME,
    PICO,
    PURCHASE,
    RECURRING,
    USAGE,
    USAGE_BASED,
    Origins,
    Span,
)
from tollbook.chargeback.spans import overlap, portion, spans_of, years_of
from tollbook.chargeback.usage_lines import UsageLines, Where
from tollbook.rating.contract_terms import USD
from tollbook.rating.periods.calendar import BillingPeriod
from tollbook.reference.dated.entries import DatedEntry

SUBSCRIPTION = "subscription"
FEE, SEATS = "fee", "seats"
PER_TOKENS = 10**6


@dataclass(frozen=True, slots=True)
class _Fee:
    """One fee of an entry for a whole month or year. `component` is `fee` or `seats`."""

    component: str
    amount: Fraction
    words: str


def charge_subscriptions(
    origins: Origins, entries: Sequence[DatedEntry], usage: UsageLines, cuts: Collection[date], today: date
) -> None:
    """Add the fees of every billing period begun, and what plans include or charge of usage that names them.

    Args:
        origins: Takes the charges.
        entries: Plans in force.
        usage: Usage of billing periods.
        cuts: Days on which those who bear a charge may change.
        today: Day of the billing calendar.
    """
    for entry in entries:
        for fee in _fees(entry):
            charge = _charge_years if entry.body["per"] == "year" else _charge_months
            charge(origins, entry, fee, cuts, today)
    plans: defaultdict[str, list[DatedEntry]] = defaultdict(list)
    for entry in entries:
        plans[entry.body["subscription_id"]].append(entry)
    for name, held in sorted(plans.items()):
        _charge_usage(origins, name, held, usage, today)


def _fees(entry: DatedEntry) -> Iterator[_Fee]:
    if "fee" in entry.body:
        yield _Fee(FEE, Fraction(entry.body["fee"]), "plan")
    if "seats" in entry.body:
        seats = entry.body["seats"]
        yield _Fee(SEATS, Fraction(seats["fee"]) * seats["purchased"], f"{seats['purchased']:,} seats")


def _charge_months(origins: Origins, entry: DatedEntry, fee: _Fee, cuts: Collection[date], today: date) -> None:
    for span in spans_of(entry.valid_from, entry.valid_to, today, cuts):
        first, beyond = span.period.start, span.period.end
        if entry.body.get("part_periods") == "whole":
            first, beyond = max(first, entry.valid_from), min(beyond, entry.valid_to or beyond)
        whole = (beyond - first).days
        amount = portion(fee.amount, (span.first - first).days, (span.beyond - first).days, whole)
        words = f"{fee.words}: {span.days} of {whole} days"
        _add(origins, span, entry, fee, words, PURCHASE, contracted=amount, effective=amount)


def _charge_years(origins: Origins, entry: DatedEntry, fee: _Fee, cuts: Collection[date], today: date) -> None:
    since = date.fromisoformat(entry.body.get("term_from", entry.body["valid_from"]))
    for start, end in years_of(entry.valid_from, entry.valid_to, today, since):
        held = overlap(entry.valid_from, entry.valid_to, start, end)
        if held is None or held[0] > today:
            continue
        days, whole = (held[1] - held[0]).days, (end - start).days
        amount = fee.amount if entry.body.get("part_periods") == "whole" else fee.amount * Fraction(days, whole)
        amount = Fraction(round(amount * PICO), PICO)
        period = BillingPeriod.of(held[0])
        paid = Span(period, held[0], min(period.end, held[1]))
        words = f"{fee.words}: {days} of {whole} days from {start}, paid in advance"
        _add(origins, paid, entry, fee, words, PURCHASE, contracted=amount, effective=Fraction(0), purchased=True)
        for span in spans_of(held[0], held[1], today, cuts):
            used = portion(amount, (span.first - held[0]).days, (span.beyond - held[0]).days, days)
            words = f"{fee.words}: {span.days} of {days} days paid for on {held[0]}"
            _add(origins, span, entry, fee, words, USAGE, contracted=Fraction(0), effective=used)


def _add(
    origins: Origins,
    span: Span,
    entry: DatedEntry,
    fee: _Fee,
    words: str,
    category: str,
    *,
    contracted: Fraction,
    effective: Fraction,
    purchased: bool = False,
) -> None:
    body = entry.body
    origins.add(
        span,
        entry,
        kind="subscription_purchase" if purchased else f"subscription_{fee.component}",
        component=fee.component,
        description=f"{body['subscription_id']}, {body['plan']}, {words}",
        category=category,
        frequency=ONE_TIME if purchased else RECURRING,
        source=(SUBSCRIPTION, body["subscription_id"]),
        currency=body["currency"],
        contracted=contracted,
        effective=effective,
        provider=body["vendor"],
        billed_by=body["vendor"],
    )


def _charge_usage(origins: Origins, name: str, entries: Iterable[DatedEntry], usage: UsageLines, today: date) -> None:
    """Add what a plan takes off the cost of usage that names it, and what it charges beyond."""
    where = Where(subscription_id=name)
    costs = usage.by_provider("contracted_cost", where)
    by_period: defaultdict[BillingPeriod, list[tuple[Span, DatedEntry]]] = defaultdict(list)
    for entry in entries:
        if "included" in entry.body:
            for span in spans_of(entry.valid_from, entry.valid_to, today):
                by_period[span.period].append((span, entry))
    for period, held in sorted(by_period.items()):
        if costs.get(period.start):
            _charge_period(origins, held, usage, where, costs[period.start])


def _charge_period(
    origins: Origins,
    held: list[tuple[Span, DatedEntry]],
    usage: UsageLines,
    where: Where,
    costs: Any,
) -> None:
    held.sort(key=lambda each: each[0].first)
    last = held[-1][1]
    period, included = held[0][0].period, last.body["included"]
    span = Span(period, held[0][0].first, held[-1][0].beyond)
    used = _used(usage, where, included, period.start)
    covered = used if included["unit"] == "all" else min(used, _included(held, included["unit"]))
    priced = "overage" in last.body
    share = Fraction(1) if priced or not used else covered / used
    common: dict[str, Any] = {"category": USAGE, "frequency": USAGE_BASED}
    unit = {"spend": "USD of list cost", "tokens": "tokens", "credits": "credits", "all": "tokens"}[included["unit"]]
    for provider, cost in sorted(costs.items()):
        amount = -Fraction(round(cost * share), PICO)
        origins.add(
            span,
            last,
            kind="included_usage",
            description=f"{last.body['subscription_id']} covers {_plain(covered)} of {_plain(used)} {unit} used",
            source=(SUBSCRIPTION, last.body["subscription_id"]),
            currency=USD,
            contracted=amount,
            effective=amount,
            listed=Fraction(0),
            provider=provider,
            billed_by=provider,
            obligation=f"usage {provider}",
            measured=(covered, unit),
            **common,
        )
    if priced and used > covered:
        beyond = used - covered
        per = PER_TOKENS if included["unit"] == "tokens" else 1
        amount = beyond * Fraction(last.body["overage"]["price"]) / per
        origins.add(
            span,
            last,
            kind="subscription_overage",
            description=f"{last.body['subscription_id']}: {_plain(beyond)} {unit} beyond what is included",
            source=(SUBSCRIPTION, last.body["subscription_id"]),
            currency=last.body["currency"],
            contracted=amount,
            effective=amount,
            listed=Fraction(0),
            provider=last.body["vendor"],
            billed_by=last.body["vendor"],
            measured=(beyond, unit),
            **common,
        )


def _used(usage: UsageLines, where: Where, included: Any, start: date) -> Fraction:
    if included["unit"] in {"tokens", "all"}:
        return Fraction(sum(usage.by_provider("total_tokens", where).get(start, {}).values()))
    listed = Fraction(sum(usage.by_provider("list_cost", where).get(start, {}).values()), PICO)
    return listed / Fraction(included["credit_value"]) if included["unit"] == "credits" else listed


def _included(held: Iterable[tuple[Span, DatedEntry]], unit: str) -> Fraction:
    """Return what the plans of a billing period include together, each by its days unless parts count whole."""
    total = Fraction(0)
    for span, entry in held:
        included = entry.body["included"]
        if included["unit"] == unit:
            seats = entry.body["seats"]["purchased"] if included["per"] == "seat" else 1
            by_day = Fraction(span.days, (span.period.end - span.period.start).days)
            total += (
                Fraction(included["quantity"]) * seats * (1 if entry.body.get("part_periods") == "whole" else by_day)
            )
    return total


def _plain(quantity: Fraction) -> str:
    return f"{float(quantity):,.6f}".rstrip("0").rstrip(".")
