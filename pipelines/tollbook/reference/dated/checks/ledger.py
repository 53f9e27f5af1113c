"""Invoices, entities, accounts and revenue: sums, credit notes, currencies, and names that others define."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from tollbook.errors import DocumentFault
from tollbook.reference.dated.checks import Entries, Others
from tollbook.reference.dated.checks.amounts import amount_at, not_below_zero, twice
from tollbook.reference.dated.checks.plans import known_unit
from tollbook.reference.dated.entries import DatedEntry

_BILLED: Final = {
    "subscription": ("subscriptions", "subscription_id"),
    "platform": ("shared_platforms", "platform_id"),
    "fleet": ("fleets", "fleet_id"),
}


def check_invoices(entries: Entries, others: Others) -> Iterator[DocumentFault]:
    """Yield invoices that do not add up, credit notes of nothing, and lines in another currency than what they bill."""
    by_number = {entry.key: entry for entry in entries}
    for entry in entries:
        body = entry.body
        total = sum((amount_at(entry, ("lines", place, "amount")) for place in range(len(body["lines"]))), Fraction(0))
        if total != amount_at(entry, ("total",)):
            yield entry.fault(("total",), f"expected the sum of the lines, {_plain(total)}")
        yield from twice(entry, "lines", "line_id")
        if "credit_note_for" in body:
            yield from _credit_note(entry, by_number.get((body["vendor"], body["credit_note_for"])))
        for place, line in enumerate(body["lines"]):
            yield from _line(entry, place, others)
            if line.get("service_to", "9999-12-31") <= line.get("service_from", "0001-01-01"):
                yield entry.fault(("lines", place, "service_to"), "expected a day after service_from")


def _credit_note(entry: DatedEntry, credited: DatedEntry | None) -> Iterator[DocumentFault]:
    if credited is None:
        yield entry.fault(("credit_note_for",), "expected the number of an invoice of the vendor, found none")
        return
    if credited.body["currency"] != entry.body["currency"]:
        yield entry.fault(("currency",), f"expected {credited.body['currency']}, as the invoice that it credits")
    for place in range(len(entry.body["lines"])):
        if amount_at(entry, ("lines", place, "amount")) > 0:
            yield entry.fault(("lines", place, "amount"), "expected zero or less in a credit note")


def _line(entry: DatedEntry, place: int, others: Others) -> Iterator[DocumentFault]:
    for what, name in entry.body["lines"][place].get("for", {}).items():
        kind, key = _BILLED.get(what, ("", ""))
        held = others.get(kind, ())
        billed = [each for each in held if each.body[key] == name]
        where = ("lines", place, "for", what)
        if held and not billed:
            yield entry.fault(where, f"expected a {what} in use, found none")
        currencies = sorted({each.body["currency"] for each in billed})
        if billed and entry.body["currency"] not in currencies:
            rule = f"expected {' or '.join(currencies)}, the currency of the {what} {name} that a line bills"
            yield entry.fault(("currency",), rule)


def check_entities(entries: Entries, others: Others) -> Iterator[DocumentFault]:
    """Yield cost centres that two entities have at one time, and those that the hierarchy does not know."""
    for place, entry in enumerate(entries):
        for number, name in enumerate(entry.body["cost_centers"]):
            where = ("cost_centers", number)
            yield from known_unit(entry, where, "cost_center", name, others)
            for other in entries[:place]:
                if other.key != entry.key and other.meets(entry) and name in other.body["cost_centers"]:
                    rule = f"expected a cost centre of one entity at a time, but {other.entry_id} has it too"
                    yield entry.fault(where, rule)


def check_accounts(entries: Entries, others: Others) -> Iterator[DocumentFault]:
    """Yield rules for entities, business units and cost centres that are not there."""
    entities = {each.body["entity_id"] for each in others.get("legal_entities", ())}
    for entry in entries:
        match = entry.body["match"]
        for level in ("business_unit", "cost_center"):
            if level in match:
                yield from known_unit(entry, ("match", level), level, match[level], others)
        if entities and match.get("legal_entity", next(iter(entities))) not in entities:
            yield entry.fault(("match", "legal_entity"), "expected a legal entity in use, found none")


def check_revenue(entries: Entries, _: Others) -> Iterator[DocumentFault]:
    """Yield revenue below zero."""
    for entry in entries:
        yield from not_below_zero(entry, ("amount",))


def _plain(amount: Fraction) -> str:
    digits = 12
    whole, rest = divmod(abs(amount) * 10**digits // 1, 10**digits)
    text = f"{whole}.{rest:0{digits}d}".rstrip("0").rstrip(".")
    return f"-{text}" if amount < 0 else text
