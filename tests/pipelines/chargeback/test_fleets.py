"""Own and rented accelerators: cost by measured use, and idle capacity as a line of its own (pitfall 21)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.pipelines.chargeback.conftest import Charge

Told = Callable[..., dict[str, Any]]
# Four devices for the 720 hours of June.
CAPACITY = 4 * 720 * 3600


def rack(told: Told, **more: Any) -> dict[str, Any]:
    """Return four devices that were bought in January 2026 and run for a year: 73 a month of 31 days or so."""
    owned = {
        "purchase_price": "800.00",
        "purchased_on": "2026-01-01",
        "useful_life_months": 12,
        "residual_value": "70.00",
    }
    common = {
        "fleet_id": "rack",
        "currency": "USD",
        "devices": 4,
        "owned": owned,
        "running": [{"component": "power", "amount": "60.00"}],
        "serves": {"inference_paths": ["on_prem"]},
        "measure": "accelerator_seconds",
        "valid_from": "2026-06-01",
    }
    return told("rack", **common | more)


def busy(used: Told, team: str, seconds: int, **more: Any) -> dict[str, Any]:
    """Return usage that ran on own hardware for some accelerator seconds, for 1 USD by the internal rate."""
    return used(team, provider="house", inference_path="on_prem", accelerator_seconds=Decimal(seconds), **more)


def test_cost_goes_by_measured_use_and_idle_stands_alone(charge: Charge, told: Told, used: Told) -> None:
    """A quarter was used, 1 to 2. 730 over 365 days are 60 in June, 60 of power: 30 used, 90 idle."""
    usage = [busy(used, "a", CAPACITY // 12), busy(used, "b", CAPACITY // 6), used("c")]
    done = charge(usage, fleets=[rack(told)])
    assert done.borne(charge_kind="fleet_used") == {"a": Decimal(10), "b": Decimal(20)}
    assert done.borne(charge_kind="fleet_idle") == {"unallocated": Decimal(90)}
    assert done.borne(charge_component="power") == {"a": Decimal(5), "b": Decimal(10), "unallocated": Decimal(45)}
    assert done.borne(charge_kind="fleet_internal_rate") == {"a": Decimal(-1), "b": Decimal(-1)}
    # Neither the usage nor what takes it off is invoiced or billed by the house itself: nothing of it stays accrued.
    assert {row["billed_by"] for row in done.origins if row["charge_kind"] == "fleet_internal_rate"} == {"house"}
    # Bought once, in January: payable then, and used up since.
    assert done.charged("contracted_cost")[1, 1, "fleet_purchase", "purchase"] == Decimal(800)
    assert done.charged("effective_cost")[1, 1, "fleet_purchase", "purchase"] == Decimal(0)


def test_a_fleet_that_nobody_used_is_all_idle_and_a_full_one_has_none(charge: Charge, told: Told, used: Told) -> None:
    """Neither divides by nothing, and what was measured above the capacity is no more than all of it."""
    idle = charge(fleets=[rack(told)])
    assert idle.borne(charge_kind="fleet_used") == {}
    assert idle.borne(charge_kind="fleet_idle") == {"unallocated": Decimal(120)}
    full = charge([busy(used, "a", 2 * CAPACITY)], fleets=[rack(told)])
    assert full.borne(charge_kind="fleet_used") == {"a": Decimal(120)}
    assert full.borne(charge_kind="fleet_idle") == {}


def test_a_rented_fleet_costs_by_the_hour_and_may_be_measured_in_tokens(charge: Charge, told: Told, used: Told) -> None:
    """2 devices for 15 days are 720 hours at 0.50: 360. 3,000 of 6,000 tokens: half the month is half of 12,000."""
    rented = rack(
        told,
        devices=2,
        rented={"hourly_rate": "0.50", "vendor": "cloud"},
        running=[],
        serves={"models": ["llama"]},
        measure="tokens",
        capacity_tokens=12000,
        idle_team="owner",
        valid_from="2026-06-16",
    )
    del rented["owned"]
    done = charge([used("a", model="llama", total_tokens=3000, provider="cloud")], fleets=[rented])
    assert done.borne(charge_component="rent") == {"a": Decimal(180), "owner": Decimal(180)}
    assert {row["billed_by"] for row in done.origins if row["charge_component"] == "rent"} == {"cloud"}


def test_idle_capacity_can_be_allocated_by_a_rule(charge: Charge, told: Told, used: Told) -> None:
    """The rule is for the idle part alone; what was used stays with those who used it."""
    rule = told("idle", pool={"idle": "rack"}, method="even", receivers=["x", "y"])
    done = charge([busy(used, "a", CAPACITY // 4)], fleets=[rack(told)], allocation_rules=[rule])
    assert done.borne(charge_kind="fleet_used") == {"a": Decimal(30)}
    assert done.borne(charge_kind="fleet_idle") == {"x": Decimal(45), "y": Decimal(45)}


def test_amortisation_ends_with_the_useful_life(charge: Charge, told: Told) -> None:
    """730 in all over 2026; in 2027 power alone is left, and what is left of the rack is 70."""
    late = rack(told, valid_from="2026-01-01")
    done = charge(fleets=[late], now=datetime(2027, 2, 15, tzinfo=UTC))
    amortised = [row for row in done.origins if row["charge_component"] == "amortisation"]
    assert sum(row["effective_cost"] for row in amortised) == Decimal(730)
    assert max(row["billing_period_start"].month for row in amortised) == 12
    assert done.charged()[1, 1, "fleet_idle", "power"] == Decimal(60)


def test_a_fleet_that_grows_in_a_month_is_measured_by_both(charge: Charge, told: Told, used: Told) -> None:
    """4 devices for 15 days and 8 for 15: three halves of the capacity, of which a quarter was used in all."""
    grown = [
        rack(told, valid_to="2026-06-16"),
        rack(told, devices=8, valid_from="2026-06-16") | {"entry_id": "rack-8"},
    ]
    done = charge([busy(used, "a", CAPACITY * 3 // 8)], fleets=grown)
    assert done.borne(charge_component="power") == {"a": Decimal(15), "unallocated": Decimal(45)}
    assert [row["charge_kind"] for row in done.origins].count("fleet_purchase") == 1
