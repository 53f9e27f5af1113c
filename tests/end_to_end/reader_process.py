"""A reader of a book: asks the published file and reads the lake by snapshot, again and again, until stdin ends.

    python reader_process.py HOME

Then it writes one JSON object to stdout: the totals that it saw of each published version, how many snapshots of the
lake it read, and every fault that it met.
"""

from __future__ import annotations

import json
import select
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from tollbook.lake.layout import USAGE
from tollbook.lake.snapshot import load_snapshot

_PAUSE_SECONDS = 0.02
_MARTS = (
    "finance.fct_chargeback_by_team",
    "finance.fct_chargeback_by_workflow",
    "engineering.fct_usage_daily",
)
_SUMS = "sum(calls)::bigint, sum(input_tokens)::bigint, sum(output_tokens)::bigint, sum(list_cost)::varchar"


def read_published(serve: Path) -> tuple[Any, ...] | None:
    """Return version and totals of the published file, None where none is yet; its marts must agree."""
    link = serve / "tollbook.duckdb"
    if not link.exists():
        return None
    with duckdb.connect(link.resolve(), read_only=True) as connection:
        found = {connection.execute(f"select {_SUMS} from {mart}").fetchone() for mart in _MARTS}
        unequal = connection.execute("select count(*) from audit.fct_ledger_balance where difference <> 0").fetchone()
        commit = connection.execute("select built_commit from audit.publication").fetchone()
    if len(found) != 1 or unequal != (0,):
        raise AssertionError(f"expected marts that agree, got {found}, and {unequal} hand-overs that do not balance")
    return (*(commit or ()), *(found.pop() or ()))


def read_lake(lake: Path) -> bool:
    """Read every usage file of the newest snapshot; its rows must be those that its manifest counts."""
    snapshot = load_snapshot(lake)
    if snapshot is None:
        return False
    totals = [total for each in snapshot.manifest.totals.values() for total in each.values()]
    told = (sum(total.usage_rows for total in totals), sum(total.input_tokens for total in totals))
    rows = tokens = 0
    for file in snapshot.of(USAGE):
        table = pq.read_table(lake / file.entry.path, columns=["input_tokens"], partitioning=None)
        rows += table.num_rows
        tokens += sum(count or 0 for count in table["input_tokens"].to_pylist())
    if (rows, tokens) != told:
        raise AssertionError(f"expected commit {snapshot.manifest.commit} to have {told}, read {(rows, tokens)}")
    return True


def main(home: Path) -> None:
    """Read until stdin ends."""
    published: set[tuple[Any, ...]] = set()
    faults: list[str] = []
    snapshots = 0
    sys.stdout.write("reading\n")
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], _PAUSE_SECONDS)[0]:
        try:
            seen = read_published(home / "serve")
            if seen is not None:
                published.add(seen)
            snapshots += read_lake(home / "lake")
        except Exception as fault:  # noqa: BLE001 - whatever a reader meets is the finding
            faults.append(f"{type(fault).__name__}: {fault}")
    sys.stdout.write(json.dumps({"published": sorted(published), "snapshots": snapshots, "faults": faults}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
