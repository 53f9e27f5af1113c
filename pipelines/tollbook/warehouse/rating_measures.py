"""Measures of new rating files: what each one holds, beside what its entry tells and what it is laid over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from tollbook.lake.ratings import RATINGS, RatingEntry, RatingFile
from tollbook.lake.remote import fetch, local_paths
from tollbook.warehouse.book import RATING_FILES, pico_to_usd
from tollbook.warehouse.measures import FileMeasures, keep_measures, measure_footers
from tollbook.warehouse.shapes import contract_file
from tollbook.warehouse.state import WarehouseFolder, limits


def measure_ratings(
    folder: WarehouseFolder, ledger: duckdb.DuckDBPyConnection, lake: Path, entry: RatingEntry
) -> list[FileMeasures[RatingFile]]:
    """Measure the files that an entry lays over the usage.

    Rows are looked at only when every file is whole; otherwise the gate refuses them anyway.

    Args:
        folder: The warehouse.
        ledger: Names the usage files and the ratings of the entries before.
        lake: Folder of the lake.
        entry: The entry; all before it must have been taken, and all commits that it looked at.
    """
    fetch(lake, {each.path: each.bytes for each in entry.files if each.table == RATINGS})
    files = [FileMeasures(entry.sequence, each, lake / each.path) for each in entry.files if each.table == RATINGS]
    measure_footers(files)
    if all(file.is_whole for file in files):
        with duckdb.connect(config=limits(folder)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            for file in files:
                _measure_rows(connection, folder, ledger, lake, file)
    return files


def rating_files_table(entry: RatingEntry, files: Iterable[FileMeasures[RatingFile]]) -> pa.Table:
    """Return measured files as `RATING_FILES`, shape (n_files,)."""
    told = [file.told for file in files]
    columns = {
        "path": [each.path for each in told],
        "rating_sequence": [entry.sequence] * len(told),
        "event_date": pa.array([each.event_date for each in told], pa.string()).cast(pa.date32()),
        "schema_version": [each.schema_version for each in told],
        "told_rows": [each.rows for each in told],
        "told_list_cost_difference": pico_to_usd([each.list_cost_difference_pico_usd for each in told]),
        "told_contracted_cost_difference": pico_to_usd([each.contracted_cost_difference_pico_usd for each in told]),
    }
    return pa.table(columns, schema=RATING_FILES)


def _measure_rows(
    connection: duckdb.DuckDBPyConnection,
    folder: WarehouseFolder,
    ledger: duckdb.DuckDBPyConnection,
    lake: Path,
    file: FileMeasures[RatingFile],
) -> None:
    """Take the measures of the rows of one file, which are of one event date."""
    day = date.fromisoformat(file.told.event_date)
    usage = _paths(ledger, lake, "select path from book.lake_files where event_date = ? and table_name = 'usage'", day)
    earlier = _paths(ledger, lake, "select path from book.rating_files where event_date = ?", day)
    values = {
        "ratings": [str(file.path)],
        "usage": [str(contract_file(folder, "usage_record", 1)), *usage],
        "earlier": [str(contract_file(folder, "rating", 1)), *earlier],
        "event_date": day,
        "sequence": file.commit,
    }
    try:
        answer = connection.execute(_QUERY, values)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as fault:
        file.readable, file.fault = 0, str(fault).splitlines()[0]
        return
    names = [column[0] for column in answer.description]
    (row,) = answer.fetchall()
    keep_measures(file, dict(zip(names, row, strict=True)))


def _paths(ledger: duckdb.DuckDBPyConnection, lake: Path, query: str, day: date) -> list[str]:
    return local_paths(lake, (path for (path,) in ledger.execute(f"{query} order by path", [day]).fetchall()))


def _difference(cost: str) -> str:
    before = f"case when earlier.topic is null then usage.{cost} else earlier.{cost} end"
    return f"coalesce(ratings.{cost}, 0) - coalesce({before}, 0) as {cost}_difference"


_QUERY = f"""
with ratings as (

    select * replace (coalesce(record_item, 0) as record_item)
    from read_parquet($ratings, union_by_name = true, hive_partitioning = false)

),

usage as (

    select
        topic, "partition", "offset", coalesce(record_item, 0) as record_item, action, list_cost,
        coalesce(contracted_cost, list_cost) as contracted_cost,
        cast(occurred_at as date) as event_date
    from read_parquet($usage, union_by_name = true, hive_partitioning = false)

),

earlier as (

    select topic, "partition", "offset", coalesce(record_item, 0) as record_item, list_cost, contracted_cost
    from read_parquet($earlier, union_by_name = true, hive_partitioning = false)
    qualify row_number() over (
        partition by topic, "partition", "offset", coalesce(record_item, 0) order by rating_sequence desc
    ) = 1

),

compared as (

    select
        ratings.*,
        coalesce(usage.event_date = $event_date and coalesce(usage.action, '') <> 'void', false) as has_telling,
        {_difference("list_cost")},
        {_difference("contracted_cost")},
        case when earlier.topic is null then usage.list_cost else earlier.list_cost end is null as was_unpriced
    from ratings
    left join usage
        on ratings.topic = usage.topic
            and ratings."partition" = usage."partition"
            and ratings."offset" = usage."offset"
            and ratings.record_item = usage.record_item
    left join earlier
        on ratings.topic = earlier.topic
            and ratings."partition" = earlier."partition"
            and ratings."offset" = earlier."offset"
            and ratings.record_item = earlier.record_item

)

select
    count(*) filter (not has_telling) as rows_without_a_telling,
    count(*) - count(distinct (topic, "partition", "offset", record_item)) as rows_with_a_place_taken,
    count(*) filter (rating_sequence is distinct from $sequence) as rows_of_another_sequence,
    count(*) filter (catalogue_version is null) as rows_without_a_version,
    count(*) filter (least(list_cost, contracted_cost, rated_list_cost) < 0) as rows_with_negative_cost,
    count(*) filter (
        case
            when cost_basis = 'unpriced' then list_cost is not null or unpriced_reason is null
            else list_cost is null or cost_basis is null or unpriced_reason is not null
        end
    ) as rows_whose_cost_belies_its_basis,
    count(*) filter (
        (contracted_cost is null) <> (list_cost is null)
        or (contract_id is null and contracted_cost <> list_cost)
        or (contract_id is not null and contracted_cost is null)
        or (rated_list_cost is not null and coalesce(cost_basis, '') <> 'provider_reported')
    ) as rows_whose_contracted_cost_belies_its_contract,
    cast(coalesce(sum(list_cost_difference), 0) as decimal(38, 12)) as held_list_cost_difference,
    cast(coalesce(sum(contracted_cost_difference), 0) as decimal(38, 12)) as held_contracted_cost_difference,
    count(*) filter (list_cost is null) - count(*) filter (was_unpriced) as held_unpriced_difference
from compared
"""
