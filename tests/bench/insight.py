"""What it takes to explain a year's bills: 13 months of 200 teams with 3 workflows of 5 models; prints one JSON line.

The arithmetic alone, without reading from a warehouse or writing to one: bills become arrays, then every pair of months
is explained, or only the pairs of the newest month, as after a day's new usage. Each run checks that effects sum to the
change of each bill, to the last digit.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa

from tollbook.insight.bills import CELL, DRIVERS_SCHEMA, PRICED_BUCKETS, USAGE_SCHEMA, read_bills
from tollbook.insight.price_volume_mix import Pair, every_pair, price_volume_mix
from tollbook.rating.unit_prices import TOKEN_BUCKETS, UNIT_PRICES_SCHEMA

FIRST_YEAR = 2025
SEED = 7


def amounts(pico_usd: np.ndarray) -> pa.Array:
    """Return whole pico-USD as decimals."""
    return pa.array(pico_usd).cast(pa.decimal128(38, 0)).view(pa.decimal128(38, 12))


def made_bills(months: int, teams: int, workflows: int, models: int) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Return usage, drivers and list prices of which every number is drawn; a tenth of the usage has no known price."""
    random = np.random.default_rng(SEED)
    periods = pa.array([date(FIRST_YEAR + month // 12, month % 12 + 1, 1) for month in range(months)], pa.date32())
    names = [
        pa.array([f"{what}-{n:03}" for n in range(count)]) for what, count in (("team", teams), ("flow", workflows))
    ]
    of_models = pa.array([f"model-{n}" for n in range(models)])

    at = np.indices((months, teams, workflows, models)).reshape(4, -1)
    rows = at.shape[1]
    calls = random.integers(1, 100_000, rows)
    is_priced = random.random(rows) >= 0.1
    tokens = [random.integers(0, 10_000_000, rows) for _ in TOKEN_BUCKETS]
    usage = pa.table(
        {
            "billing_period_start": periods.take(pa.array(at[0])),
            "team": names[0].take(pa.array(at[1])),
            "workflow": names[1].take(pa.array(at[2])),
            "billing_currency": pa.repeat("USD", rows),
            "provider": pa.repeat("openai", rows),
            "model": of_models.take(pa.array(at[3])),
            "service_tier": pa.repeat("default", rows),
            "calls": calls,
            "priced_calls": calls * is_priced,
            **dict(zip(TOKEN_BUCKETS, tokens, strict=True)),
            **{name: count * is_priced for name, count in zip(PRICED_BUCKETS, tokens, strict=True)},
            "effective_cost": amounts(random.integers(0, 10**15, rows) * is_priced),
        },
        schema=USAGE_SCHEMA,
    )
    at = np.indices((months, teams, workflows)).reshape(3, -1)
    cells = at.shape[1]
    drivers = pa.table(
        {
            "billing_period_start": periods.take(pa.array(at[0])),
            "team": names[0].take(pa.array(at[1])),
            "workflow": names[1].take(pa.array(at[2])),
            "billing_currency": pa.repeat("USD", cells),
            "tasks": random.integers(1, 10_000, cells),
            "calls_without_task": random.integers(0, 100, cells),
            "estimate_cost": pa.nulls(cells, pa.decimal128(38, 12)),
            "period_charge_cost": amounts(random.integers(0, 10**15, cells)),
            "correction_cost": amounts(random.integers(-(10**12), 10**12, cells)),
        },
        schema=DRIVERS_SCHEMA,
    )
    prices = [
        {
            "billing_period_start": period,
            "provider": "openai",
            "model": model,
            "service_tier": "default",
            "unit": bucket,
            "token_bucket": bucket,
            "consumed_quantity": 1,
            "unit_price_pico_usd": int(price),
        }
        for period in periods.to_pylist()
        for model in of_models.to_pylist()
        for bucket, price in zip(TOKEN_BUCKETS, random.integers(1, 10**8, len(TOKEN_BUCKETS)), strict=True)
    ]
    return usage, drivers, pa.Table.from_pylist(prices, schema=UNIT_PRICES_SCHEMA)


def is_exact(usage: pa.Table, drivers: pa.Table, effects: pa.Table, pairs: Sequence[Pair]) -> bool:
    """Return whether the effects of each pair sum to the change of each team's and workflow's bill."""
    left: dict[tuple[Pair, str, str], int] = {}

    def add(pair: Pair, row: dict[str, object], amount: int) -> None:
        place = (pair, str(row["team"]), str(row["workflow"]))
        left[place] = left.get(place, 0) + amount

    costs = [("effective_cost", usage)] + [(name, drivers) for name in drivers.column_names if name.endswith("_cost")]
    for name, table in costs:
        summed = table.group_by(["billing_period_start", *CELL]).aggregate([(name, "sum")])
        for row in summed.to_pylist():
            told = row[f"{name}_sum"]
            amount = 0 if told is None else int(told.scaleb(12))
            for pair in pairs:
                if row["billing_period_start"] in pair:
                    add(pair, row, amount if row["billing_period_start"] == pair[1] else -amount)
    for row in effects.to_pylist():
        if row["effect_cost"] is not None:
            add((row["from_period_start"], row["to_period_start"]), row, -int(row["effect_cost"].scaleb(12)))
    return not any(left.values())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--months", type=int, default=13)
    parser.add_argument("--teams", type=int, default=200)
    parser.add_argument("--workflows", type=int, default=3)
    parser.add_argument("--models", type=int, default=5)
    given = parser.parse_args()
    usage, drivers, prices = made_bills(given.months, given.teams, given.workflows, given.models)
    began = time.process_time()
    bills = read_bills(usage, drivers, prices)
    read = time.process_time() - began
    all_pairs = every_pair(bills.periods)
    steps = {"bills to arrays": {"rows": usage.num_rows, "cpu_seconds": round(read, 2), "exact": None}}
    newest = [pair for pair in all_pairs if pair[1] == bills.periods[-1]]
    for name, pairs in (("every pair", all_pairs), ("pairs of the newest month", newest)):
        began = time.process_time()
        effects = price_volume_mix(bills, pairs)
        took = time.process_time() - began
        exact = is_exact(usage, drivers, effects, pairs)
        steps[f"{name} ({len(pairs)})"] = {"rows": effects.num_rows, "cpu_seconds": round(took, 2), "exact": exact}
    print(json.dumps({"steps": steps}))


if __name__ == "__main__":
    main()
