"""What compaction makes of a lake: bytes an event before and after, CPU and memory. The lake itself is not touched.

Run: `python tests/bench/compaction.py .bench/home-run/lake [--without trace_id,request_id,streamed,tags]`. The fields
left out are those that the peers of the benchmark do not keep.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tollbook.lake.compaction import compact
from tollbook.lake.manifest import commit, commits_after
from tollbook.lake.parquet import write_parquet

LATER = datetime(9999, 1, 1, tzinfo=UTC)


def copy_usage(source: Path, target: Path, without: list[str]) -> tuple[int, int]:
    """Commit the usage of a lake to another one, some fields made null; return its rows and bytes."""
    rows = size = 0
    for manifest in commits_after(source, 0):
        entries = []
        for entry in manifest.files:
            if entry.table == "usage" and (source / entry.path).exists():
                with pq.ParquetFile(source / entry.path) as file:
                    table = file.read()
                for name in without:
                    field = table.schema.field(name)
                    place = table.schema.get_field_index(name)
                    table = table.set_column(place, field, pa.nulls(table.num_rows, field.type))
                written = write_parquet(target, entry.path, table)
                entries.append(msgspec.structs.replace(entry, bytes=written))
                rows, size = rows + entry.rows, size + written
        commit(target, msgspec.structs.replace(manifest, files=entries, removed=[]))
    return rows, size


def main() -> None:
    """Print what was measured as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lake", type=Path)
    parser.add_argument("--without", default="", help="fields to leave out, with commas")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        rows, size = copy_usage(arguments.lake, lake, [name for name in arguments.without.split(",") if name])
        begun, cpu = time.monotonic(), time.process_time()
        done = compact(lake, until=LATER, clock=lambda: LATER)
        print(
            json.dumps(
                {
                    "events": rows,
                    "files_before": done.files_before,
                    "files_after": done.files_after,
                    "bytes_per_event_before": round(size / rows, 1),
                    "bytes_per_event_after": round((done.bytes_after or 0) / done.rows, 1),
                    "seconds": round(time.monotonic() - begun, 1),
                    "cpu_seconds": round(time.process_time() - cpu, 1),
                    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                },
                indent=2,
            )
        )


if __name__ == "__main__":
    main()
