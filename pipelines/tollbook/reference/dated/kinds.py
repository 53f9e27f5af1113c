"""The kinds of dated entries: what an entry of each is about, and how it is held against others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tollbook.reference.dated.checks import Check
from tollbook.reference.dated.checks.allocation import check_allocation
from tollbook.reference.dated.checks.hierarchy import check_hierarchy
from tollbook.reference.dated.checks.ledger import check_accounts, check_entities, check_invoices, check_revenue
from tollbook.reference.dated.checks.paths import check_paths
from tollbook.reference.dated.checks.plans import (
    check_budgets,
    check_estimates,
    check_fleets,
    check_offers,
    check_platforms,
    check_subscriptions,
)
from tollbook.reference.dated.checks.scenarios import check_scenarios
from tollbook.reference.dated.entries import Body, EntryFile, Key, read_entry_file

HIERARCHY, BUDGETS, SUBSCRIPTIONS, PLATFORMS, FLEETS = (
    *("hierarchy", "budgets", "subscriptions", "shared_platforms", "fleets"),
)
ALLOCATION_RULES, INVOICES, ENTITIES, ACCOUNTS, REVENUE = (
    *("allocation_rules", "vendor_invoices", "legal_entities", "gl_accounts", "product_revenue"),
)


ESTIMATES: Final = "price_estimates"
OFFERS: Final = "plan_offers"
PATHS: Final = "inference_paths"
SCENARIOS: Final = "forecast_scenarios"
_PATH_NAMES: Final = {
    "offer": "offer_id",
    "throughput": "figure_id",
    "workload": "workload",
    "residency": "data_class",
    "assumptions": "",
}


@dataclass(frozen=True, slots=True)
class EntryKind:
    """One kind.

    Attributes:
        name: Its first key, its schema and its folder below `reference/`.
        words: A file of it in words.
        entry: One of its entries in words, and several.
        key_of: What an entry is about.
        check: What its schema cannot see.
        dated: Whether entries have a validity.
    """

    name: str
    words: str
    entry: tuple[str, str]
    key_of: Callable[[Body], Key]
    check: Check
    dated: bool = True

    def read(self, path: Path) -> EntryFile:
        """Return the entries of a file, each sound by itself.

        Raises:
            ReferenceDataError: It breaks its schema, or an entry ends before it begins.
        """
        return read_entry_file(path, self.name, self.key_of, dated=self.dated)


def _named(what: str, *fields: str) -> Callable[[Body], Key]:
    return lambda body: (what, *(str(body.get(each, "")) for each in fields))


def _matched(body: Body) -> Key:
    return ("match", json.dumps(body["match"], sort_keys=True))


def _of_path(body: Body) -> Key:
    """Return what an entry of inference paths is about: one of five things, of which assumptions have no name."""
    what, name = next((what, name) for what, name in _PATH_NAMES.items() if what in body)
    return (what, str(body[what].get(name, "")))


def _pooled(body: Body) -> Key:
    ((what, name),) = body["pool"].items()
    return ("pool", what, name)


KINDS: Final = {
    kind.name: kind
    for kind in (
        EntryKind(
            HIERARCHY, "a hierarchy", ("unit", "units"), lambda body: (body["unit"], body["name"]), check_hierarchy
        ),
        EntryKind(BUDGETS, "budgets", ("budget", "budgets"), _named("budget", "budget_id"), check_budgets),
        EntryKind(
            SUBSCRIPTIONS,
            "subscriptions",
            ("plan", "plans"),
            _named("subscription", "subscription_id"),
            check_subscriptions,
        ),
        EntryKind(
            PLATFORMS, "shared platforms", ("platform", "platforms"), _named("platform", "platform_id"), check_platforms
        ),
        EntryKind(FLEETS, "fleets", ("fleet", "fleets"), _named("fleet", "fleet_id"), check_fleets),
        EntryKind(ALLOCATION_RULES, "allocation rules", ("rule", "rules"), _pooled, check_allocation),
        EntryKind(
            INVOICES,
            "vendor invoices",
            ("invoice", "invoices"),
            lambda body: (body["vendor"], body["invoice_id"]),
            check_invoices,
            dated=False,
        ),
        EntryKind(
            ENTITIES, "legal entities", ("entity", "entities"), _named("legal entity", "entity_id"), check_entities
        ),
        EntryKind(ACCOUNTS, "general-ledger accounts", ("rule", "rules"), _matched, check_accounts),
        EntryKind(
            ESTIMATES,
            "price estimates",
            ("estimate", "estimates"),
            _named("estimate of", "provider", "model"),
            check_estimates,
        ),
        EntryKind(OFFERS, "plan offers", ("plan", "plans"), _named("plan", "plan_id"), check_offers),
        EntryKind(PATHS, "inference paths", ("entry", "entries"), _of_path, check_paths),
        EntryKind(
            SCENARIOS,
            "forecast scenarios",
            ("scenario", "scenarios"),
            _named("scenario", "scenario"),
            check_scenarios,
        ),
        EntryKind(
            REVENUE,
            "product revenue",
            ("amount", "amounts"),
            _named("revenue of", "product", "customer_id", "billing_period"),
            check_revenue,
            dated=False,
        ),
    )
}
"""Kinds by name."""
