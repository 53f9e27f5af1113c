"""Methods of allocation, each with amounts worked by hand, and that all of them conserve what they split."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.pipelines.chargeback.conftest import Charge

Told = Callable[..., dict[str, Any]]


def gateway(told: Told, amount: str = "100.00", **more: Any) -> dict[str, Any]:
    """Return a platform that costs an amount a month."""
    costs = [{"component": "servers", "amount": amount}]
    return told("gateway", **{"platform_id": "gateway", "currency": "USD", "costs": costs, **more})


def test_even_shares_are_alike_whoever_used_more(charge: Charge, told: Told, used: Told) -> None:
    """100 for three teams: 33.33..., a millionth of a millionth more for the first."""
    rule = told("even", pool={"platform": "gateway"}, method="even")
    usage = [used("a", calls=1), used("b", calls=50), used("c", calls=7), used("unallocated", calls=900)]
    done = charge(usage, shared_platforms=[gateway(told)], allocation_rules=[rule])
    assert done.borne() == {
        "a": Decimal("33.333333333334"),
        "b": Decimal("33.333333333333"),
        "c": Decimal("33.333333333333"),
    }
    assert {line["workflow"] for line in done.lines} == {"unallocated"}
    assert {line["cost_center"] for line in done.lines} == {"cc-a", "cc-b", "cc-c"}


def test_fixed_ratios_and_a_platform_that_passes_its_share_on(charge: Charge, told: Told, used: Told) -> None:
    """100 of the gateway: 60 to a, 40 to the store. The store's own 50 and these 40 go by calls, 1 to 3."""
    platforms = [gateway(told), gateway(told, "50.00", entry_id="store", platform_id="store")]
    rules = [
        told(
            "fixed",
            pool={"platform": "gateway"},
            method="fixed",
            shares=[{"team": "a", "ratio": "0.6"}, {"platform": "store", "ratio": "0.4"}],
        ),
        told("calls", pool={"platform": "store"}, method="proportional", driver="calls"),
    ]
    usage = [used("a", calls=1), used("b", calls=3)]
    done = charge(usage, shared_platforms=platforms, allocation_rules=rules)
    assert done.borne(source_id="gateway") == {"a": Decimal(70), "b": Decimal(30)}
    assert done.borne(source_id="store") == {"a": Decimal("12.5"), "b": Decimal("37.5")}
    passed_on = [json.loads(line["allocated_method_details"]) for line in done.lines if line["team"] == "b"]
    assert [(each["through"], each["ratio"]) for each in passed_on if each["through"]] == [(["store"], "3/10")]


def test_proportional_follows_what_is_measured_where_it_is_measured(charge: Charge, told: Told, used: Told) -> None:
    """Tokens of gpt-5 alone: 1,000 and 3,000 of them; c used another model, and nobody's tokens count for nobody."""
    rule = told(
        "tokens",
        pool={"platform": "gateway"},
        method="proportional",
        driver="total_tokens",
        measured={"models": ["gpt-5"]},
    )
    usage = [
        used("a"),
        used("b", total_tokens=2000),
        used("b", total_tokens=1000, workflow="other"),
        used("c", model="o3", total_tokens=10**9),
        used("unallocated", total_tokens=10**9),
    ]
    done = charge(usage, shared_platforms=[gateway(told)], allocation_rules=[rule])
    assert done.borne() == {"a": Decimal(25), "b": Decimal(75)}
    assert done.borne(workflow="other") == {"b": Decimal(25)}


def test_tiers_weigh_what_lies_in_them(charge: Charge, told: Told, used: Told) -> None:
    """a: 100 calls weigh 100. b: 100 and half of 200, so 200. 1 to 2."""
    rule = told(
        "tiers",
        pool={"platform": "gateway"},
        method="tiered",
        driver="calls",
        tiers=[{"from": "0", "weight": "1"}, {"from": "100", "weight": "0.5"}],
    )
    usage = [used("a", calls=100), used("b", calls=225), used("b", calls=75, workflow="x")]
    done = charge(usage, shared_platforms=[gateway(told, "90.00")], allocation_rules=[rule])
    assert done.borne() == {"a": Decimal(30), "b": Decimal(60)}
    assert done.borne(workflow="x") == {"b": Decimal(15)}


