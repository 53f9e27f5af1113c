"""Measures of new files: what each one holds, beside what its manifest tells.

The measuring is done by SQL over the files, which is quick; Great Expectations judges the small table that comes of
it, one row a file (`gate`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Generic, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tollbook.contracts import contract
from tollbook.lake.layout import REJECTS, USAGE, USAGE_MINUTE
from tollbook.lake.manifest import FileEntry
from tollbook.lake.ratings import RATINGS, RatingFile
from tollbook.lake.remote import fetch
from tollbook.lake.snapshot import LiveFile
from tollbook.warehouse.book import LAKE_FILES, pico_to_usd
from tollbook.warehouse.state import WarehouseFolder, limits

RECORD_OF = {USAGE: "usage_record", USAGE_MINUTE: "usage_minute", REJECTS: "rejected_record", RATINGS: "rating"}
"""Tables of the lake that the warehouse takes, and the contract of their rows."""

Told = TypeVar("Told", FileEntry, RatingFile)

_READERS = 4
_BUCKETS_IN = (
    "uncached_input_tokens",
    "cache_read_tokens",
    "cache_read_audio_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "image_input_tokens",
    "video_input_tokens",
)
_BUCKETS_OUT = ("text_output_tokens", "reasoning_tokens", "audio_output_tokens", "image_output_tokens")
_PICO_DIGITS = 12
_EXACT = Context(prec=60)


@dataclass(slots=True)
class FileMeasures(Generic[Told]):
    """What one file holds and what is told of it.

    Attributes:
        commit: Last commit that its rows came with, or the sequence of its rating.
        told: What the log tells of it.
        path: Where it lies.
        readable: 1 when it can be read as Parquet, else 0.
        fault: Why it cannot be read, or which columns are off, for people.
        bytes: Its size. Unit: Bytes.
        columns_off: Columns that are absent, of another type or not in the contract.
        rows: Rows it holds.
        counts: Measures of its rows by name; empty until they are taken.
        sums: Sums over its rows by name; costs in pico-USD.
    """

    commit: int
    told: Told
    path: Path
    readable: int = 0
    fault: str = ""
    bytes: int = 0
    columns_off: int = 0
    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether the file is there, whole and of the contract's shape."""
        whole = self.readable == 1 and self.bytes == self.told.bytes
        return whole and self.columns_off == 0 and self.rows == self.told.rows


def measure_files(folder: WarehouseFolder, lake: Path, live_files: Iterable[LiveFile]) -> list[FileMeasures[FileEntry]]:
    """Measure files in force, of the tables that the warehouse takes.

    Rows are looked at only when every file is whole; otherwise the gate refuses them anyway.
    """
    taken = [live for live in live_files if live.entry.table in RECORD_OF]
    fetch(lake, {live.entry.path: live.entry.bytes for live in taken})
    files = [FileMeasures(live.newest_rows, live.entry, lake / live.entry.path) for live in taken]
    measure_footers(files)
    if all(each.is_whole for each in files):
        for query, chosen in _queries(files):
            _measure_rows(folder, query, chosen)
    return files


def measure_footers(files: Sequence[FileMeasures[Told]]) -> None:
    """Measure what a file tells without a look at its rows: whether it is whole, and of the contract's shape."""
    with ThreadPoolExecutor(_READERS) as readers:
        list(readers.map(_measure_footer, files))


def lake_files_table(files: Iterable[FileMeasures[FileEntry]]) -> pa.Table:
    """Return measured files as `LAKE_FILES`, shape (n_files,)."""
    each = list(files)
    columns: dict[str, Any] = {
        "path": [file.told.path for file in each],
        "table_name": [file.told.table for file in each],
        "commit_number": [file.commit for file in each],
        "event_date": pa.array([file.told.event_date for file in each], pa.string()).cast(pa.date32()),
        "schema_version": [file.told.schema_version for file in each],
        "topic": [file.told.topic for file in each],
        "kafka_partition": [file.told.partition for file in each],
        "told_rows": [file.told.rows for file in each],
        "told_input_tokens": [file.told.input_tokens for file in each],
        "told_output_tokens": [file.told.output_tokens for file in each],
        "told_list_cost": pico_to_usd([file.told.list_cost_pico_usd for file in each]),
        "told_contracted_cost": pico_to_usd([file.told.contracted_cost_pico_usd for file in each]),
        "held_rows": [file.rows for file in each],
    }
    for name in LAKE_FILES.names:
        if name not in columns:
            values = [_live_as_told(file).get(name, file.sums.get(name, 0)) for file in each]
            columns[name] = pico_to_usd(values) if name.endswith("_cost") else values
    return pa.table(columns, schema=LAKE_FILES)


