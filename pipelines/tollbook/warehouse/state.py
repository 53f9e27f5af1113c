"""The databases of the warehouse, and what it remembers of the lake.

`tollbook.duckdb` holds the marts and nothing else, so that publishing is a copy of the file. `ledger.duckdb` holds the
daily sums that marts are made of and, in schema `book`, what no model makes: the files that passed the gate, the
running totals of the newest commit taken, and how far the build has come. `taken_commit` moves when new files have
passed the gate, `built_commit` only when marts of all their dates are made and balance. So a build that dies leaves
dates that are taken but not built, and the next one makes them again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from duckdb import DuckDBPyConnection

from tollbook.errors import WarehouseStateError
from tollbook.lake.manifest import Manifest, PartitionTotals
from tollbook.settings import Settings

COST = pa.decimal128(38, 12)
LAKE_FILES = pa.schema(
    [
        ("path", pa.string()),
        ("table_name", pa.string()),
        ("commit_number", pa.int64()),
        ("event_date", pa.date32()),
        ("schema_version", pa.int32()),
        ("topic", pa.string()),
        ("kafka_partition", pa.int32()),
        ("told_rows", pa.int64()),
        ("told_input_tokens", pa.int64()),
        ("told_output_tokens", pa.int64()),
        ("told_list_cost", COST),
        ("held_rows", pa.int64()),
        ("held_input_tokens", pa.int64()),
        ("held_output_tokens", pa.int64()),
        ("held_list_cost", COST),
        ("live_calls", pa.int64()),
        ("live_input_tokens", pa.int64()),
        ("live_output_tokens", pa.int64()),
        ("live_list_cost", COST),
    ]
)
"""Columns of `book.lake_files`, one row a file that passed the gate."""

PARTITION_TOTALS = pa.schema(
    [
        ("topic", pa.string()),
        ("kafka_partition", pa.int32()),
        ("first_offset", pa.int64()),
        ("next_offset", pa.int64()),
        ("records", pa.int64()),
        ("tombstones", pa.int64()),
        ("control_offsets", pa.int64()),
        ("aborted_offsets", pa.int64()),
        ("missing_offsets", pa.int64()),
        ("usage_rows", pa.int64()),
        ("reject_rows", pa.int64()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("list_cost", COST),
    ]
)
"""Columns of `book.partition_totals`, one row a Kafka partition."""

MEMORY_LIMIT = "4GB"
PUBLISHED_STORAGE = "v1.2.0"
"""Storage version of the marts: DuckDB from 1.2 on can read the file."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the warehouse has come.

    Attributes:
        taken_commit: Newest commit whose files passed the gate; 0 for none.
        built_commit: Newest commit whose dates are all in the marts; 0 for none.
        build_number: Number of the last build that ended well; 0 for none.
        project_digest: Digest of the dbt project that made the marts; empty for none.
        whole: Whether the marts are those of the last good build, and not changed by one that did not end well.
        remake: Whether a full refresh was begun and did not end.
    """

    taken_commit: int
    built_commit: int
    build_number: int
    project_digest: str
    whole: bool
    remake: bool


@dataclass(frozen=True, slots=True)
class WarehouseFolder:
    """Where the parts of the warehouse lie, all below `TOLLBOOK_HOME/warehouse`."""

    root: Path

    @classmethod
    def of(cls, settings: Settings) -> WarehouseFolder:
        """Return the warehouse of `settings`."""
        return cls(settings.warehouse)

    @property
    def marts(self) -> Path:
        """The marts, before they are published."""
        return self.root / "tollbook.duckdb"

    @property
    def ledger(self) -> Path:
        """What was taken from the lake, and its daily sums."""
        return self.root / "ledger.duckdb"

    @property
    def scratch(self) -> Path:
        """Database of one build's event-level rows; made anew by each build."""
        return self.root / "scratch.duckdb"

    @property
    def keys(self) -> Path:
        """Index of call keys by event date."""
        return self.root / "keys.duckdb"

    @property
    def spill(self) -> Path:
        """Where a query that is larger than memory goes on."""
        return self.root / "spill"

    @property
    def plan(self) -> Path:
        """What the build does, as dbt reads it."""
        return self.root / "plan" / "plan.json"

    @property
    def gate(self) -> Path:
        """The gate's last report."""
        return self.root / "gate"

    @property
    def target(self) -> Path:
        """Target folder of dbt."""
        return self.root / "target"

    @property
    def logs(self) -> Path:
        """Logs of dbt."""
        return self.root / "logs"

    @property
    def lock(self) -> Path:
        """Lock that one build holds."""
        return self.root / ".build.lock"


@contextmanager
def open_database(folder: WarehouseFolder, path: Path, *, read_only: bool = False) -> Iterator[DuckDBPyConnection]:
    """Open one database of the warehouse, times in UTC, memory bounded.

    Raises:
        WarehouseStateError: Another program has the file open.
    """
    folder.root.mkdir(parents=True, exist_ok=True)
    try:
        connection = duckdb.connect(path, read_only=read_only, config=limits(folder))
    except duckdb.IOException as fault:
        raise WarehouseStateError(
            f"expected to open {path}, but: {fault}. It belongs to builds alone; readers open serve/tollbook.duckdb"
        ) from fault
    with connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def limits(folder: WarehouseFolder) -> dict[str, str | bool | int | float | list[str]]:
    """Return what bounds a connection: memory, and the folder where it goes on when that is full."""
    return {"memory_limit": MEMORY_LIMIT, "temp_directory": str(folder.spill)}