def test_what_nobody_can_be_found_for_stays_in_sight(charge: Charge, told: Told, used: Told) -> None:
    """No rule, or a driver that measured nothing: `unallocated`, with the reason, and the cost is there."""
    done = charge([used("a")], shared_platforms=[gateway(told)])
    assert done.borne() == {"unallocated": Decimal(100)}
    assert done.lines[0]["allocated_method_id"] == "no rule for platform gateway"
    rule = told("gpu", pool={"platform": "gateway"}, method="proportional", driver="accelerator_seconds")
    done = charge([used("a")], shared_platforms=[gateway(told)], allocation_rules=[rule])
    assert done.borne() == {"unallocated": Decimal(100)}
    assert done.lines[0]["allocated_method_id"] == "gpu: no accelerator_seconds measured"


def test_untagged_usage_moves_to_those_who_bear_it_and_is_taken_off(charge: Charge, told: Told, used: Told) -> None:
    """3 USD that nobody owns, by list cost of 1 and 2: the usage stays at `unallocated`, where its cost is undone."""
    rule = told("untagged", pool={"usage": "untagged"}, method="proportional", driver="list_cost")
    usage = [used("a"), used("b", list_cost=Decimal(2)), used("unallocated", list_cost=Decimal(3))]
    assert charge(usage).lines == []
    done = charge(usage, allocation_rules=[rule])
    assert done.borne() == {"a": Decimal(1), "b": Decimal(2), "unallocated": Decimal(-3)}
    assert sum(row["effective_cost"] for row in done.origins) == 0


def test_a_mid_month_reorganisation_moves_a_shared_cost_by_days(charge: Charge, told: Told, used: Told) -> None:
    """30 for June: 15 days in CC-1, 15 in CC-2, and 10 on the first ten days before the rule gave half to b."""
    hierarchy = [
        told("bu", unit="business_unit", name="BU"),
        told("c1", unit="cost_center", name="CC-1", parent="BU"),
        told("c2", unit="cost_center", name="CC-2", parent="BU"),
        told("b", unit="team", name="b", parent="CC-1"),
        told("a1", unit="team", name="a", parent="CC-1", valid_to="2026-06-16"),
        told("a2", unit="team", name="a", parent="CC-2", valid_from="2026-06-16"),
    ]
    rules = [
        told(
            "one",
            pool={"platform": "gateway"},
            method="fixed",
            shares=[{"team": "a", "ratio": "1"}],
            valid_to="2026-06-11",
        ),
        told("two", pool={"platform": "gateway"}, method="even", receivers=["a", "b"], valid_from="2026-06-11"),
    ]
    done = charge([used("a")], shared_platforms=[gateway(told, "30.00")], allocation_rules=rules, hierarchy=hierarchy)
    assert {
        (line["first"], line["team"], line["cost_center"]): line["effective_cost"] for line in _dated(done.lines)
    } == {
        (1, "a", "CC-1"): Decimal(10),
        (11, "a", "CC-1"): Decimal("2.5"),
        (11, "b", "CC-1"): Decimal("2.5"),
        (16, "a", "CC-2"): Decimal("7.5"),
        (16, "b", "CC-1"): Decimal("7.5"),
    }
    assert {line["business_unit"] for line in done.lines} == {"BU"}


def _dated(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**line, "first": line["charge_period_start"].day} for line in lines]


PERIOD = {
    "billing_period_first_date": date(2026, 6, 1),
    "billing_period_end_date": date(2026, 7, 1),
    "charge_period_start": datetime(2026, 6, 1, tzinfo=UTC),
    "charge_period_end": datetime(2026, 7, 1, tzinfo=UTC),
    "corrects_period_first_date": None,
    **dict.fromkeys(("charge_class", "model", "consumed_quantity", "consumed_unit")),
}


def commitment(name: str, cost: str | None, **more: Any) -> dict[str, Any]:
    """Return a charge of rating as the second pass has it."""
    amount = None if cost is None else Decimal(cost)
    told = {
        "charge_id": name,
        "charge_category": "Usage",
        "charge_frequency": "One-Time",
        "charge_kind": "commitment_shortfall",
        "charge_description": "d",
        "contract_id": "openai-2026",
        "term_id": "promise",
        "provider": "openai",
        "list_cost": None,
        "contracted_cost": amount,
        "effective_cost": amount,
    }
    return PERIOD | told | more


