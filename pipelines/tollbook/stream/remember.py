"""What a process remembers of the calls it counted: from the newest files of the lake, then from batch to batch.

Every process that works on micro-batches remembers on its own. The stamp of a micro-batch says what became of the one
before: under another epoch what was counted may never have been committed, so the lake is asked anew.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from tollbook.contracts import usage_record_schema
from tollbook.lake.layout import USAGE
from tollbook.lake.merge import USAGE_VERSION
from tollbook.lake.remote import fetch
from tollbook.lake.snapshot import load_snapshot
from tollbook.stream.call_memory import CallMemory
from tollbook.stream.ranges import BatchStamp
from tollbook.stream.repeats import READ, count_calls

REMEMBERED_TELLINGS = 500_000
_MOST_FILES = 4_096
_BATCH_ROWS = 65_536


@dataclass(slots=True)
class _Held:
    """What is remembered of a lake, and the micro-batch that was counted last."""

    stamp: BatchStamp
    memory: CallMemory = field(default_factory=CallMemory)


@contextmanager
def memory_at(lake: Path, stamp: BatchStamp) -> Iterator[CallMemory]:
    """Give one thread what this process remembers of a lake's calls when it works on a micro-batch.

    Args:
        lake: Folder of the lake.
        stamp: The micro-batch. What was counted before is remembered if it is of an earlier sequence of its epoch; what
            another micro-batch of its sequence counted was not committed, and is forgotten.
    """
    with _counting:
        held = _held.get(lake)
        if held is None or held.stamp.epoch != stamp.epoch:
            held = _Held(stamp)
            remember_lately(lake, held.memory)
            _held.clear()
            _held[lake] = held
        elif held.stamp.batch != stamp.batch:
            if held.stamp.sequence < stamp.sequence:
                held.memory.keep()
            else:
                held.memory.begin()
            held.stamp = stamp
        yield held.memory


def forget_memories() -> None:
    """Forget what this process remembers, as a meter does that begins."""
    with _counting:
        _held.clear()


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


_counting = threading.RLock()
_held: dict[Path, _Held] = {}

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
