"""What charges follow from outside of usage: entries of reference files, contracts, owner rules and prices."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from tollbook.rating.explain import prices_in_force
from tollbook.rating.store import LIST_PRICES, read_file, versions
from tollbook.reference.dated.entries import DatedEntry, EntryFile
from tollbook.reference.dated.kinds import (
    ALLOCATION_RULES,
    ESTIMATES,
    FLEETS,
    INVOICES,
    PLATFORMS,
    SUBSCRIPTIONS,
)
from tollbook.reference.owners import AS_TOLD, read_owners
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


def entry_node(trace: Tracing, source_kind: str, entry_id: str, relation: str) -> Node:
    """Return an entry of the reference files: where it stands, who wrote it and why."""
    kind = _KIND_OF_SOURCE.get(source_kind)
    found = _entry(trace, [kind] if kind else list(trace.reference.files), entry_id)
    if found is None:
        return Node("reference entry", entry_id, {"found": False}, relation=relation)
    return _entry_node(*found, relation)


def rule_node(trace: Tracing, method_id: str, details: Row, ratio: Any) -> Node:
    """Return how a line became whose it is: the rule, or the method that needs none.

    Args:
        trace: The trace.
        method_id: `allocated_method_id` of the line.
        details: Its `allocated_method_details`.
        ratio: Its `allocated_ratio`.
    """
    found = _entry(trace, [ALLOCATION_RULES], method_id)
    facts = {
        "method": details.get("method"),
        "driver": details.get("driver"),
        "ratio": details.get("ratio"),
        "ratio_rounded": ratio,
        "through_platforms": details.get("through") or None,
    }
    parts = () if found is None else (_entry_node(*found, "by rule"),)
    return Node("allocation", method_id, facts, parts, relation="allocated by")


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
        rules = read_owners(path).rules if path.exists() else ()
        rule = next((each for each in rules if each.rule_id == rule_id), None)
        if rule is None:
            facts["said"] = f"not in {path.name} as it is in use; `tollbook reference versions` lists those before it"
        else:
            facts |= {
                "file": path.name,
                "match": f"{rule.dimension} = {rule.value}",
                "team": rule.team,
                "cost_center": rule.cost_center,
                "valid_from": rule.valid_from,
                "valid_to": rule.valid_to,
            }
    return Node("owner rule", rule_id, facts, relation="owned by")


def price_node(
    trace: Tracing, sku_price_id: str, *, model: str, provider: str, catalogues: Iterable[str], at: datetime
) -> Node:
    """Return a list price as the newest of some catalogues says it, with its source."""
    named = sorted(set(catalogues))
    facts: dict[str, Any] = {"catalogue_versions": named}
    recorded = {entry.version: entry for entry in versions(trace.settings.lake) if entry.version in named}
    for entry in reversed(recorded.values()):
        file = entry.file(LIST_PRICES)
        prices = (
            [] if file is None else prices_in_force(read_file(trace.settings.lake, file), model, at, provider=provider)
        )
        found = next((each.as_dict() for each in prices if each.price.sku_price_id == sku_price_id), None)
        if found is not None:
            facts |= {name: found[name] for name in ("source", "checked_on", "basis", "valid_from", "valid_to")}
            facts["usd_per_unit"] = [f"{rate['unit']} {rate['price_usd']} / {rate['per']:,}" for rate in found["rates"]]
            break
    return Node("price", sku_price_id, facts, relation="priced by")


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
        "valid_from": entry.valid_from,
        "valid_to": entry.valid_to,
        "known_from": entry.known_from.astimezone(UTC),
    }
    facts |= {name: entry.body.get(name) for name in _SAID}
    return Node("reference entry", entry.entry_id, facts, relation=relation)
