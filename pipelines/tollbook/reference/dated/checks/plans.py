"""Subscriptions, offers, platforms, fleets, budgets, estimates: amounts, seats, capacities, teams of the hierarchy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from tollbook.errors import DocumentFault
from tollbook.reference.dated.checks import Entries, Others
from tollbook.reference.dated.checks.amounts import amount_at, not_below_zero, twice
from tollbook.reference.dated.checks.hierarchy import WORDS
from tollbook.reference.dated.entries import DatedEntry
from tollbook.reference.documents import Step


def known_unit(
    entry: DatedEntry, where: Sequence[Step], level: str, name: str, others: Others
) -> Iterator[DocumentFault]:
    """Yield a fault where a unit is named that the hierarchy in use never has."""
    hierarchy = others.get("hierarchy", ())
    if hierarchy and not any(e.body["unit"] == level and e.body["name"] == name for e in hierarchy):
        yield entry.fault(where, f"expected a {WORDS[level]} of the hierarchy, found none")


def check_budgets(entries: Entries, others: Others) -> Iterator[DocumentFault]:
    """Yield budgets of units that are not there, and those without an end that they need."""
    for entry in entries:
        yield from not_below_zero(entry, ("amount",))
        ((level, name),) = entry.body["scope"].items()
        if level != "workflow":
            yield from known_unit(entry, ("scope", level), level, name, others)
        if entry.body["per"] == "validity" and entry.valid_to is None:
            yield entry.fault(("per",), "expected valid_to beside it, as the budget is for the whole time")


def check_estimates(entries: Entries, _others: Others) -> Iterator[DocumentFault]:
    """Yield estimates below zero, and those that their author approved."""
    for entry in entries:
        yield from not_below_zero(entry, ("usd_per_million_tokens",))
        if entry.body["approved_by"].casefold() == entry.body["author"].casefold():
            yield entry.fault(("approved_by",), "expected another than the author")


def check_subscriptions(entries: Entries, others: Others) -> Iterator[DocumentFault]:
    """Yield seats given out beyond those paid for, and included usage that cannot be counted."""
    for entry in entries:
        body = entry.body
        for where in (("fee",), ("seats", "fee"), ("included", "quantity"), ("overage", "price")):
            if where[-1] in (body if len(where) == 1 else body.get(where[0], {})):
                yield from not_below_zero(entry, where)
        yield from _seats(entry, others)
        yield from _included(entry)
        if "term_from" in body and body["per"] != "year":
            yield entry.fault(("term_from",), "expected it beside fees of a year alone")
        elif "term_from" in body and body["term_from"] > body["valid_from"]:
            yield entry.fault(("term_from",), "expected a day that is not after valid_from")


def check_offers(entries: Entries, others: Others) -> Iterator[DocumentFault]:
    """Yield amounts below zero, included usage that cannot be counted, tiers out of order, and plans of nothing."""
    known = {each.body["subscription_id"] for each in others.get("subscriptions", ())}
    for entry in entries:
        yield from not_below_zero(entry, ("fee",))
        if "quantity" in entry.body.get("included", {}):
            yield from not_below_zero(entry, ("included", "quantity"))
        yield from _included(entry, ("quantity",))
        yield from _tiers(entry)
        for place, name in enumerate(entry.body.get("replaces", ())):
            if known and name not in known:
                yield entry.fault(("replaces", place), "expected a subscription in use, found none")


def _tiers(entry: DatedEntry) -> Iterator[DocumentFault]:
    overage = entry.body.get("overage", {})
    if "price" in overage:
        yield from not_below_zero(entry, ("overage", "price"))
    before = Fraction(0)
    for place, tier in enumerate(overage.get("tiers", ())):
        where = ("overage", "tiers", place)
        yield from not_below_zero(entry, (*where, "price"))
        is_last = place == len(overage["tiers"]) - 1
        if is_last != ("up_to" not in tier):
            yield entry.fault((*where, "up_to"), "expected it in every tier but the last", came="")
        elif not is_last:
            if amount_at(entry, (*where, "up_to")) <= before:
                yield entry.fault((*where, "up_to"), "expected more than in the tier before")
            before = amount_at(entry, (*where, "up_to"))


def _included(entry: DatedEntry, keys: Sequence[str] = ("quantity", "per")) -> Iterator[DocumentFault]:
    included = entry.body.get("included")
    if included is None or included["unit"] == "all":
        if "overage" in entry.body:
            yield entry.fault(("overage",), "expected it beside included usage of a quantity alone", came="")
        if included is not None and len(included) > 1:
            yield entry.fault(("included",), "expected no other key beside the unit all", came="")
        return
    for key in keys:
        if key not in included:
            rule = f"expected the key {key!r} beside the unit {included['unit']}, got none"
            yield entry.fault(("included",), rule, came="")
    if (included["unit"] == "credits") != ("credit_value" in included):
        yield entry.fault(("included",), "expected credit_value beside credits, and beside them alone", came="")
    elif "credit_value" in included and amount_at(entry, ("included", "credit_value")) <= 0:
        yield entry.fault(("included", "credit_value"), "expected more than nothing")
    if included.get("per") == "seat" and "seats" not in entry.body:
        yield entry.fault(("included", "per"), "expected seats in the entry, as it is counted by them")


def _seats(entry: DatedEntry, others: Others) -> Iterator[DocumentFault]:
    seats = entry.body.get("seats", {})
    assigned = seats.get("assigned", ())
    if sum(each["seats"] for each in assigned) > seats.get("purchased", 0):
        rule = f"expected at most the {seats['purchased']} seats that are paid for"
        yield entry.fault(("seats", "assigned"), rule, came=str(sum(each["seats"] for each in assigned)))
    seen = set()
    for place, each in enumerate(assigned):
        where = ("seats", "assigned", place, "team")
        if (each["team"], each.get("workflow")) in seen:
            yield entry.fault(where, "expected each team and workflow once")
        seen.add((each["team"], each.get("workflow")))
        yield from known_unit(entry, where, "team", each["team"], others)


def check_platforms(entries: Entries, _: Others) -> Iterator[DocumentFault]:
    """Yield costs below zero, and components that stand twice."""
    for entry in entries:
        yield from twice(entry, "costs", "component")
        for place in range(len(entry.body["costs"])):
            yield from not_below_zero(entry, ("costs", place, "amount"))


def check_fleets(entries: Entries, others: Others) -> Iterator[DocumentFault]:
    """Yield fleets whose capacity is not told, and purchases that lose more than they cost."""
    for entry in entries:
        body = entry.body
        yield from twice(entry, "running", "component")
        for place in range(len(body.get("running", ()))):
            yield from not_below_zero(entry, ("running", place, "amount"))
        if "owned" in body:
            yield from _owned(entry)
        else:
            yield from not_below_zero(entry, ("rented", "hourly_rate"))
        if (body["measure"] == "tokens") != ("capacity_tokens" in body):
            rule = "expected capacity_tokens beside the measure tokens, and beside it alone"
            yield entry.fault(("measure",), rule)
        if "idle_team" in body:
            yield from known_unit(entry, ("idle_team",), "team", body["idle_team"], others)


def _owned(entry: DatedEntry) -> Iterator[DocumentFault]:
    owned = entry.body["owned"]
    yield from not_below_zero(entry, ("owned", "purchase_price"))
    if "residual_value" in owned:
        yield from not_below_zero(entry, ("owned", "residual_value"))
        if amount_at(entry, ("owned", "residual_value")) > amount_at(entry, ("owned", "purchase_price")):
            yield entry.fault(("owned", "residual_value"), "expected no more than the purchase price")
    if owned["purchased_on"] > entry.body["valid_from"]:
        yield entry.fault(("owned", "purchased_on"), "expected a day that is not after valid_from")
