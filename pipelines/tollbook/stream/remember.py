"""Remembering what was counted before the meter began: from the newest files of the lake, by the same rule."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from tollbook.contracts import usage_record_schema
from tollbook.lake.layout import USAGE
from tollbook.lake.merge import USAGE_VERSION
from tollbook.lake.remote import fetch
from tollbook.lake.snapshot import load_snapshot
from tollbook.stream.call_memory import CallMemory
from tollbook.stream.repeats import READ, count_calls

REMEMBERED_TELLINGS = 500_000
_MOST_FILES = 4_096
_BATCH_ROWS = 65_536


def remember_lately(lake: Path, memory: CallMemory, *, tellings: int = REMEMBERED_TELLINGS) -> int:
    """Let `memory` count the newest tellings of a lake; return how many.

    Args:
        lake: Folder of the lake.
        memory: Memory that has counted nothing yet.
        tellings: Files are read, the newest first, until they hold so many.
    """
    snapshot = load_snapshot(lake)
    chosen: dict[str, int] = {}
    sizes: dict[str, int | None] = {}
    rows = 0
    for file in sorted(snapshot.of(USAGE) if snapshot is not None else [], key=lambda each: -each.newest_rows):
        if rows >= tellings or len(chosen) >= _MOST_FILES:
            break
        chosen[str(lake / file.entry.path)] = file.newest_rows
        sizes[file.entry.path] = file.entry.bytes
        rows += file.entry.rows
    if not chosen:
        return 0
    fetch(lake, sizes)
    commits = pa.table({"filename": list(chosen), "file_commit": list(chosen.values())})
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("commits", commits)
        connection.register("no_usage", usage_record_schema(USAGE_VERSION).empty_table())
        for batch in connection.execute(_SQL, [list(chosen)]).to_arrow_reader(_BATCH_ROWS):
            count_calls(memory, batch)
            memory.keep()
    return rows


# Rows of files that upkeep made of others bear their commit themselves.
_SQL = f"""
select {", ".join(READ)}
from (
    select * from no_usage
    union all by name
    select * from read_parquet(?, union_by_name = true, hive_partitioning = false, filename = true)
) as usage
inner join commits using (filename)
order by coalesce(usage.commit_number, commits.file_commit), topic, "partition", "offset", record_item
"""
