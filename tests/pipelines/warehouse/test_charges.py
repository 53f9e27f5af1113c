"""Charges in the build: what teams are charged, what it was before it was allocated, and that it rolls forward."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tollbook.reference.kinds import load_file
from tollbook.warehouse.build import build

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

JUNE, JULY, AUGUST = (date(2026, month, 1) for month in (6, 7, 8))
COMMON = {"valid_from": "2026-06-01", "known_from": "2026-05-01T00:00:00Z", "author": "a", "reason": "r"}
Row = dict[str, Any]

PLATFORMS: list[Row] = [
    {
        "entry_id": "gateway",
        "platform_id": "gateway",
        "currency": "EUR",
        "costs": [{"component": "servers", "amount": "10"}],
        "valid_to": "2026-08-01",
    }
]
RULES: list[Row] = [
    {"entry_id": "by-calls", "pool": {"platform": "gateway"}, "method": "proportional", "driver": "calls"},
    {"entry_id": "nobodys", "pool": {"usage": "untagged"}, "method": "even", "receivers": ["search", "care"]},
]
PLANS: list[Row] = [
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
]
HIERARCHY: list[Row] = [
    {"entry_id": "bu", "unit": "business_unit", "name": "BU"},
    {"entry_id": "c1", "unit": "cost_center", "name": "CC-1", "parent": "BU"},
    {"entry_id": "c2", "unit": "cost_center", "name": "CC-2", "parent": "BU"},
    {"entry_id": "c10", "unit": "cost_center", "name": "cc-10", "parent": "BU"},
    {"entry_id": "search", "unit": "team", "name": "search", "parent": "cc-10"},
    {"entry_id": "care1", "unit": "team", "name": "care", "parent": "CC-1", "valid_to": "2026-06-16"},
    {"entry_id": "care2", "unit": "team", "name": "care", "parent": "CC-2", "valid_from": "2026-06-16"},
]
INVOICES: list[Row] = [
    {
        "entry_id": "i1",
        "invoice_id": "I-1",
        "vendor": "openai",
        "currency": "USD",
        "issued_on": "2026-07-05",
        "billing_period": "2026-06",
        "total": "0.0065",
        "lines": [
            {"line_id": "usage", "description": "u", "category": "Usage", "amount": "0.005"},
            {"line_id": "vat", "description": "v", "category": "Tax", "amount": "0.0015"},
        ],
    },
    {
        "entry_id": "i2",
        "invoice_id": "I-2",
        "vendor": "anthropic",
        "currency": "USD",
        "issued_on": "2026-06-02",
        "billing_period": "2026-06",
        "total": "365",
        "lines": [
            {
                "line_id": "seat",
                "description": "s",
                "category": "Purchase",
                "amount": "365",
                "for": {"subscription": "team-plan"},
            }
        ],
    },
]


def use(lake: LakeBuilder, tmp_path: Path, kind: str, entries: list[Row]) -> None:
    """Put entries into use."""
    path = tmp_path / f"{kind}.yml"
    dateless = {name: told for name, told in COMMON.items() if name != "valid_from"}
    common = dateless if kind == "vendor_invoices" else COMMON
    document = {kind: 1, "entries": [common | entry for entry in entries]}
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    load_file(path, lake.settings, now=datetime(2026, 8, 1, tzinfo=UTC))


def built(lake: LakeBuilder, now: str = "2026-07-20") -> int:
    """Build at an instant; return how many amounts were compared."""
    return build(lake.settings, clock=lambda: datetime.fromisoformat(now).replace(tzinfo=UTC)).hand_overs


@pytest.fixture(autouse=True)
def _no_reference_left(lake: LakeBuilder) -> Any:
    yield
    shutil.rmtree(lake.settings.home / "reference", ignore_errors=True)


def test_teams_are_charged_what_they_caused_and_their_share_of_the_rest(
    lake: LakeBuilder, event: Any, tmp_path: Path
) -> None:
    """Four calls of 0.001 USD and one of nobody's in June: care has one, search three.

    Gateway: 10 EUR at 1.10, 11 USD, by calls: 2.75 and 8.25. Nobody's 0.001: half each. A seat of care's, 365 a year
    from June: 30 in June and 31 in July; all of it invoiced in June. Usage of June is invoiced in July, net 0.005. In
    July nobody called, so the gateway's 11 is nobody's.
    """
    exchange = tmp_path / "rates.yml"
    exchange.write_text(
        "exchange_rates: 1\nrates:\n  - {currency: EUR, usd: '1.10', valid_from: 2026-01-01T00:00:00Z, source: bank}\n",
        encoding="utf-8",
    )
    load_file(exchange, lake.settings)
    for kind, entries in (
        ("shared_platforms", PLATFORMS),
        ("allocation_rules", RULES),
        ("subscriptions", PLANS),
        ("hierarchy", HIERARCHY),
        ("vendor_invoices", INVOICES),
    ):
        use(lake, tmp_path, kind, entries)
    nobody: Row = {"owner_team": None, "owner_cost_center": None, "owner_business_unit": None}
    care: Row = {"owner_team": "care", "owner_cost_center": None, "owner_business_unit": None}
    lake.commit(
        [
            *(event(name) for name in "abc"),
            event("d", "2026-06-20", **care),
            event("e", "2026-06-03", **nobody),
        ]
    )
    compared = built(lake)
    charged = "select billing_period_start, cost_center, team, effective_cost from finance.fct_chargeback_by_team"
    half = Decimal("0.0005")
    assert lake.query(f"{charged} order by all") == [
        # The rule for what nobody owns is of the whole month: its half is care's where care stood when it began.
        (JUNE, "CC-1", "care", Decimal(15) + half),
        (JUNE, "CC-2", "care", Decimal(15) + Decimal("2.75") + Decimal("0.001")),
        (JUNE, "cc-10", "search", Decimal("8.25") + Decimal("0.003") + half),
        (JUNE, "unallocated", "unallocated", Decimal(0)),
        (JULY, "CC-2", "care", Decimal(31)),
        (JULY, "unallocated", "unallocated", Decimal(11)),
    ]
    # Calls, tokens and list cost are those of the calls alone.
    assert lake.total() == (5, 500, 50, Decimal("0.005"))
    roll = (
        "select billing_period_start, billing_currency, billed_cost, opening_prepayments, closing_prepayments, "
        "opening_accruals, closing_accruals, effective_cost, difference from finance.fct_roll_forward order by all"
    )
    usage = Decimal("0.005")
    assert lake.query(roll) == [
        (JUNE, "EUR", 10, 0, 0, 0, 0, 10, 0),
        (JUNE, "USD", 365, 0, 335, 0, usage, 30 + usage, 0),
        (JULY, "EUR", 10, 0, 0, 0, 0, 10, 0),
        (JULY, "USD", usage, 335, 304, usage, 0, 31, 0),
    ]
    billed = (
        "select charge_kind, sum(billed_cost) from finance.fct_charges where month(billing_period_start) = 6 group by 1"
    )
    assert dict(lake.query(billed)) == {
        "usage": usage,
        "untagged_usage": Decimal("0.001"),
        "untagged_usage_moved": Decimal("-0.001"),
        "platform_cost": Decimal(11),
        "subscription_purchase": Decimal(365),
        "subscription_seats": None,
    }
    methods = (
        "select distinct charge_kind, allocated_method_id from finance.fct_charges where team = 'care' order by all"
    )
    assert lake.query(methods) == [
        ("platform_cost", "by-calls"),
        ("subscription_purchase", "seats"),
        ("subscription_seats", "seats"),
        ("untagged_usage", "nobodys"),
        ("usage", None),
    ]
    assert compared > 0
    hand_overs = (
        "select distinct hand_over from audit.fct_ledger_balance where scope_kind = 'posted_period' and difference = 0 "
        "order by all"
    )
    assert [name for (name,) in lake.query(hand_overs)] == [
        "charges_to_chargeback_by_team",
        "charges_to_chargeback_by_workflow",
        "invoices_to_charges",
        "origins_to_charges",
        "usage_charges_to_chargeback_by_team",
        "usage_charges_to_chargeback_by_workflow",
    ]


def test_a_reorganisation_that_is_told_late_places_past_usage_anew(
    lake: LakeBuilder, event: Any, tmp_path: Path
) -> None:
    """The hierarchy is loaded after June was built; no event is read again, and a full refresh comes to the same."""
    care: Row = {"owner_team": "care", "owner_cost_center": None, "owner_business_unit": None}
    lake.commit([event("a", "2026-06-10", **care), event("b", "2026-06-20", **care), event("c", "2026-07-02", **care)])
    built(lake)
    placed = "select billing_period_start, business_unit, cost_center, calls from finance.fct_charges order by all"
    assert lake.query(placed) == [
        (JUNE, "unallocated", "unallocated", 2),
        (JULY, "unallocated", "unallocated", 1),
    ]
    assert built(lake) == 0
    use(lake, tmp_path, "hierarchy", HIERARCHY)
    assert built(lake) > 0
    assert lake.query(placed) == [(JUNE, "BU", "CC-1", 1), (JUNE, "BU", "CC-2", 1), (JULY, "BU", "CC-2", 1)]
    lake.commit([event("d", "2026-06-11", **care)])
    built(lake)
    after = lake.everything()
    build(lake.settings, full_refresh=True, clock=lambda: datetime(2026, 7, 20, tzinfo=UTC))
    assert lake.everything() == after
    assert lake.query(placed)[0] == (JUNE, "BU", "CC-1", 2)


def test_what_a_contract_charges_over_a_period_is_posted_to_those_who_used_it(
    lake: LakeBuilder, event: Any, tmp_path: Path
) -> None:
    """0.01 was promised for June, 0.004 used: 0.006 is owed, by 3 calls to 1. Late usage moves the shares."""
    contract = tmp_path / "acme.yml"
    contract.write_text(
        "contract: 1\ncontract_id: acme\nprovider: openai\ncurrency: USD\nvalid_from: 2026-06-01\n"
        "valid_to: 2026-07-01\nknown_from: 2026-05-01T00:00:00Z\nauthor: a\nreason: r\nterms:\n"
        "  - {term_id: promise, spend_commitment: {amount: '0.01', per: billing_period}}\n",
        encoding="utf-8",
    )
    load_file(contract, lake.settings)
    lake.commit([*(event(name) for name in "abc"), event("d", owner_team="care")])
    built(lake)
    posted = "select team, contracted_cost, effective_cost from finance.fct_chargeback_by_team order by all"
    assert lake.query(posted) == [
        ("care", Decimal("0.001"), Decimal("0.0025")),
        ("search", Decimal("0.003"), Decimal("0.0075")),
    ]
    lake.commit([event("e", "2026-06-29", owner_team="care")])
    built(lake)
    assert lake.query(posted) == [
        ("care", Decimal("0.002"), Decimal("0.004")),
        ("search", Decimal("0.003"), Decimal("0.006")),
    ]
    rolled = "select closing_accruals, effective_cost, difference from finance.fct_roll_forward"
    assert lake.query(rolled) == [(Decimal("0.01"), Decimal("0.01"), 0)]