def _live_as_told(file: FileMeasures[FileEntry]) -> dict[str, int]:
    """Return what a usage file added to the live minutes, by the names of `LAKE_FILES`; nothing where it is not told.

    A row does not say what it took back of one that counted before it, so the stream's word is what the minutes are
    held against. Files from before it was told are measured: nothing was taken back then.
    """
    live = file.told.live
    if live is None:
        return {}
    return {
        "live_calls": live.calls,
        "live_input_tokens": live.input_tokens,
        "live_output_tokens": live.output_tokens,
        "live_list_cost": live.list_cost_pico_usd,
    }


def _measure_footer(file: FileMeasures[Told]) -> None:
    try:
        with pq.ParquetFile(file.path) as parquet:
            schema, file.rows = parquet.schema_arrow, parquet.metadata.num_rows
        file.bytes = file.path.stat().st_size
    except (OSError, pa.ArrowInvalid) as fault:
        file.fault = str(fault).splitlines()[0]
        return
    expected = contract(RECORD_OF[file.told.table], file.told.schema_version).arrow_schema
    held = {each.name: each.type for each in schema}
    told = {each.name: each.type for each in expected}
    off = sorted(name for name in held.keys() | told.keys() if held.get(name) != told.get(name))
    file.columns_off = len(off)
    file.fault = ", ".join(f"{name}: {held.get(name, 'absent')}" for name in off)
    file.readable = 1


def _queries(files: Sequence[FileMeasures[FileEntry]]) -> Iterable[tuple[str, list[FileMeasures[FileEntry]]]]:
    """Yield a query for each table and version of its contract, with its files."""
    groups: dict[tuple[str, int], list[FileMeasures[FileEntry]]] = defaultdict(list)
    for file in files:
        groups[file.told.table, file.told.schema_version].append(file)
    for (table, version), chosen in groups.items():
        if table in _ROWS_QUERIES:
            yield (_usage_query(version) if table == USAGE else _ROWS_QUERIES[table]), chosen


