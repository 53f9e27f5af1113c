"""Tellings of single calls, read from the lake, and what the models of the warehouse say of them.

The published file has no events. What it was built of is in the lake, so tellings are looked up there as far as the
published build had read, and the models that made the file say which of them stand, at what cost, in which line.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import duckdb

from tollbook.lake.layout import USAGE
from tollbook.lake.merge import USAGE_VERSION
from tollbook.lake.ratings import ratings_after
from tollbook.lake.remote import local_paths
from tollbook.lake.snapshot import LiveFile, load_snapshot
from tollbook.rating.periods.calendar import BillingCalendar
from tollbook.settings import Settings
from tollbook.trace.literals import Value, bound, table
from tollbook.trace.published import PublishedBook, Row
from tollbook.warehouse.compiled import call_place, make_schemas, run_models
from tollbook.warehouse.keys import SAME_CALL_DAYS
from tollbook.warehouse.plan import billing_days
from tollbook.warehouse.shapes import built_contract_file
from tollbook.warehouse.state import WarehouseFolder

STANDING: Final = "standing"
_KEY: Final = "hash(source, event_id)"
_IS_WANTED: Final = f"{_KEY} in (select call_key from memory.main.keys)"
_BILLING_DAY: Final = {
    "event_date": "date",
    "billing_date": "date",
    "billing_period_start": "date",
    "begins_at": "timestamptz",
    "ends_at": "timestamptz",
}
_TELLINGS: Final = f"""
    select
        rated.topic, rated.kafka_partition, rated.kafka_offset, rated.record_item, rated.source, rated.event_id,
        rated.revision, rated.telling_action, rated.action_reason, rated.reporter, rated.event_date,
        rated.occurred_at, rated.ingested_at, rated.provider, rated.model, rated.service_tier, rated.owner_team,
        rated.owner_rule, rated.workflow, rated.task_id, rated.agent, rated.input_tokens, rated.output_tokens,
        calls.total_tokens, rated.list_cost, rated.contracted_cost, rated.metered_list_cost, rated.cost_basis,
        rated.unpriced_reason, rated.sku_price_id, rated.contract_id, rated.catalogue_version, rated.rating_sequence,
        rated.file_path, coalesce(rated.row_commit_number, files.commit_number) as commit_number,
        coalesce(resolved.telling_state, '{STANDING}') as telling_state,
        resolved.accepted_topic, resolved.accepted_kafka_partition, resolved.accepted_kafka_offset,
        placed.charge_id, placed.closes_before, calls.billing_period_start, calls.team, calls.effective_cost,
        calls.unpriced_calls
    from scratch.intermediate.int_tellings_rated as rated
    left join scratch.staging.stg_plan__files as files on rated.file_path = files.file_path
    left join scratch.intermediate.int_tellings_resolved as resolved
        on rated.file_path = resolved.file_path and rated.file_row_number = resolved.file_row_number
    left join calls
        on rated.topic = calls.topic and rated.kafka_partition = calls.kafka_partition
            and rated.kafka_offset = calls.kafka_offset and rated.record_item = calls.record_item
    left join scratch.intermediate.int_lineage_days_placed as placed
        on placed.topic = {call_place("rated")}
