"""An index of call keys by event date, to find a call that was told under two dates.

A build reads whole dates, so it finds every other repeat by itself. A call that is told again under another date needs
a look at the dates around, and this index makes the look cheap: 8 bytes a telling, in a file beside the warehouse.
It holds nothing that the lake does not; when it is absent or of another DuckDB (whose hash differs) it is made anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from tollbook.lake.merge import USAGE_VERSION
from tollbook.lake.remote import local_paths
from tollbook.warehouse.shapes import contract_file
from tollbook.warehouse.state import WarehouseFolder, open_database

SAME_CALL_DAYS = 35
"""Two event dates of one id that lie further apart are two calls. dbt's variable `same_call_days` is the same."""


@dataclass(frozen=True, slots=True)
class CrossDates:
    """Calls of the planned dates that are told under several dates.

    Attributes:
        touched: Event dates that a pending telling changes besides its own.
        keys: `call_key` uint64 and `event_date` date32: every telling's date of calls that have several, shape (n,).
    """

    touched: frozenset[date]
    keys: pa.Table


def index_keys(folder: WarehouseFolder, ledger: duckdb.DuckDBPyConnection, lake: Path, *, taken_commit: int) -> None:
    """Bring the index up to `taken_commit`.

    A file that upkeep made of others is read only when rows of it are new, and only for those: each bears its commit.

    Args:
        folder: The warehouse.
        ledger: Names the usage files of each commit.
        lake: Folder of the lake.
        taken_commit: Newest commit whose files passed the gate.
    """
    with open_database(folder, folder.keys) as index:
        _make_index(index)
        indexed, version = index.execute("select indexed_commit, hash_of from progress").fetchall()[0]
        if version != duckdb.__version__ or indexed > taken_commit:
            indexed = 0
        pending = ledger.execute(
            """
            select path, commit_number, event_date
            from book.lake_files
            where table_name = 'usage' and commit_number > ? and commit_number <= ?
            """,
            [indexed, taken_commit],
        ).to_arrow_table()
        paths = local_paths(lake, pending["path"].to_pylist())
        index.register("pending", pending.set_column(0, "path", pa.array(paths, pa.string())))
        index.execute("begin")
        if not indexed:
            index.execute("delete from call_keys")
        if paths:
            index.execute(
                """
                insert into call_keys
                select
                    pending.event_date,
                    coalesce(usage.commit_number, pending.commit_number) as commit_number,
                    hash(usage.source, usage.event_id)
                from read_parquet(?, union_by_name = true, hive_partitioning = false, filename = true) as usage
                inner join pending on usage.filename = pending.path
                where coalesce(usage.commit_number, pending.commit_number) > ?
                """,
                [[str(contract_file(folder, "usage_record", USAGE_VERSION)), *paths], indexed],
            )
        index.execute("update progress set indexed_commit = ?, hash_of = ?", [taken_commit, duckdb.__version__])
        index.execute("commit")


def find_cross_dates(
    folder: WarehouseFolder,
    *,
    built_commit: int,
    pending_dates: Sequence[date],
    rated_dates: Sequence[date] = (),
) -> CrossDates:
    """Return the calls that are told under several dates, as far as this build has to know them.

    A telling of a pending commit may change what stands under another date, so that date is touched. And of every
    call on a planned date the tellings on other dates must be known, to say which one stands. A date that was rated
    anew touches the dates with tellings of its calls too, since those show what it costs.

    Args:
        folder: The warehouse, with its index up to date.
        built_commit: Newest commit that the marts hold.
        pending_dates: Event dates of the files after it.
        rated_dates: Event dates with ratings that the marts do not hold.
    """
    with open_database(folder, folder.keys, read_only=True) as index:
        index.execute("create temporary table chosen (event_date date)")
        index.execute("create temporary table found (call_key ubigint, event_date date)")
        changing = {*pending_dates, *rated_dates}
        index.register("rated", pa.table({"event_date": pa.array(rated_dates, pa.date32())}))
        _choose(index, sorted(changing))
        _find(
            index,
            f"(commit_number > {int(built_commit)} or event_date in (from rated)) and event_date in (from chosen)",
        )
        touched = frozenset(day for (day,) in index.execute("select distinct event_date from found").fetchall())
        if touched - changing:
            _choose(index, sorted(touched | changing))
        if built_commit:
            _find(index, "event_date in (from chosen)")
        keys = index.execute("select call_key, event_date from found order by all").to_arrow_table()
    return CrossDates(touched - changing, keys)


def _make_index(index: duckdb.DuckDBPyConnection) -> None:
    index.execute("create table if not exists call_keys (event_date date, commit_number bigint, call_key ubigint)")
    index.execute("create table if not exists progress as select 0::bigint as indexed_commit, ''::varchar as hash_of")


def _choose(index: duckdb.DuckDBPyConnection, dates: Sequence[date]) -> None:
    index.execute("delete from chosen")
    index.register("dates", pa.table({"event_date": pa.array(dates, pa.date32())}))
    index.execute("insert into chosen from dates")
    index.unregister("dates")


def _find(index: duckdb.DuckDBPyConnection, condition: str) -> None:
    """Fill `found` with the dates of calls that have a telling under `condition` and several dates near to it.

    Dates that hang together by steps of at most `SAME_CALL_DAYS` tell of one call, however long the chain. So the
    dates around a found one are searched too, until there is none left that was not.
    """
    index.execute("delete from found")
    index.execute("create or replace temporary table searched as select event_date from chosen limit 0")
    index.execute("create or replace temporary table asked (call_key ubigint)")
    index.execute(f"insert into asked select distinct call_key from call_keys where {condition}")
    _search(index, around="chosen", only_several_dates=True)
    while index.execute("select count(*) from found").fetchall() != [(0,)]:
        index.execute("create or replace temporary table asked as select distinct call_key from found")
        if not _search(index, around="found", only_several_dates=False):
            return


def _search(index: duckdb.DuckDBPyConnection, *, around: str, only_several_dates: bool) -> bool:
    """Search the dates around those of `around` for the calls asked for; return whether there were any left to search.

    Of the index only these dates are read, so what this costs does not grow with history.
    """
    index.execute(
        f"""
        create or replace temporary table next_dates as
        select distinct cast(centres.event_date + cast(days.away as integer) as date) as event_date
        from (select distinct event_date from {around}) as centres
        cross join generate_series(-{SAME_CALL_DAYS}, {SAME_CALL_DAYS}) as days (away)
        anti join searched
            on cast(centres.event_date + cast(days.away as integer) as date) = searched.event_date
        """
    )
    if index.execute("select count(*) from next_dates").fetchall() == [(0,)]:
        return False
    index.execute("insert into searched from next_dates")
    index.execute(
        f"""
        insert into found
        with near as (

            select call_keys.call_key, call_keys.event_date
            from call_keys
            semi join next_dates on call_keys.event_date = next_dates.event_date
            semi join asked on call_keys.call_key = asked.call_key

        ),

        wanted as (

            select call_key
            from near
            group by call_key
            having min(event_date) <> max(event_date) or not {only_several_dates}

        )

        select distinct near.call_key, near.event_date
        from near
        semi join wanted on near.call_key = wanted.call_key
        """
    )
    return True
