"""Decode records in a process of its own and tell the most memory that it took.

Arrow's peak is that of a whole process, whatever ran there before included. Reads pickled records, each a pair of value
and headers, and the limit `MAX_UNPACKED_AT_ONCE` or None from stdin; writes a pickled dict to stdout.
"""

from __future__ import annotations

import pickle
import sys
import tracemalloc
from datetime import UTC, datetime

import pyarrow as pa

from tollbook.formats import route


def main() -> None:
    """Decode what stdin holds."""
    records, at_once = pickle.load(sys.stdin.buffer)  # noqa: S301  # written by the test that starts this process
    if at_once is not None:
        vars(route)["MAX_UNPACKED_AT_ONCE"] = at_once
    values = pa.array([value for value, _ in records], pa.binary())
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    tracemalloc.start()
    decoded = route.RecordRouter().decode(
        values, "native", now=datetime(2026, 11, 24, tzinfo=UTC), headers=[headers for _, headers in records]
    )
    peak = tracemalloc.get_traced_memory()[1] + pool.max_memory() - before
    told = {
        "event_ids": decoded.events.column("event_id").to_pylist(),
        "rows": decoded.rows.tolist(),
        "rejected": [(each.error.message, each.value, each.value_state) for each in decoded.rejected],
        "peak_mib": peak / 1024**2,
    }
    sys.stdout.buffer.write(pickle.dumps(told))


if __name__ == "__main__":
    main()
