"""Allocation rules: keys that fit the method, ratios that add up to one, pools that are there, and no cycles."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Final

from tollbook.errors import DocumentFault
from tollbook.reference.dated.checks import Entries, Others
from tollbook.reference.dated.checks.amounts import amount_at, not_below_zero
from tollbook.reference.dated.checks.plans import known_unit
from tollbook.reference.dated.entries import DatedEntry

_NEEDED: Final = {
    "even": frozenset[str](),
    "fixed": frozenset({"shares"}),
    "proportional": frozenset({"driver"}),
    "tiered": frozenset({"driver", "tiers"}),
}
_POOL_KINDS: Final = {
    "platform": ("shared_platforms", "platform_id"),
    "subscription": ("subscriptions", "subscription_id"),
    "idle": ("fleets", "fleet_id"),
}


def check_allocation(entries: Entries, others: Others) -> Iterator[DocumentFault]:
    """Yield rules that say too little or too much, ratios that miss 1, unknown names and cycles."""
    for entry in entries:
        yield from _keys(entry)
        ((what, name),) = entry.body["pool"].items()
        yield from _known_pool(entry, ("pool", what), what, name, others)
        for place, team in enumerate(entry.body.get("receivers", ())):
            yield from known_unit(entry, ("receivers", place), "team", team, others)
        yield from _shares(entry, others)
        yield from _tiers(entry)
    yield from _cycles(entries)


def _keys(entry: DatedEntry) -> Iterator[DocumentFault]:
    method = entry.body["method"]
    needed = _NEEDED[method]
    for key in ("shares", "driver", "tiers"):
        if key in needed and key not in entry.body:
            yield entry.fault((), f"expected the key {key!r} beside the method {method}, got none", came="")
        elif key in entry.body and key not in needed:
            yield entry.fault((key,), f"expected no {key} beside the method {method}", came="")
    if method == "fixed":
        for key in ("receivers", "measured"):
            if key in entry.body:
                yield entry.fault((key,), "expected shares alone to say who bears it", came="")


def _known_pool(
    entry: DatedEntry, where: tuple[str | int, ...], what: str, name: str, others: Others
) -> Iterator[DocumentFault]:
    kind, key = _POOL_KINDS.get(what, ("", ""))
    held = others.get(kind, ())
    if held and not any(each.body[key] == name for each in held):
        yield entry.fault(where, f"expected a {key.removesuffix('_id')} in use, found none")


def _shares(entry: DatedEntry, others: Others) -> Iterator[DocumentFault]:
    shares = entry.body.get("shares", ())
    total = Fraction(0)
    seen = set()
    for place, share in enumerate(shares):
        yield from not_below_zero(entry, ("shares", place, "ratio"))
        total += amount_at(entry, ("shares", place, "ratio"))
        receiver = (share.get("team"), share.get("workflow"), share.get("platform"))
        if receiver in seen:
            yield entry.fault(("shares", place), "expected each receiver once", came="")
        seen.add(receiver)
        if "platform" in share:
            yield from _known_pool(entry, ("shares", place, "platform"), "platform", share["platform"], others)
        else:
            yield from known_unit(entry, ("shares", place, "team"), "team", share["team"], others)
    if shares and total != 1:
        yield entry.fault(("shares",), "expected ratios that add up to 1", came=str(float(total)))


def _tiers(entry: DatedEntry) -> Iterator[DocumentFault]:
    tiers = entry.body.get("tiers", ())
    for place in range(len(tiers)):
        yield from not_below_zero(entry, ("tiers", place, "from"))
        yield from not_below_zero(entry, ("tiers", place, "weight"))
    if tiers and amount_at(entry, ("tiers", 0, "from")) != 0:
        yield entry.fault(("tiers", 0, "from"), 'expected the first tier to begin at "0"')
    for place, (tier, following) in enumerate(pairwise(tiers), start=1):
        if Fraction(tier["from"]) >= Fraction(following["from"]):
            yield entry.fault(("tiers", place, "from"), "expected tiers that begin at growing quantities")


def _cycles(entries: Entries) -> Iterator[DocumentFault]:
    """Yield rules by which a platform's cost comes back to it, on any day."""
    told: set[str] = set()
    for day in sorted({entry.valid_from for entry in entries}):
        rules = {e.body["pool"]["platform"]: e for e in entries if e.holds_on(day) and "platform" in e.body["pool"]}
        for name, entry in rules.items():
            way = _way_back(name, name, rules, ())
            if way is not None and entry.entry_id not in told:
                told.add(entry.entry_id)
                words = " to ".join(way)
                yield entry.fault(("shares",), f"expected an order without a cycle, got {words} on {day}", came="")


def _way_back(start: str, here: str, rules: dict[str, DatedEntry], passed: tuple[str, ...]) -> tuple[str, ...] | None:
    if here in passed:
        return (*passed, here) if here == start else None
    rule = rules.get(here)
    for share in () if rule is None else rule.body.get("shares", ()):
        if "platform" in share:
            found = _way_back(start, share["platform"], rules, (*passed, here))
            if found is not None:
                return found
    return None