@contextmanager
def open_ledger(folder: WarehouseFolder) -> Iterator[DuckDBPyConnection]:
    """Open the ledger; make its bookkeeping tables where they are absent."""
    with open_database(folder, folder.ledger) as connection:
        _make_book(connection)
        yield connection


@contextmanager
def open_marts(folder: WarehouseFolder) -> Iterator[DuckDBPyConnection]:
    """Open the marts; make the file where it is absent."""
    make_marts_file(folder)
    with open_database(folder, folder.marts) as connection:
        yield connection


def make_marts_file(folder: WarehouseFolder) -> None:
    """Make the file of the marts where it is absent, in a storage version that older DuckDB clients read."""
    if not folder.marts.exists():
        folder.root.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            path = str(folder.marts).replace("'", "''")
            connection.execute(f"attach '{path}' as marts (storage_version '{PUBLISHED_STORAGE}')")


def read_progress(connection: DuckDBPyConnection) -> Progress:
    """Return how far the warehouse has come."""
    (row,) = connection.execute(
        "select taken_commit, built_commit, build_number, project_digest, whole, remake from book.progress"
    ).fetchall()
    return Progress(*row)


def take_commits(connection: DuckDBPyConnection, *, after: int, manifests: Sequence[Manifest], files: pa.Table) -> None:
    """Remember files that passed the gate and the totals of their newest commit, in one transaction.

    Args:
        connection: The ledger.
        after: Newest commit taken before.
        manifests: The commits after it, in order; nothing happens without any.
        files: Their files, `LAKE_FILES`, shape (n_files,).

    Raises:
        WarehouseStateError: The commits do not follow each other.
    """
    if not manifests:
        return
    expected = list(range(after + 1, after + 1 + len(manifests)))
    if [manifest.commit for manifest in manifests] != expected:
        raise WarehouseStateError(
            f"expected commits {expected[0]} to {expected[-1]}, got {[manifest.commit for manifest in manifests]}"
        )
    newest = manifests[-1]
    totals = _totals_table(newest.totals)
    with _transaction(connection):
        for name, table in (("new_files", files), ("new_totals", totals)):
            connection.register(name, table)
        connection.execute("insert into book.lake_files by name select * from new_files")
        connection.execute("delete from book.partition_totals")
        connection.execute("insert into book.partition_totals by name select * from new_totals")
        connection.execute("update book.progress set taken_commit = ?", [newest.commit])
    connection.unregister("new_files")
    connection.unregister("new_totals")


def begin_build(connection: DuckDBPyConnection, *, is_full: bool) -> None:
    """Remember that the marts are about to change, so that a build which dies halfway is not taken for whole."""
    connection.execute("update book.progress set whole = false, remake = remake or ?", [is_full])


def finish_build(
    ledger: DuckDBPyConnection, marts: DuckDBPyConnection, *, built_commit: int, project_digest: str, now: datetime
) -> None:
    """Remember that the marts hold everything up to `built_commit`.

    The marts are stamped first. Between the two they are one build ahead of the ledger, which the next build mends.
    """
    number = read_progress(ledger).build_number + 1
    marts.execute("create schema if not exists audit")
    marts.execute(
        """
        create or replace table audit.publication as
        select ?::bigint as build_number, ?::bigint as built_commit, ?::timestamptz as built_at
        """,
        [number, built_commit, now],
    )
    ledger.execute(
        "update book.progress set built_commit = ?, build_number = ?, project_digest = ?, whole = true, remake = false",
        [built_commit, number, project_digest],
    )


def stamped_build(marts: DuckDBPyConnection) -> tuple[int, int, datetime] | None:
    """Return number, commit and time of the build that made the marts; None for marts that no build finished."""
    try:
        rows = marts.execute("select build_number, built_commit, built_at from audit.publication").fetchall()
    except duckdb.CatalogException:
        return None
    number, commit, at = rows[0]
    return int(number), int(commit), at


def pico_to_usd(pico: Sequence[int]) -> pa.Array:
    """Return whole pico-USD as decimals, shape (n,). Unit: USD."""
    return pa.array(pico, pa.decimal128(38, 0)).view(COST)


def _totals_table(totals: dict[str, dict[int, PartitionTotals]]) -> pa.Table:
    each = [(topic, partition, total) for topic, group in totals.items() for partition, total in group.items()]
    columns = {
        "topic": [topic for topic, _, _ in each],
        "kafka_partition": [partition for _, partition, _ in each],
        **{
            name: [getattr(total, name.removesuffix("_offsets")) for _, _, total in each]
            for name in PARTITION_TOTALS.names[2:-1]
        },
        "list_cost": pico_to_usd([total.list_cost_pico_usd for _, _, total in each]),
    }
    return pa.table(columns, schema=PARTITION_TOTALS)


def _make_book(connection: DuckDBPyConnection) -> None:
    with _transaction(connection):
        connection.execute("create schema if not exists book")
        for name, schema in (("lake_files", LAKE_FILES), ("partition_totals", PARTITION_TOTALS)):
            connection.register("shape", schema.empty_table())
            connection.execute(f"create table if not exists book.{name} as select * from shape")
            connection.unregister("shape")
        connection.execute(
            """
            create table if not exists book.progress as
            select
                0::bigint as taken_commit,
                0::bigint as built_commit,
                0::bigint as build_number,
                '' as project_digest,
                true as whole,
                false as remake
            """
        )


@contextmanager
def _transaction(connection: DuckDBPyConnection) -> Iterator[None]:
    connection.execute("begin")
    try:
        yield
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")
