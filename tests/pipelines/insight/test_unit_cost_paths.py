"""What workloads would cost on other paths, worked by hand, and why one has no cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from tests.pipelines.insight.path_inputs import JUNE, MONTH, figure, known, offer, part, rows

from tollbook.insight.path_offers import Assumptions, Paths, Residency, Workload
from tollbook.insight.path_usage import USAGE_SCHEMA
from tollbook.insight.unit_cost_paths import unit_cost_paths

HOUR = {"rented": {"hourly_rate": "1"}}
ANSWERS = Workload("answers", model="open-m", utilisation=Fraction(1))


def test_an_instance_is_held_against_the_price_of_an_api() -> None:
    """1,296,000 output tokens at 1 a second need half of June, at half use one instance: 720 hours at 1 USD.

    The API is 1,440 USD for 2,592,000 tokens: 720 buy 1,296,000 of them, which need a quarter of the month.
    """
    workload = {"answers": replace(ANSWERS, utilisation=Fraction(1, 2))}
    told = known(offer("neo", "neo_cloud", **HOUR), workloads=workload)
    found = rows(told, part(cost="1440", input_tokens=1_296_000, output_tokens=1_296_000))
    neo = found["neo_cloud"]
    assert (neo["path_cost"], neo["instances"], neo["accelerators"], neo["utilisation"]) == (720, 1, 1, Decimal("0.5"))
    assert neo["cost_per_million_output_tokens"] == Decimal("555.555555555556")
    assert (neo["cost_per_task"], neo["is_cheapest"], found["model_api"]["is_cheapest"]) == (180, True, False)
    assert (neo["break_even_tokens"], neo["break_even_utilisation"]) == (1_296_000, Decimal("0.25"))
    assert found["model_api"]["path_cost"] == 1_440
    # One token more needs a second instance.
    more = rows(told, part(cost="1440", input_tokens=0, output_tokens=1_296_001))["neo_cloud"]
    assert (more["instances"], more["path_cost"]) == (2, 1_440)


def test_prompts_need_time_where_a_rate_of_input_is_told() -> None:
    """900 of 1,000 input tokens are new, at 100 a second 9 s; 400 of output at 10 are 40 s; two groups do it in half.

    Without the rate only output counts, and the row says so.
    """
    pair = offer("pair", "neo_cloud", accelerators=5, **HOUR)
    usage = part(input_tokens=1_000, cache_read_tokens=100, output_tokens=400)
    fast = figure("fast", "10", accelerators=2, input_tokens_per_second="100")
    row = rows(known(pair, figures=[fast, figure("one", "99")]), usage)["neo_cloud"]
    assert row["utilisation"] == Decimal("0.000009452160")  # 24.5 of 2,592,000 s
    assert (row["figure_id"], row["output_tokens_per_second"], row["caveats"]) == ("fast", 20, "another_model")
    bare = rows(known(pair, figures=[figure("fast", "10", accelerators=2)]), usage)["neo_cloud"]
    assert bare["utilisation"] == Decimal("0.000007716049")  # 20 s
    assert bare["caveats"] == "another_model, prompts_not_counted"


def test_the_best_basis_is_taken_and_of_equals_the_slowest() -> None:
    """A benchmark is an upper bound, so what was measured goes first; one of more accelerators tells nothing."""
    figures = [
        figure("guess", "1", basis="estimate"),
        figure("offline", "9", basis="benchmark"),
        figure("server", "8", basis="benchmark"),
        figure("eight", "99", accelerators=8),
    ]
    neo = offer("neo", "neo_cloud", **HOUR)
    row = rows(known(neo, figures=figures))["neo_cloud"]
    assert (row["figure_id"], row["throughput_basis"]) == ("server", "benchmark")
    assert row["caveats"] == "another_model, full_load_benchmark, prompts_not_counted"
    row = rows(known(neo, figures=[*figures, figure("own", "2")]))["neo_cloud"]
    assert (row["figure_id"], row["throughput_basis"]) == ("own", "measured")


def test_hardware_pays_back_lives_and_competes_with_falling_prices() -> None:
    """3,600 USD less 720 over 24 months and 80 a month are 200 a month; the API is 2 USD for 1,000 tokens.

    Break-even at 100,000 tokens. At half the price twice as many. Over two years the price is 1 and then a half, three
    quarters on average: 133,334. With a life of 12 months it is 320 a month, 160,000 tokens. 500,000 tokens are 1,000
    USD at the API: 920 a month saved, 4 months to 3,600.
    """
    owned: dict[str, Any] = {"purchase_price": "3600", "residual_value": "720", "useful_life_months": 24}
    owned["running"] = [{"component": "power", "amount": "80"}]
    assumed = Assumptions(api_price_decline=Fraction(1, 2), life_months=12)
    told = known(offer("server", "on_prem", owned=owned), assumptions=assumed)
    row = rows(told, part(cost="1000", input_tokens=300_000, output_tokens=200_000))["on_prem"]
    assert (row["path_cost"], row["instance_cost"], row["other_life_cost"]) == (200, 200, 320)
    assert row["break_even_tokens"] == 100_000
    assert row["break_even_tokens_in_a_year"] == 200_000
    assert row["break_even_tokens_over_life"] == 133_334
    assert row["break_even_tokens_at_other_life"] == 160_000
    assert row["payback_months"] == 4
    # 100,000 tokens are 40,000 of output, 40,000 of 2,592,000 s.
    assert row["break_even_utilisation"] == Decimal("0.015432098765")
    assert row["break_even_utilisation_in_a_year"] == Decimal("0.030864197531")
    assert row["break_even_utilisation_over_life"] == Decimal("0.020576131687")
    assert row["break_even_utilisation_at_other_life"] == Decimal("0.024691358025")


def test_what_never_pays_says_so() -> None:
    """An API of 0.000001 USD a token: a month of 720 USD would have to serve 720 M, with 288 M s of 2.592 M."""
    row = rows(known(offer("neo", "neo_cloud", **HOUR)), part(cost="0.001"))["neo_cloud"]
    assert (row["break_even_tokens"], row["break_even_reason"]) == (None, "never")
    assert row["break_even_utilisation"] == Decimal("111.111111111111")
    free = rows(known(offer("neo", "neo_cloud", **HOUR)), part(cost="0"))["neo_cloud"]
    assert (free["break_even_utilisation"], free["break_even_reason"]) == (None, "never")


def test_tokens_have_prices_on_any_path() -> None:
    """600 input of which 100 are read and 50 written, 400 output: 450 x 1 + 100 x 0.1 + 50 x 1 + 400 x 4 a million."""
    metered = {"model": "open-m", "input": "1", "cache_read": "0.1", "output": "4"}
    other = offer("other", "hyperscaler", metered={"model": "gpt-4", "input": "0", "output": "0"})
    told = known(offer("hosted", "hyperscaler", metered=metered), other)
    found = rows(told, part(cache_read_tokens=100, cache_write_tokens=50))
    hosted = found["hyperscaler"]
    assert (hosted["path_cost"], hosted["offer_id"], hosted["cost_kind"]) == (Decimal("0.00211"), "hosted", "metered")
    assert (hosted["break_even_reason"], found["model_api"]["break_even_reason"]) == (
        "no_fixed_cost",
        "is_the_model_api",
    )
    assert rows(known(other))["hyperscaler"]["excluded_reason"] == "other_model"


def test_a_fleet_costs_what_it_costs_used_and_idle() -> None:
    """Three of four devices for 1,000 USD are 750. 8 M s of one are 2.67 M of three, two instances; there is one."""
    told = known(offer("rack", "on_prem", fleet="rack", accelerators=3, fleet_cost=(Fraction(1000), Fraction(4))))
    row = rows(told, part(input_tokens=0, output_tokens=8_000_000))["on_prem"]
    assert (row["instance_cost"], row["instances"], row["path_cost"]) == (750, 2, 1_500)
    assert row["caveats"] == "another_model, prompts_not_counted, beyond_the_fleet"
    assert rows(known(offer("rack", "on_prem", fleet="rack")))["on_prem"]["excluded_reason"] == "no_fleet_cost"


def test_usage_of_half_a_month_is_held_against_half_of_its_cost() -> None:
    """15 days of 720 USD are 360; break-even is told for a whole month."""
    told = known(offer("neo", "neo_cloud", **HOUR), covered_seconds=MONTH / 2)
    row = rows(told, part(cost="720", input_tokens=0, output_tokens=1_296_000))["neo_cloud"]
    assert (row["path_cost"], row["utilisation"], row["covered_hours"]) == (360, 1, 360)
    assert row["break_even_tokens"] == 1_296_000
    assert row["caveats"] == "another_model, prompts_not_counted, part_of_the_period"


def test_tokens_without_a_price_cost_as_the_others_do_and_are_told() -> None:
    """2 USD for 1,000 tokens, 3,000 more unknown: 8 USD; calls that tell no path and have a price are of an API."""
    found = rows(known(), part(inference_path="unknown"), part(cost=None, input_tokens=2_600))
    api = found["model_api"]
    assert (api["path_cost"], api["observed_cost"], api["observed_tokens"]) == (8, 2, 4_000)
    assert api["caveats"] == "unpriced_tokens, path_not_told"
    assert list(found) == ["model_api", "hyperscaler", "neo_cloud", "on_prem"]
    # One without a price may have run anywhere.
    unknown = rows(known(), part(inference_path="unknown", cost=None))["unknown"]
    assert (unknown["observed_tokens"], unknown["path_cost"], unknown["excluded_reason"]) == (
        1_000,
        None,
        "no_known_cost",
    )


def test_usage_of_a_fleet_has_no_price_by_the_token() -> None:
    """An internal rate is not what a neo-cloud costs; the fleet's cost stands in its place."""
    served = known(served=[{"inference_paths": ["neo_cloud"], "models": ["open-m"]}])
    own = part(inference_path="neo_cloud", model="open-m")
    assert rows(served, own)["neo_cloud"]["excluded_reason"] == "no_offer"
    assert rows(known(), own)["neo_cloud"]["path_cost"] == 2
    timed = part(inference_path="neo_cloud", accelerator_type="A100", accelerator_seconds=Decimal(5))
    assert rows(known(), timed)["neo_cloud"]["excluded_reason"] == "no_offer"


