"""A real book for the exports: usage, shared costs, seats, a fleet, a contract, an invoice, and an unknown cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tollbook.rating.book import PriceBook
from tollbook.rating.sources.contracts import load_contract
from tollbook.reference.kinds import load_file
from tollbook.settings import Settings
from tollbook.warehouse.build import build

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

Row = dict[str, Any]
NOW = datetime(2026, 8, 3, tzinfo=UTC)
COMMON = {"valid_from": "2026-06-01", "known_from": "2026-05-01T00:00:00Z", "author": "a", "reason": "r"}
RATES = """
exchange_rates: 1
rates:
  - {currency: EUR, usd: "1.10", valid_from: 2026-01-01T00:00:00Z, source: bank}
"""
# Each call of the lake costs 0.001 USD: a fee of 0.002 covers 110 tokens, one call.
CONTRACT = """
contract: 1
contract_id: acme
provider: openai
currency: USD
valid_from: 2026-06-01
valid_to: 2027-06-01
known_from: 2026-05-01T00:00:00Z
author: a
reason: r
terms:
  - term_id: committed
    description: One call a month
    committed_use: {fee: "0.002", included_tokens: 110}
  - term_id: promise
    applies_to: {models: ["gpt-*"]}
    spend_commitment: {amount: "0.5", per: billing_period}
  - term_id: credit
    prepaid_credit: {amount: "0.003", price: "0.002", purchased_on: 2026-06-01, expires_on: 2026-12-01}
"""
REFERENCE: dict[str, list[Row]] = {
    "shared_platforms": [
        {
            "entry_id": "gateway",
            "platform_id": "gateway",
            "currency": "EUR",
            "costs": [{"component": "servers", "amount": "10"}],
        }
    ],
    "allocation_rules": [
        {"entry_id": "by-calls", "pool": {"platform": "gateway"}, "method": "proportional", "driver": "calls"},
        {"entry_id": "nobodys", "pool": {"usage": "untagged"}, "method": "even", "receivers": ["search", "care"]},
    ],
    "subscriptions": [
        {
            "entry_id": "seats",
            "subscription_id": "team-plan",
            "vendor": "anthropic",
            "plan": "Team",
            "currency": "USD",
            "per": "year",
            "seats": {"purchased": 1, "fee": "365", "assigned": [{"team": "care", "seats": 1}]},
            "valid_to": "2027-06-01",
        }
    ],
    "fleets": [
        {
            "entry_id": "rack",
            "fleet_id": "rack",
            "currency": "USD",
            "devices": 2,
            "rented": {"hourly_rate": "0.50", "vendor": "cloud"},
            "serves": {"models": ["llama"]},
            "measure": "tokens",
            "capacity_tokens": 6000,
        }
    ],
    "hierarchy": [
        {"entry_id": "bu", "unit": "business_unit", "name": "BU"},
        {"entry_id": "c1", "unit": "cost_center", "name": "CC-1", "parent": "BU"},
        {"entry_id": "c2", "unit": "cost_center", "name": "CC-2", "parent": "BU"},
        {"entry_id": "search", "unit": "team", "name": "search", "parent": "CC-1"},
        {"entry_id": "care", "unit": "team", "name": "care", "parent": "CC-2"},
    ],
    "vendor_invoices": [
        {
            "entry_id": "i1",
            "invoice_id": "I-1",
            "vendor": "anthropic",
            "currency": "USD",
            "issued_on": "2026-06-02",
            "billing_period": "2026-06",
            "total": "434.35",
            "lines": [
                {
                    "line_id": "seat",
                    "description": "A seat for a year",
                    "category": "Purchase",
                    "amount": "365",
                    "for": {"subscription": "team-plan"},
                },
                {"line_id": "vat", "description": "19 percent", "category": "Tax", "amount": "69.35"},
            ],
        }
    ],
    "gl_accounts": [
        {
            "entry_id": "platforms",
            "match": {"charge_kind": "platform_cost"},
            "accounts": {"expense": "6815", "clearing": "1590"},
        },
    ],
    "legal_entities": [
        {"entry_id": "inc", "entity_id": "inc", "title": "Inc.", "currency": "USD", "cost_centers": ["CC-1"]},
    ],
}
PRICED = {"sku_price_id": "genai-prices/openai/gpt-5/default/undated/base", "inference_path": "model_api"}


@pytest.fixture(scope="session")
def real_book(
    tmp_path_factory: pytest.TempPathFactory, new_lake: Callable[[Settings], LakeBuilder], usage: Callable[..., Row]
) -> LakeBuilder:
    """Return a book of June and July 2026, built on 3 August."""
    home = tmp_path_factory.mktemp("exported")
    lake = new_lake(Settings(home=home))
    rates, contract = home / "rates.yml", home / "acme.yml"
    rates.write_text(RATES, encoding="utf-8")
    load_file(rates, lake.settings)
    for kind, entries in REFERENCE.items():
        _use(lake.settings, home, kind, entries)
    contract.write_text(CONTRACT, encoding="utf-8")
    load_contract(contract, lake.settings.contracts, PriceBook.load(lake.settings), now=NOW)
    nobody: Row = {"owner_team": None, "owner_cost_center": None, "owner_business_unit": None}
    search: Row = nobody | {"owner_team": "search"}
    care: Row = nobody | {"owner_team": "care"}
    lake.commit(
        [
            *(usage(name, **search, **PRICED) for name in "abc"),
            usage("cached", "2026-06-20", **care, **PRICED, cache_read_tokens=60, reasoning_tokens=4, output_tokens=10),
            usage("nobodys", "2026-06-03", **nobody, **PRICED),
            usage("image", **search, workflow="draw", input_tokens=0, output_tokens=0, cost_basis="provider_reported"),
            usage("own", **care, provider="cloud", model="llama", inference_path="neo_cloud"),
            usage("unknown", **care, model="mystery", list_cost=None, contracted_cost=None),
            usage("july", "2026-07-04", **search, **PRICED, list_cost=Decimal("0.25")),
        ]
    )
    build(lake.settings, clock=lambda: NOW)
    return lake


def _use(settings: Settings, folder: Path, kind: str, entries: list[Row]) -> None:
    path = folder / f"{kind}.yml"
    dateless = {name: told for name, told in COMMON.items() if name != "valid_from"}
    common = dateless if kind == "vendor_invoices" else COMMON
    path.write_text(yaml.safe_dump({kind: 1, "entries": [common | each for each in entries]}), encoding="utf-8")
    load_file(path, settings, now=NOW)
