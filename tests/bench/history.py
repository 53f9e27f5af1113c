"""What one more day costs the warehouse after 30 days of history and after 300.

The lake is written here directly, day by day, as the meter would write it, because metering 300 days through Kafka
would measure something else.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.contracts import usage_record_schema
from tollbook.lake.layout import USAGE, USAGE_MINUTE, chunk_name, commit_name, data_path
from tollbook.lake.manifest import FileEntry, Manifest, PartitionTotals, commit, newest
from tollbook.lake.parquet import write_parquet
from tollbook.settings import Settings
from tollbook.stream.aggregate import fold, sum_by_minute
from tollbook.stream.write import split_by_date
from tollbook.warehouse.build import build

FIRST_DAY = date(2026, 1, 1)
TOPIC = "llm.usage"
FILES_A_DAY = 24
MORE_DAYS = 3

DAY_SQL = """
select
    'openai' as source, 'resp_' || $day || '_' || i as event_id, 0::int as revision, 'record' as action, 1::int as schema_version,
    $day::timestamptz + to_microseconds((i * 86400000000 // $rows)::bigint) as occurred_at,
    'openai' as provider, 'model-' || (i % 12) as model, 'production' as environment, 'reported' as usage_basis,
    'workflow-' || (i // 20 % 60) as workflow, 'task-' || $day || '-' || (i // 20) as task_id, 'agent-' || (i % 5) as agent,
    'ok' as status, 1000 + i % 7919 as input_tokens, 500 + i % 7919 as uncached_input_tokens, 500 as cache_read_tokens,
    100 + i % 997 as output_tokens, 100 + i % 997 as text_output_tokens,
    'llm.usage' as topic, 0::int as partition, $first + i as offset, false as stream_repeat,
    'team-' || (i // 20 % 20) as owner_team, 'cost-center-' || (i // 20 % 5) as owner_cost_center, 'rated' as cost_basis,
    ((1000 + i % 7919) * 2500000)::bigint as pico
from range($rows) as numbers (i)
"""  # noqa: E501


def day_rows(day: date, rows: int, first_offset: int, sql: str = DAY_SQL) -> pa.Table:
    """Return the rows of one day as `usage_record/v1`."""
    parameters = {"day": day.isoformat(), "rows": rows, "first": first_offset}
    told = duckdb.connect().execute(sql, parameters).to_arrow_table()
    cost = told["pico"].combine_chunks().cast(pa.decimal128(19, 0)).view(pa.decimal128(18, 12))
    columns = []
    for field in usage_record_schema():
        if field.name in {"list_cost", "contracted_cost"}:
            columns.append(cost)
        elif field.name in {"ingested_at", "kafka_timestamp"}:
            columns.append(told["occurred_at"].cast(field.type))
        elif field.name in told.column_names:
            columns.append(told[field.name].cast(field.type))
        else:
            columns.append(pa.nulls(rows, field.type))
    return pa.table(columns, schema=usage_record_schema()).combine_chunks()


def add_day(lake: Path, day: date, rows: int, sql: str = DAY_SQL) -> None:
    """Commit one day to the lake, in as many commits as it has hours.

    Args:
        lake: Folder of the lake.
        day: The day.
        rows: Events, as many as the hours or more.
        sql: Makes them of `$day`, `$rows` and the `$first` offset.
    """
    add_rows(lake, day, day_rows(day, rows, next_offset(lake), sql))


def next_offset(lake: Path) -> int:
    """Return the offset that the next event of the lake has."""
    before = newest(lake)
    return before.totals[TOPIC][0].next_offset if before else 0


def add_rows(lake: Path, day: date, table: pa.Table, most_files: int = FILES_A_DAY) -> None:
    """Commit the rows of one day to the lake.

    Args:
        lake: Folder of the lake.
        day: UTC day of all rows.
        table: `usage_record/v1`, shape (n_events,), not empty; offsets go on from `next_offset`.
        most_files: Most files, each of a commit of its own.
    """
    before = newest(lake)
    number = before.commit if before else 0
    total = before.totals[TOPIC][0] if before else PartitionTotals(first_offset=0, next_offset=0)
    step = -(-table.num_rows // most_files)
    for start in range(0, table.num_rows, step):
        number += 1
        part = table.slice(start, step).combine_chunks().to_batches()[0]
        first, end = total.next_offset, total.next_offset + part.num_rows
        path = data_path(USAGE, day.isoformat(), chunk_name(TOPIC, 0, first, end, 1))
        inputs, outputs = (pc.sum(part.column(name)).as_py() for name in ("input_tokens", "output_tokens"))
        listed, contracted = (_pico_usd(part.column(name)) for name in ("list_cost", "contracted_cost"))
        unpriced = pc.sum(pc.equal(part.column("cost_basis"), "unpriced")).as_py()
        entry = FileEntry(
            table=USAGE,
            path=path,
            event_date=day.isoformat(),
            rows=part.num_rows,
            bytes=write_parquet(lake, path, part),
            topic=TOPIC,
            partition=0,
            first_offset=first,
            next_offset=end,
            input_tokens=inputs,
            output_tokens=outputs,
            list_cost_pico_usd=listed,
            contracted_cost_pico_usd=contracted,
            unpriced_events=unpriced,
        )
        files = [entry, *_minutes(lake, part, number)]
        total.next_offset = end
        total.records += part.num_rows
        total.usage_rows += part.num_rows
        total.input_tokens += inputs
        total.output_tokens += outputs
        total.list_cost_pico_usd += listed
        total.contracted_cost_pico_usd += contracted
        commit(
            lake,
            Manifest(
                commit=number,
                epoch=1,
                writer="bench",
                committed_at=datetime(2026, 11, 1, tzinfo=UTC),
                schema_versions={"usage_event": 1},
                catalogue_version="bench",
                reference_version="none",
                files=files,
                offsets={TOPIC: {0: end}},
                totals={TOPIC: {0: total}},
            ),
        )


def _pico_usd(costs: pa.Array) -> int:
    """Return the sum of known costs. Unit: pico-USD."""
    return int(pc.sum(costs.cast(pa.decimal128(38, 12)), min_count=0).as_py().scaleb(12))


def _minutes(lake: Path, part: pa.RecordBatch, number: int) -> list[FileEntry]:
    entries = []
    for date_text, rows in split_by_date(fold([sum_by_minute(part)]), time_column="event_minute"):
        path = data_path(USAGE_MINUTE, date_text, commit_name(number, 1))
        size = write_parquet(lake, path, rows)
        entries.append(FileEntry(table=USAGE_MINUTE, path=path, event_date=date_text, rows=rows.num_rows, bytes=size))
    return entries


def measure(home: Path, days: int, rows: int) -> float:
    """Return the median CPU seconds of a build of one more day after `days` days."""
    shutil.rmtree(home, ignore_errors=True)
    settings = Settings(home=home)
    print(f"writing {days} days of {rows:,} events", file=sys.stderr, flush=True)
    for number in range(days):
        add_day(settings.lake, FIRST_DAY + timedelta(days=number), rows)
    build(settings)
    seconds = []
    for number in range(days, days + MORE_DAYS):
        add_day(settings.lake, FIRST_DAY + timedelta(days=number), rows)
        before = time.process_time()
        build(settings)
        seconds.append(time.process_time() - before)
        print(f"one more day after {number} days: {seconds[-1]:.2f} s of CPU", file=sys.stderr, flush=True)
    return statistics.median(seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--events-a-day", type=int, default=4_800)
    parser.add_argument("--days", type=int, nargs=2, default=(30, 300))
    arguments = parser.parse_args()
    few, many = arguments.days
    costs = {
        days: measure(arguments.work.absolute() / f"history-{days}", days, arguments.events_a_day)
        for days in (few, many)
    }
    print(json.dumps({"cpu_seconds_by_days": costs, "ratio": round(costs[many] / costs[few], 2)}))


if __name__ == "__main__":
    main()