NEO = offer("neo", "neo_cloud", region="eu-1", **HOUR)
EXCLUDED = {
    "no_offer": (known(), {}),
    "residency": (known(NEO, rules=[Residency("personal", frozenset({"on_prem"}))]), {"data_class": "personal"}),
    "no_region_told": (
        known(offer("neo", "neo_cloud", **HOUR), rules=[Residency("personal", None, ("eu-*",))]),
        {"data_class": "personal"},
    ),
    "no_exchange_rate": (known(offer("neo", "neo_cloud", usd=None, **HOUR)), {}),
    "model_not_servable": (known(NEO, workloads={"answers": replace(ANSWERS, hostable=False)}), {}),
    "no_model_told": (known(NEO, workloads={}), {}),
    "no_throughput_told": (known(NEO, figures=[figure("other", "1", accelerator="H100")]), {}),
    "no_utilisation_told": (known(NEO, workloads={"answers": Workload("answers", model="open-m")}), {}),
    "no_tokens": (known(NEO), {"input_tokens": 0, "output_tokens": 0}),
}


@pytest.mark.parametrize(("paths", "usage"), EXCLUDED.values(), ids=EXCLUDED)
def test_what_is_unknown_has_a_reason_and_no_cost(
    request: pytest.FixtureRequest, paths: Paths, usage: dict[str, Any]
) -> None:
    """A path without a cost would be the cheapest of all, if that were zero."""
    row = rows(paths, part(**usage))["neo_cloud"]
    assert row["excluded_reason"] == request.node.callspec.id
    assert [row[name] for name in ("path_cost", "cost_per_million_tokens", "instances", "break_even_tokens")] == [
        None
    ] * 4
    assert row["is_cheapest"] is False


