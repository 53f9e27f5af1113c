"""How much one committer commits: parts of ever larger micro-batches, from the first part to the manifest.

Run `python tests/bench/committer.py [chunks ...]`. Nothing is read or written but what the commit itself writes: the
sums by minute and the manifest. Each chunk has what a chunk of 32,768 events has, a file of events and its sums by
minute; four chunks are a range. What waits for the disk shows in the time, not in the CPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from statistics import median

import pyarrow as pa

from tollbook.contracts import contract
from tollbook.lake.manifest import FileEntry
from tollbook.settings import Settings
from tollbook.stream.options import MeterOptions
from tollbook.stream.parts import CommitPart, minutes_part, range_part, usage_part
from tollbook.stream.plan import CommitPlan
from tollbook.stream.ranges import BatchStamp, ChunkOrigin, OffsetRange
from tollbook.stream.read import CHUNK_RECORDS
from tollbook.stream.ticks import Gathering

CHUNKS = (16, 64, 256, 1024)
CHUNKS_A_RANGE = 4
MINUTE_ROWS = 1_300
"""Sums by minute of a chunk of the benchmark's events: 1,256 to 1,394 in a run of 200,000 events."""
_DATE = "2026-06-01"
_TOPIC = "llm.usage"


@lru_cache
def sums_of(minute: int) -> pa.RecordBatch:
    """Return sums by minute as a chunk has them: a minute of traffic of many owners and models."""
    begin = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=minute)
    rows = [
        {
            "event_minute": begin,
            "owner_team": f"team-{row % 260}",
            "owner_cost_center": f"center-{row % 26}",
            "workflow": None,
            "agent": None,
            "provider": "anthropic",
            "model": f"model-{row // 260}",
            "calls": 25,
            "unpriced_calls": 0,
            "unpriced_tokens": 0,
            "input_tokens": 50_000 + row,
            "output_tokens": 9_000,
            "list_cost": Decimal("0.123456789012"),
        }
        for row in range(MINUTE_ROWS)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=contract("usage_minute").arrow_schema)


def parts_of(read: OffsetRange) -> list[bytes]:
    """Return the encoded parts of one range."""
    parts = []
    for first in range(read.first_offset, read.next_offset, CHUNK_RECORDS):
        origin = ChunkOrigin(
            topic=read.topic,
            partition=read.partition,
            first_offset=first,
            next_offset=first + CHUNK_RECORDS,
            records=CHUNK_RECORDS,
            tombstones=0,
            control=0,
            aborted=0,
            stamp=read.stamp,
        )
        file = FileEntry(
            table="usage",
            path=f"usage/event_date={_DATE}/{read.partition}-{first}.parquet",
            event_date=_DATE,
            rows=CHUNK_RECORDS,
            bytes=56 * CHUNK_RECORDS,
            topic=read.topic,
            partition=read.partition,
            first_offset=first,
            next_offset=origin.next_offset,
        )
        parts.append(usage_part(origin, [file], CHUNK_RECORDS))
        parts.append(minutes_part(origin.attach(sums_of(first // CHUNK_RECORDS // 30 % 1440))))
    return [*parts, range_part(read, read.next_offset)]


def seconds_of_a_commit(settings: Settings, chunks: int, number: int) -> tuple[float, float]:
    """Return time and CPU from the first part of a micro-batch to its commit, decoding included. Unit: Seconds."""
    ranges = []
    for partition in range(chunks // CHUNKS_A_RANGE):
        first = number * CHUNKS_A_RANGE * CHUNK_RECORDS
        stamp = BatchStamp(batch=f"{chunks}-{number}", epoch=1, sequence=number, book=1, ingest_date=_DATE)
        ranges.append(OffsetRange(_TOPIC, partition, first, first + CHUNKS_A_RANGE * CHUNK_RECORDS, stamp=stamp))
    plan = CommitPlan(
        lake=settings.lake,
        base=number,
        batch=f"{chunks}-{number}",
        epoch=1,
        epoch_owner="bench",
        writer="bench",
        catalogue_version="1",
        reference_version="1",
        ranges=tuple(ranges),
    )
    encoded = [part for each in ranges for part in parts_of(each)]
    gathering = Gathering(MeterOptions(settings=settings, topics=(_TOPIC,)))
    begun, cpu = time.perf_counter(), time.process_time()
    made = list(gathering.plan(CommitPlan.decode(plan.encode())))
    for part in encoded:
        made += gathering.part(CommitPart.decode(part))
    taken = time.perf_counter() - begun, time.process_time() - cpu
    if len(made) != 1:
        raise RuntimeError(f"expected one commit, got {made}")
    return taken


def main() -> None:
    """Measure each size on a lake of its own, and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chunks", type=int, nargs="*", default=CHUNKS)
    parser.add_argument("--commits", type=int, default=5)
    arguments = parser.parse_args()
    measured = []
    for chunks in arguments.chunks:
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(home=Path(folder))
            (settings.lake / f"usage/event_date={_DATE}").mkdir(parents=True)
            taken = [seconds_of_a_commit(settings, chunks, number) for number in range(arguments.commits)]
        wall_s, cpu_s = (median(each) for each in zip(*taken, strict=True))
        events = chunks * CHUNK_RECORDS
        row = {
            "chunks": chunks,
            "parts": 2 * chunks + chunks // CHUNKS_A_RANGE,
            "wall_s": round(wall_s, 4),
            "cpu_s": round(cpu_s, 4),
            "events_per_cpu_s": int(events / cpu_s),
        }
        print(row, file=sys.stderr, flush=True)
        measured.append(row)
    print(json.dumps({"rows": measured}))


if __name__ == "__main__":
    main()