def _measure_rows(folder: WarehouseFolder, query: str, files: Sequence[FileMeasures[FileEntry]]) -> None:
    """Take the measures of the rows of several files at once; where one cannot be read, find out which."""
    by_path = {str(file.path): file for file in files}
    told = pa.table(
        {
            "filename": list(by_path),
            "told_date": pa.array([file.told.event_date for file in files], pa.string()).cast(pa.date32()),
            "told_topic": pa.array([file.told.topic for file in files], pa.string()),
            "told_partition": pa.array([file.told.partition for file in files], pa.int32()),
            "told_first": pa.array([file.told.first_offset for file in files], pa.int64()),
            "told_next": pa.array([file.told.next_offset for file in files], pa.int64()),
            "told_first_commit": pa.array([file.told.first_commit or file.commit for file in files], pa.int64()),
            "told_last_commit": pa.array([file.told.last_commit or file.commit for file in files], pa.int64()),
        }
    )
    with duckdb.connect(config=limits(folder)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("told", told)
        try:
            answer = connection.execute(query, [list(by_path)])
        except duckdb.Error as fault:
            if len(files) == 1:
                files[0].readable, files[0].fault = 0, str(fault).splitlines()[0]
                return
        else:
            names = [column[0] for column in answer.description]
            for row in answer.fetchall():
                values = dict(zip(names, row, strict=True))
                keep_measures(by_path[values.pop("filename")], values)
            return
    for file in files:
        _measure_rows(folder, query, [file])


def keep_measures(file: FileMeasures[Told], values: dict[str, Any]) -> None:
    """Keep the measures that a query took of the rows of a file, costs as whole pico-USD."""
    for name, value in values.items():
        if not name.startswith(("held_", "live_")):
            file.counts[name] = int(value)
        elif isinstance(value, Decimal):
            file.sums[name] = int(value.scaleb(_PICO_DIGITS, _EXACT))
        else:
            file.sums[name] = int(value)


def _sums(prefix: str, condition: str = "true") -> str:
    return f"""
        coalesce(sum(input_tokens) filter ({condition}), 0) as {prefix}_input_tokens,
        coalesce(sum(output_tokens) filter ({condition}), 0) as {prefix}_output_tokens,
        cast(coalesce(sum(list_cost) filter ({condition}), 0) as decimal(38, 12)) as {prefix}_list_cost"""


def _parts_off(whole: str, rest: str, parts: Sequence[str]) -> str:
    total = " + ".join(f"coalesce({part}, 0)" for part in parts)
    return f"({whole} is not null and ({total} > {whole} or ({rest} is not null and {total} <> {whole})))"


_LIVE = "not coalesce(stream_repeat, false) and coalesce(action, 'record') <> 'void'"

_OF_OTHER_COMMITS = """
    commit_number is null or commit_number not between told_first_commit and told_last_commit"""


def _usage_query(version: int) -> str:
    """Return the query over usage files of a version: rows bear their commit from the second on."""
    return _USAGE_QUERY.format(of_other_commits="false" if version == 1 else _OF_OTHER_COMMITS)


_USAGE_QUERY = f"""
with usage as (

    select usage.*, usage.filename as file_path, told.*
    from read_parquet(?, hive_partitioning = false, filename = true) as usage
    inner join told using (filename)

)

select
    file_path as filename,
    count(*) filter (
        coalesce(source, '') = '' or coalesce(event_id, '') = '' or occurred_at is null
    ) as rows_without_identity,
    count(*) filter (
        topic is null or "partition" is null or "offset" is null or ingested_at is null
    ) as rows_without_place,
    count(*) filter (
        coalesce(action, 'record') <> 'void' and (coalesce(provider, '') = '' or coalesce(model, '') = '')
    ) as rows_without_model,
    count(*) filter (
        topic <> told_topic or "partition" <> told_partition
        or "offset" < told_first or "offset" >= told_next
    ) as rows_out_of_place,
    count(*) - count(distinct (topic, "partition", "offset", coalesce(record_item, 0))) as rows_with_a_place_taken,
    count(*) filter (cast(occurred_at as date) <> told_date) as rows_under_a_wrong_date,
    count(*) filter ({{of_other_commits}}) as rows_of_other_commits,
    count(*) filter (
        least(input_tokens, output_tokens, {", ".join(_BUCKETS_IN + _BUCKETS_OUT)}) < 0
    ) as rows_with_negative_tokens,
    count(*) filter (
        {_parts_off("input_tokens", "uncached_input_tokens", _BUCKETS_IN)}
        or {_parts_off("output_tokens", "text_output_tokens", _BUCKETS_OUT)}
    ) as rows_whose_parts_miss_the_whole,
    count(*) filter (
        least(list_cost, contracted_cost, rated_list_cost) < 0
    ) as rows_with_negative_cost,
    count(*) filter (
        case
            when action = 'void' then list_cost is not null
            when cost_basis = 'unpriced' then list_cost is not null or unpriced_reason is null
            else list_cost is null or cost_basis is null
        end
    ) as rows_whose_cost_belies_its_basis,
    count(*) filter (
        (contracted_cost is null) <> (list_cost is null)
        or (contract_id is null and contracted_cost <> list_cost)
        or (contract_id is not null and contracted_cost is null)
        or (rated_list_cost is not null and coalesce(cost_basis, '') <> 'provider_reported')
    ) as rows_whose_contracted_cost_belies_its_contract,
    count(*) filter (cost_basis = 'unpriced') as held_unpriced,
    count(*) filter (stream_repeat) as held_stream_repeats,
    count(*) filter ({_LIVE}) as live_calls,
    {_sums("held")},
    cast(coalesce(sum(contracted_cost), 0) as decimal(38, 12)) as held_contracted_cost,
    {_sums("live", _LIVE)}
from usage
group by file_path
"""

_MINUTE_QUERY = f"""
select
    usage_minute.filename,
    coalesce(sum(calls), 0) as live_calls,
    {_sums("live")}
from read_parquet(?, hive_partitioning = false, filename = true) as usage_minute
group by usage_minute.filename
"""

_ROWS_QUERIES = {USAGE: _USAGE_QUERY, USAGE_MINUTE: _MINUTE_QUERY}