def test_regions_are_held_against_rules_by_name_or_beginning() -> None:
    """The cheaper offer lies elsewhere; of the API no call has told where it ran."""
    rule = Residency("personal", None, ("eu-*", "own"))
    offers = (offer("us", "neo_cloud", region="us-eu-1", rented={"hourly_rate": "0.1"}), NEO)
    personal, harmless = part(data_class="personal"), part(data_class="public")
    found = rows(known(*offers, rules=[rule]), harmless, personal)
    assert found["neo_cloud"]["offer_id"] == "neo"
    assert found["model_api"]["excluded_reason"] == "no_region_told"
    assert rows(known(*offers, rules=[rule]), harmless)["neo_cloud"]["offer_id"] == "us"
    inside = rows(known(rules=[rule]), {**personal, "region": "eu-west"})["model_api"]
    assert (inside["path_cost"], inside["excluded_reason"]) == (2, None)


def test_workflows_of_a_workload_are_one_and_others_stand_alone() -> None:
    """Tasks and tokens add up; a workflow that nobody placed has its own name and the reasons why not."""
    told = known(NEO, workloads={"answers": ANSWERS, "mails": ANSWERS})
    table = pa.Table.from_pylist([part(), part("mails"), part("other")], schema=USAGE_SCHEMA)
    tasks = {(JUNE, "answers"): 1, (JUNE, "mails"): 2}
    found = unit_cost_paths(table, tasks, {JUNE: told}).to_pylist()
    assert [(row["workload"], row["workflows"], row["total_tokens"], row["tasks"]) for row in found[::4]] == [
        ("answers", 2, 2_000, 3),
        ("other", 1, 1_000, 0),
    ]
    assert {row["excluded_reason"] for row in found[5:]} == {"no_offer", "no_model_told"}
    assert found[4]["cost_per_task"] is None


def test_an_old_price_is_told() -> None:
    """Prices of accelerators do not stand still for a year."""
    for read, is_old in (("2025-05-31", True), ("2025-06-01", False)):
        row = rows(known(offer("neo", "neo_cloud", observed_on=read, **HOUR)))["neo_cloud"]
        assert ("price_over_a_year_old" in row["caveats"]) is is_old
        assert row["price_observed_on"] == date.fromisoformat(read)