"""


@dataclass(frozen=True, slots=True)
class Tellings:
    """Some calls' tellings, every one of each call, as rows of a table `tellings`.

    Attributes:
        connection: Holds the table.
    """

    connection: duckdb.DuckDBPyConnection

    def rows(self, condition: str = "true", parameters: Sequence[Value] = (), limit: int | None = None) -> list[Row]:
        """Return tellings by time, then by place, as many as `limit`."""
        order = "occurred_at, topic, kafka_partition, kafka_offset, record_item"
        most = "" if limit is None else f"limit {limit}"
        return self._ask(f"select * from tellings where {condition} order by {order} {most}", parameters)

    def sums(self, condition: str, parameters: Sequence[Value]) -> Row:
        """Return the sums over the calls that a condition keeps; what is unknown adds nothing."""
        (row,) = self._ask(
            f"""
            select
                count(*) as calls,
                coalesce(sum(unpriced_calls), 0)::bigint as unpriced_calls,
                coalesce(sum(total_tokens), 0)::bigint as total_tokens,
                coalesce(sum(list_cost), 0)::decimal(38, 12) as list_cost,
                coalesce(sum(effective_cost), 0)::decimal(38, 12) as effective_cost
            from tellings
            where telling_state = '{STANDING}' and {condition}
            """,
            parameters,
        )
        return row

    def lines(self, condition: str, parameters: Sequence[Value]) -> list[str]:
        """Return the charge lines that the calls that a condition keeps are in, by name."""
        rows = self._ask(f"select distinct charge_id from tellings where {condition} order by all", parameters)
        return [row["charge_id"] for row in rows]

    def files(self, condition: str, parameters: Sequence[Value]) -> list[str]:
        """Return the files that hold the calls that a condition keeps."""
        rows = self._ask(
            f"select distinct file_path from tellings where telling_state = '{STANDING}' and {condition} order by all",
            parameters,
        )
        return [row["file_path"] for row in rows]

    def _ask(self, sql: str, parameters: Sequence[Value]) -> list[Row]:
        answer = self.connection.execute(bound(sql, parameters))
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


@contextmanager
def tellings_of(
    settings: Settings,
    book: PublishedBook,
    condition: str,
    parameters: Sequence[Value],
    dates: Iterable[date] | None = None,
) -> Iterator[Tellings]:
    """Give every telling of the calls of which one telling meets a condition, resolved, rated and placed.

    Args:
        settings: Where the book lives.
        book: Up to which commit and rating the lake is read.
        condition: Of a row of usage as the lake has it, in SQL.
        parameters: Of the condition.
        dates: Event dates on which such tellings are; None for all.

    Raises:
        WarehouseStateError: The last build's models are not there.
    """
    folder = WarehouseFolder.of(settings)
    snapshot = load_snapshot(settings.lake)
    files = [] if snapshot is None else [file for file in snapshot.of(USAGE) if _is_in(file, book.built_commit)]
    chosen = None if dates is None else set(dates)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set parquet_metadata_cache = true")
        make_schemas(connection)
        reader = _Reader(settings, folder, book.built_commit)
        searched = [file for file in files if chosen is None or _date(file) in chosen]
        connection.execute(
            f"create table keys as select distinct {_KEY} as call_key, event_date "
            f"from ({reader.sql(searched)}) where {bound(condition, parameters)}"
        )
        near = _near(day for (day,) in connection.execute("select distinct event_date from keys").fetchall())
        around = reader.holding(connection, [file for file in files if _date(file) in near])
        connection.execute(f"create view scratch.lake.usage as from ({reader.sql(around)}) where {_IS_WANTED}")
        connection.execute("create view scratch.lake.usage_elsewhere as from scratch.lake.usage where false")
        days = {_date(file) for file in around}
        _make_ratings(connection, settings, folder, book.built_rating, days)
        _make_plan(connection, folder, reader.commits(around), days)
        run_models(folder, connection)
        connection.execute(f"create table tellings as {_TELLINGS}")
        yield Tellings(connection)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads files of usage as far as a build had."""

    settings: Settings
    folder: WarehouseFolder
    built_commit: int

    def sql(self, files: Sequence[LiveFile]) -> str:
        """Return a query over files; an empty one of each version gives the columns their types."""
        held: dict[tuple[int, bool], list[str]] = {(version, True): [] for version in range(1, USAGE_VERSION + 1)}
        for file in files:
            key = (file.entry.schema_version, file.newest_rows <= self.built_commit)
            held.setdefault(key, []).append(file.entry.path)
        return " union all by name ".join(
            _select(
                [
                    str(built_contract_file(self.folder, "usage_record", version)),
                    *local_paths(self.settings.lake, paths),
                ],
                "true" if is_whole else f"commit_number <= {self.built_commit}",
            )
            for (version, is_whole), paths in sorted(held.items(), reverse=True)
        )

    def holding(self, connection: duckdb.DuckDBPyConnection, files: Sequence[LiveFile]) -> list[LiveFile]:
        """Return the files that have tellings of the wanted calls: reading all columns of the others would be slow."""
        answer = connection.execute(f"select distinct filename from ({self.sql(files)}) where {_IS_WANTED}")
        names = {name for (name,) in answer.fetchall()}
        return [file for file in files if local_paths(self.settings.lake, [file.entry.path])[0] in names]

    def commits(self, files: Sequence[LiveFile]) -> list[Row]:
        """Return the files as a plan names them."""
        paths = local_paths(self.settings.lake, [file.entry.path for file in files])
        return [
            {"role": "usage", "commit_number": file.commit, "path": path}
            for file, path in zip(files, paths, strict=True)
        ]


def _is_in(file: LiveFile, built_commit: int) -> bool:
    """Return whether rows of a file may have come with a commit that was built."""
    first = file.commit if file.entry.first_commit is None else file.entry.first_commit
    return first <= built_commit


def _select(paths: Sequence[str], condition: str) -> str:
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    return (
        f"select *, filename, file_row_number from read_parquet([{listed}], hive_partitioning = true, "
        f"hive_types = {{'event_date': date}}) where {condition}"
    )


def _make_ratings(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    folder: WarehouseFolder,
    built_rating: int,
    days: Collection[date],
) -> None:
    paths = [
        file.path
        for entry in ratings_after(settings.lake, 0)
        if entry.sequence <= built_rating
        for file in entry.files
        if date.fromisoformat(file.event_date) in days
    ]
    empty = str(built_contract_file(folder, "rating", 1))
    reader = _select([empty, *local_paths(settings.lake, paths)], "true")
    connection.execute(f"create table scratch.lake.ratings as {reader}")


def _make_plan(
    connection: duckdb.DuckDBPyConnection, folder: WarehouseFolder, files: Sequence[Row], days: Collection[date]
) -> None:
    """Give the models what the last build went by, but for the files and dates, which are those of the tellings."""
    scope = json.loads(folder.plan.read_text(encoding="utf-8"))
    calendar = BillingCalendar(scope["billing_time_zone"])
    told = {
        "files": table({"role": "varchar", "commit_number": "bigint", "path": "varchar"}, files),
        "billing_days": table(_BILLING_DAY, billing_days(calendar, sorted(days))),
        "cross_date_keys": table({"call_key": "ubigint", "event_date": "date"}, ()),
    }
    for name, query in told.items():
        connection.execute(f"create table scratch.plan.{name} as {query}")
    for name in ("places", "closed_periods"):
        path = str(folder.plan.with_name(f"{name}.parquet")).replace("'", "''")
        connection.execute(f"create table scratch.plan.{name} as select * from read_parquet('{path}')")


def _near(days: Iterable[date]) -> set[date]:
    """Return the dates on which tellings of calls of some dates may be."""
    return {day + timedelta(days=apart) for day in days for apart in range(-SAME_CALL_DAYS, SAME_CALL_DAYS + 1)}


def _date(file: LiveFile) -> date:
    return date.fromisoformat(file.entry.event_date)
