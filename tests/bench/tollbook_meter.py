"""One measured run of Tollbook's meter: Kafka to priced, attributed, aggregated, committed Parquet."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import workload

from tollbook.reference.owners import owners_of
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, run_meter


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run the meter once on a fresh lake and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    arguments = parser.parse_args()
    settings = Settings(home=arguments.home.absolute(), bootstrap_servers=arguments.bootstrap_servers)
    workload.write_owners(settings.owners)
    # Prices and owners are loaded before the clock starts, as the peers' are.
    workload.book()
    owners_of(settings.owners)
    wall, cpu = time.perf_counter(), _cpu_seconds()
    outcome = run_meter(MeterOptions(settings=settings, topics=(arguments.topic,), load_book=workload.book))
    wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
    measured = {
        "events": outcome.read,
        "wall_s": round(wall, 3),
        "cpu_s": round(cpu, 3),
        "events_per_cpu_s": int(outcome.read / cpu),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(measured | totals(settings.lake)))


def totals(lake: Path) -> dict[str, object]:
    """Return what the lake holds, each call once, to be held against the workload's truth."""
    import duckdb

    files = f"read_parquet('{lake}/usage/*/*.parquet')"
    once = f"(select distinct on (source, event_id) * from {files})"
    found = duckdb.sql(
        "select count(*), sum(input_tokens + output_tokens)::bigint, "
        "(sum(list_cost) * 1000000000000)::hugeint::varchar, "
        f"count(*) filter (owner_team is not null) from {once}"
    ).fetchone()
    if found is None:
        raise RuntimeError("the lake holds nothing")
    size = sum(path.stat().st_size for path in lake.glob("usage/*/*.parquet"))
    told = duckdb.sql(f"select count(*) from {files}").fetchone()
    return {
        "unique": found[0],
        "tokens": found[1],
        "cost_pico_usd": int(found[2]),
        "owned": found[3],
        "bytes_per_event": round(size / told[0], 1) if told else None,
    }


if __name__ == "__main__":
    main()