def test_what_a_contract_charges_goes_to_the_usage_of_its_provider(charge: Charge, told: Told, used: Told) -> None:
    """A shortfall of 9 by contracted cost of 1 and 2; another provider's usage bears nothing, a rule would decide."""
    usage = [used("a"), used("b", contracted_cost=Decimal(2)), used("c", provider="anthropic")]
    charges = [commitment("one", "9"), commitment("unknown", None), commitment("elsewhere", "4", provider="mistral")]
    done = charge(usage, period_charges=charges)
    assert done.borne(origin_charge_id="one") == {"a": Decimal(3), "b": Decimal(6)}
    assert done.borne(origin_charge_id="elsewhere") == {"unallocated": Decimal(4)}
    unknown = [line for line in done.lines if line["origin_charge_id"] == "unknown"]
    assert [(line["team"], line["effective_cost"]) for line in unknown] == [("a", None), ("b", None)]
    rule = told("flat", pool={"contract": "openai-2026"}, method="even", receivers=["c"])
    assert charge(usage, period_charges=charges[:1], allocation_rules=[rule]).borne() == {"c": Decimal(9)}


def test_what_falls_on_usage_that_nobody_owns_goes_to_those_who_bear_it(charge: Charge, told: Told, used: Told) -> None:
    """Of 9 by contracted cost of 1 and 2, 6 fall on nobody's usage, which b and c bear by halves."""
    usage = [used("a"), used("unallocated", contracted_cost=Decimal(2))]
    rule = told("halves", pool={"usage": "untagged"}, method="even", receivers=["b", "c"])
    short = [commitment("one", "9")]
    done = charge(usage, period_charges=short, allocation_rules=[rule])
    assert done.borne(origin_charge_id="one") == {"a": Decimal(3), "b": Decimal(3), "c": Decimal(3)}
    assert {line["allocated_method_id"] for line in done.lines if line["origin_charge_id"] == "one"} == {
        "usage of the provider, untagged by halves"
    }
    # Without a rule it stays where it is seen.
    assert charge(usage, period_charges=short).borne() == {"a": Decimal(3), "unallocated": Decimal(6)}


def test_the_list_cost_of_a_fee_is_its_price(charge: Charge, used: Told) -> None:
    """It has no other; zero stays zero where the list cost is the usage's, and what is not known stays so."""
    told_costs = [commitment("fee", "9"), commitment("tier", "-1", list_cost=Decimal(0)), commitment("unknown", None)]
    lines = charge([used("a")], period_charges=told_costs).lines
    assert {line["origin_charge_id"]: line["list_cost"] for line in lines} == {
        "fee": Decimal(9),
        "tier": Decimal(0),
        "unknown": None,
    }


COSTS = ("list_cost", "contracted_cost", "effective_cost", "pricing_currency_contracted_cost")
METHODS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"method": "even"},
        {"method": "proportional", "driver": "calls"},
        {"method": "proportional", "driver": "contracted_cost"},
        {
            "method": "tiered",
            "driver": "total_tokens",
            "tiers": [{"from": "0", "weight": "3"}, {"from": "7", "weight": "0.1"}],
        },
        {
            "method": "fixed",
            "shares": [{"team": "t1", "ratio": "0.333333333333"}, {"platform": "b", "ratio": "0.666666666667"}],
        },
    ]
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    amounts=st.lists(st.decimals(0, 10**6, places=12), min_size=2, max_size=2),
    methods=st.tuples(METHODS, METHODS.filter(lambda method: method["method"] != "fixed")),
    counts=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 10**9), st.integers(0, 10**15)), max_size=12),
    currency=st.sampled_from(["USD", "EUR"]),
    day=st.integers(1, 30),
)
def test_lines_sum_to_their_origin_in_every_cost(
    charge: Charge,
    told: Told,
    used: Told,
    amounts: list[Decimal],
    methods: tuple[dict[str, Any], dict[str, Any]],
    counts: list[tuple[int, int, int]],
    currency: str,
    day: int,
) -> None:
    """Whatever the reference data and the usage: allocation neither loses nor makes a millionth of a millionth."""
    usage = [
        used(
            f"t{team}", calls=count, total_tokens=count, contracted_cost=Decimal(pico).scaleb(-12), workflow=f"w{place}"
        )
        for place, (team, count, pico) in enumerate(counts)
    ]
    platforms = [
        gateway(
            told, f"{amount:f}", entry_id=name, platform_id=name, currency=currency, valid_from=f"2026-06-{day:02d}"
        )
        for name, amount in zip("ab", amounts, strict=True)
    ]
    rules = [
        told(f"rule-{name}", pool={"platform": name}, **method) for name, method in zip("ab", methods, strict=True)
    ]
    done = charge(usage, shared_platforms=platforms, allocation_rules=rules)
    assert len(done.origins) == 2
    for origin in done.origins:
        mine = [line for line in done.lines if line["origin_charge_id"] == origin["charge_id"]]
        for cost in COSTS:
            assert sum(line[cost] for line in mine) == origin[cost]
    assert len({line["charge_id"] for line in done.lines}) == len(done.lines)
