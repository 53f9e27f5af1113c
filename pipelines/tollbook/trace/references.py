"""What charges follow from outside of usage: entries of reference files, contracts, owner rules and prices."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import yaml

from tollbook.rating.money import usd
from tollbook.rating.prices import Price
from tollbook.rating.recorded import read_price
from tollbook.rating.store import LIST_PRICES, file_content, versions
from tollbook.rating.units import Units
from tollbook.reference.dated.entries import DatedEntry, EntryFile
from tollbook.reference.dated.kinds import (
    ALLOCATION_RULES,
    ESTIMATES,
    FLEETS,
    INVOICES,
    PLATFORMS,
    SUBSCRIPTIONS,
)
from tollbook.reference.documents import read_document
from tollbook.reference.owners import AS_TOLD
from tollbook.trace.context import Tracing
from tollbook.trace.node import Node
from tollbook.trace.published import Row

_KIND_OF_SOURCE: Final = {
    "platform": PLATFORMS,
    "subscription": SUBSCRIPTIONS,
    "fleet": FLEETS,
    "estimate": ESTIMATES,
    "invoice": INVOICES,
    "reconciliation": INVOICES,
    "untagged": ALLOCATION_RULES,
}
_SAID: Final = (
    *("author", "approved_by", "reason", "method", "driver", "vendor", "currency", "usd_per_million_tokens"),
    *("tool", "plan", "invoice_id", "issued_on", "contract_id"),
)

_OWNER_RULE: Final = ("match", "team", "cost_center", "business_unit", "valid_from", "valid_to")


def entry_node(trace: Tracing, source_kind: str, entry_id: str, relation: str) -> Node:
    """Return an entry of the reference files: where it stands, who wrote it and why."""
    kind = _KIND_OF_SOURCE.get(source_kind)
    found = _entry(trace, [kind] if kind else list(trace.reference.files), entry_id)
    if found is None:
        return Node("reference entry", entry_id, {"found": False}, relation=relation)
    return _entry_node(*found, relation)


def rule_node(trace: Tracing, line: Row) -> Node:
    """Return how a line became whose it is: the rule, or the method that needs none, and the platforms on the way.

    Args:
        trace: The trace.
        line: Row of `finance.fct_charges` that was allocated.
    """
    method_id, details = line["allocated_method_id"], json.loads(line["allocated_method_details"] or "{}")
    found = _entry(trace, [ALLOCATION_RULES], method_id)
    facts = {
        "method": details.get("method"),
        "driver": details.get("driver"),
        "ratio": details.get("ratio"),
        "ratio_rounded": line["allocated_ratio"],
        "through_platforms": details.get("through") or None,
    }
    parts = [] if found is None else [_entry_node(*found, "by rule")]
    return Node("allocation", method_id, facts, (*_rules_on_the_way(trace, line, details), *parts), "allocated by")


def _rules_on_the_way(trace: Tracing, line: Row, details: Row) -> Iterator[Node]:
    """Yield the rules by which a charge went to a platform that passed it on, in order."""
    day = trace.calendar.day_at(line["charge_period_start"])
    pools = [(line["source_kind"], line["source_id"]), *(("platform", name) for name in details.get("through", ()))]
    for kind, name in pools[:-1]:
        for file in trace.reference.files.get(ALLOCATION_RULES, ()):
            for entry in file.entries:
                if entry.key == ("pool", kind, name) and entry.holds_on(day):
                    yield _entry_node(file, entry, f"passed on by the rule of {kind} {name}")


def contract_node(trace: Tracing, contract_id: str, relation: str, component: str | None = None) -> Node:
    """Return a contract: its file, who wrote it and why, and the term that a charge is of."""
    for path in sorted(trace.settings.contracts.glob("*.yml"), reverse=True):
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        if told.get("contract_id") == contract_id:
            term: dict[str, Any] = next(
                (each for each in told.get("terms", ()) if each.get("term_id") == component), {}
            )
            facts = {name: told.get(name) for name in ("provider", "valid_from", "valid_to", "author", "reason")}
            parts = (Node("contract term", component, term, relation="by"),) if component and term else ()
            return Node("contract", contract_id, {"file": path.name} | facts, parts, relation=relation)
    return Node("contract", contract_id, {"found": False}, relation=relation)


def owner_rule_node(trace: Tracing, rule_id: str, calls: int | None = None) -> Node:
    """Return the rule that gave calls their owner, as the owners in use or those recorded before them say it."""
    facts: dict[str, Any] = {"calls": calls}
    if rule_id == AS_TOLD:
        facts["said"] = "no rule in force matched: the team is the one that the event names"
    elif rule_id == "none":
        facts["said"] = "no rule in force matched, and the event names no team"
    else:
        path = trace.settings.owners
        rules = read_document(path, "owners").content["rules"] if path.exists() else ()
        rule = next((each for each in rules if each["rule_id"] == rule_id), None)
        if rule is None:
            facts["said"] = f"not in {path.name} as it is in use; `tollbook reference versions` lists those before it"
        else:
            facts |= {"file": path.name} | {name: rule.get(name) for name in _OWNER_RULE}
    return Node("owner rule", rule_id, facts, relation="owned by")


def price_node(trace: Tracing, sku_price_id: str, *, catalogues: Iterable[str]) -> Node:
    """Return a list price as the newest of some catalogues has it, with its source and who changed it."""
    named = sorted(set(catalogues))
    facts: dict[str, Any] = {"catalogue_versions": named}
    recorded = {entry.version: entry for entry in versions(trace.settings.lake) if entry.version in named}
    for entry in reversed(recorded.values()):
        file = entry.file(LIST_PRICES)
        if file is not None:
            told = read_price(file_content(trace.settings.lake, file), sku_price_id)
            if told.prices:
                facts |= {"recorded_in": file.path} | _price_facts(told.prices[0], told.units)
                break
    return Node("price", sku_price_id, facts, relation="priced by")


def _price_facts(price: Price, units: Units) -> dict[str, Any]:
    facts: dict[str, Any] = {name: getattr(price, name) for name in ("source", "checked_on", "valid_from", "valid_to")}
    if price.origin is not None:
        facts |= {"overlay": price.origin.entry, "author": price.origin.author, "reason": price.origin.reason}
    if price.uplift is not None:
        facts |= {"uplift": f"{price.uplift.region} by {price.uplift.multiplier}", "uplift_entry": price.uplift.entry}
    of_keys = {key: unit for unit in reversed(units.all) if (key := price.key_of(unit)) is not None}
    facts["usd"] = [
        f"{usd(Fraction(price.rates[key]), per=unit.per):f} for {unit.per:,} {unit.name}"
        for key, unit in sorted(of_keys.items())
    ]
    return facts


def _entry(trace: Tracing, kinds: Iterable[str], entry_id: str) -> tuple[EntryFile, DatedEntry] | None:
    return next(
        (
            (file, entry)
            for kind in kinds
            for file in trace.reference.files.get(kind, ())
            for entry in file.entries
            if entry.entry_id == entry_id
        ),
        None,
    )


def _entry_node(file: EntryFile, entry: DatedEntry, relation: str) -> Node:
    facts: dict[str, Any] = {
        "file": (Path(file.kind) / f"{file.name}.yml").as_posix(),
        "version": file.version,
        "valid_from": None if entry.valid_from == date.min else entry.valid_from,
        "valid_to": entry.valid_to,
        "known_from": entry.known_from.astimezone(UTC),
    }
    facts |= {name: entry.body.get(name) for name in _SAID}
    return Node("reference entry", entry.entry_id, facts, relation=relation)
