"""Published GPU prices and MLPerf throughput: what a million output tokens costs at full load, and against an API."""

from __future__ import annotations

import csv
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pytest
from tests.pipelines.insight.path_inputs import MONTH, figure, known, offer, part, rows

from tollbook.chargeback.origins import money
from tollbook.insight.path_offers import Figure, PathOffer, Workload

FOLDER: Final = Path(__file__).parents[4] / "shared" / "data" / "gpu-prices"
LLAMA: Final = "llama2-70b-99"
SAME: Final = {"NVIDIA H200": "NVIDIA H200 141GB", "H200": "NVIDIA H200 141GB", "MI300": "AMD MI300X 192GB"}
"""Accelerators as the list of prices names them, to what MLPerf calls them."""


def lines(name: str) -> list[dict[str, str]]:
    """Return the lines of a file, or skip where it is not there."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"the published prices are not on this machine: expected ../shared/data/gpu-prices/{name}")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def offers(path: str) -> list[PathOffer]:
    """Return the instances of whole accelerators with an on-demand price on a path, by their place in the file."""
    chosen = {"hyperscaler": "hyperscaler", "neo_cloud": "neocloud"}[path]
    return [
        offer(
            f"line-{place:03}",
            path,
            instance=line["instance"],
            region=line["region"],
            accelerator=SAME.get(line["gpu"], line["gpu"]),
            accelerators=int(line["gpu_count"]),
            rented={"hourly_rate": line["on_demand_usd_per_h"]},
            source=line["source"],
        )
        for place, line in enumerate(lines("gpu_instance_prices.csv"), start=2)
        if line["path"] == chosen and line["on_demand_usd_per_h"] and line["gpu_count"].isdigit()
    ]


def figures() -> list[Figure]:
    """Return the published throughput as figures of a benchmark."""
    return [
        figure(
            f"line-{place:03}",
            line["output_tokens_per_s"],
            model=line["model"],
            accelerator=line["accelerator"],
            accelerators=int(line["accelerator_count"]),
            basis="benchmark",
            source=f"MLPerf Inference {line['round']}, {line['submitter']}, {line['scenario']}",
        )
        for place, line in enumerate(lines("mlperf_inference_v41_throughput.csv"), start=2)
    ]


def at_full_load(*chosen: PathOffer, tokens: int, cost: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a workload of output alone that costs so much at an API."""
    workloads = {"answers": Workload("answers", model=LLAMA, utilisation=Fraction(1))}
    told = known(*chosen, figures=figures(), workloads=workloads)
    return rows(told, part(input_tokens=0, output_tokens=tokens, cost=cost))


def test_eight_h200_at_listed_prices_by_hand() -> None:
    """29,228.2 tokens a second are 75,759,494,400 in June's 2,592,000 s, of which the slower scenario is taken.

    Nebius, 28.00 USD an hour: 20,160 USD, 0.266105260597 a million. AWS, 84.80: 61,056 USD, 0.805918789236. Against an
    API at 0.90 a million, 68,183.54496 USD, they pay from 29.57 % and 89.55 % of full load on.
    """
    tokens = 75_759_494_400
    found = at_full_load(*offers("hyperscaler"), *offers("neo_cloud"), tokens=tokens, cost="68183.54496")
    neo = found["neo_cloud"]
    assert (neo["instance"], neo["instances"], neo["utilisation"]) == ("gpu-h200-sxm_8gpu-128vcpu-1600gb", 1, 1)
    assert (neo["path_cost"], neo["cost_per_million_output_tokens"]) == (20_160, Decimal("0.266105260597"))
    assert neo["throughput_source"] == "MLPerf Inference v4.1, NVIDIA, Server"
    # 20,160 USD buy 22.4 G tokens at 0.90 a million.
    assert (neo["break_even_tokens"], neo["break_even_utilisation"]) == (22_400_000_000, Decimal("0.295672511774"))
    assert "full_load_benchmark" in neo["caveats"]
    aws = at_full_load(
        *(each for each in offers("hyperscaler") if each.instance_name == "p5en.48xlarge"),
        tokens=tokens,
        cost="68183.54496",
    )["hyperscaler"]
    assert (aws["path_cost"], aws["cost_per_million_output_tokens"]) == (61_056, Decimal("0.805918789236"))
    assert (aws["break_even_tokens"], aws["break_even_utilisation"]) == (67_840_000_000, Decimal("0.895465321374"))


def test_every_listed_instance_that_was_measured_costs_what_price_and_throughput_say() -> None:
    """By a calculation of its own over the files: hourly price over tokens an hour, in whole groups of accelerators."""
    measured = [line for line in lines("mlperf_inference_v41_throughput.csv") if line["model"] == LLAMA]
    checked = 0
    for each in (*offers("hyperscaler"), *offers("neo_cloud")):
        price = next(
            line
            for place, line in enumerate(lines("gpu_instance_prices.csv"), start=2)
            if f"line-{place:03}" == each.offer_id
        )
        accelerator, count = SAME.get(price["gpu"], price["gpu"]), int(price["gpu_count"])
        fitting = [
            (int(line["accelerator_count"]), Fraction(line["output_tokens_per_s"]))
            for line in measured
            if line["accelerator"] == accelerator and int(line["accelerator_count"]) <= count
        ]
        row = at_full_load(each, tokens=10**12, cost="1")[each.path]
        if not fitting:
            assert row["excluded_reason"] == "no_throughput_told"
            continue
        largest = max(devices for devices, _ in fitting)
        rate = min(speed for devices, speed in fitting if devices == largest) * (count // largest)
        instances = -(-Fraction(10**12) // (rate * MONTH))
        hourly = Fraction(price["on_demand_usd_per_h"])
        assert row["instances"] == instances
        assert row["path_cost"] == money(instances * hourly * 720)
        checked += 1
    # Eight H200 at AWS and Azure, twice each, and at Nebius, whose single ones have no figure; eight MI300X, twice.
    assert checked == 7


def test_h100_have_prices_and_no_figure() -> None:
    """MLPerf's lines have no H100: what 8 of them cost by the token is not known, and not zero."""
    chosen = [each for each in offers("hyperscaler") if each.instance_name == "p5.48xlarge"]
    assert chosen
    row = at_full_load(*chosen, tokens=1, cost="1")["hyperscaler"]
    assert (row["excluded_reason"], row["path_cost"]) == ("no_throughput_told", None)
