"""The databases of the warehouse, and what it remembers of the lake.

`tollbook.duckdb` holds the marts and nothing else, so that publishing is a copy of the file. `ledger.duckdb` holds the
daily sums that marts are made of and, in schema `book`, what no model makes: the files that passed the gate, the
running totals of the newest commit taken, and how far the build has come. `taken_commit` moves when new files have
passed the gate, `built_commit` only when marts of all their dates are made and balance. So a build that dies leaves
dates that are taken but not built, and the next one makes them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from duckdb import DuckDBPyConnection

from tollbook.errors import WarehouseStateError
from tollbook.lake.manifest import Manifest, PartitionTotals
from tollbook.lake.ratings import RatingEntry
from tollbook.rating.periods.calendar import BillingCalendar
from tollbook.settings import Settings
from tollbook.warehouse.book import PARTITION_TOTALS, Progress, make_book, pico_to_usd, transaction
from tollbook.warehouse.lineage import mark_of_commit, mark_of_rating

MEMORY_LIMIT = "4GB"
PUBLISHED_STORAGE = "v1.2.0"
"""Storage version of the marts: DuckDB from 1.2 on can read the file."""


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
        """The gate's last report on files of commits."""
        return self.root / "gate"

    @property
    def rating_gate(self) -> Path:
        """The gate's last report on files of ratings."""
        return self.root / "gate_ratings"

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
        make_book(connection)
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
        """
        select
            taken_commit, taken_commit_mark, built_commit, taken_rating, taken_rating_mark, built_rating,
            build_number, project_digest, billing_calendar, whole, remake
        from book.progress
        """
    ).fetchall()
    return Progress(*row)


def taken_files(connection: DuckDBPyConnection) -> set[str]:
    """Return the paths of the lake's files that passed the gate and are in force, as far as the ledger knows."""
    return {path for (path,) in connection.execute("select path from book.lake_files").fetchall()}


def take_commits(
    connection: DuckDBPyConnection, *, newest: Manifest, files: pa.Table, replaced: Iterable[str] = ()
) -> None:
    """Remember files that passed the gate and the totals of the newest commit, in one transaction.

    Args:
        connection: The ledger.
        newest: The commit up to which files were taken.
        files: Files that came into force since the commit taken before, `LAKE_FILES`, shape (n_files,).
        replaced: Paths of those that are no longer in force.
    """
    tables = {
        "new_files": files,
        "replaced_files": pa.table({"path": pa.array(sorted(replaced), pa.string())}),
        "new_totals": _totals_table(newest.totals),
    }
    with transaction(connection):
        for name, table in tables.items():
            connection.register(name, table)
        connection.execute("delete from book.lake_files where path in (select path from replaced_files)")
        connection.execute("insert into book.lake_files by name select * from new_files")
        connection.execute("delete from book.partition_totals")
        connection.execute("insert into book.partition_totals by name select * from new_totals")
        connection.execute(
            "update book.progress set taken_commit = ?, taken_commit_mark = ?", [newest.commit, mark_of_commit(newest)]
        )
    for name in tables:
        connection.unregister(name)


def take_rating(connection: DuckDBPyConnection, *, entry: RatingEntry, files: pa.Table) -> None:
    """Remember the files of one entry of the ratings, which passed the gate, in one transaction.

    Args:
        connection: The ledger.
        entry: The entry.
        files: Its files, `RATING_FILES`, shape (n_files,).

    Raises:
        WarehouseStateError: It does not follow the entry taken before.
    """
    with transaction(connection):
        taken = read_progress(connection).taken_rating
        if entry.sequence != taken + 1:
            raise WarehouseStateError(f"expected rating {taken + 1}, got {entry.sequence}")
        connection.register("new_files", files)
        connection.execute("insert into book.rating_files by name select * from new_files")
        connection.execute(
            "update book.progress set taken_rating = ?, taken_rating_mark = ?", [entry.sequence, mark_of_rating(entry)]
        )
    connection.unregister("new_files")


def begin_build(connection: DuckDBPyConnection, *, is_full: bool) -> None:
    """Remember that the marts are about to change, so that a build which dies halfway is not taken for whole."""
    connection.execute("update book.progress set whole = false, remake = remake or ?", [is_full])


def finish_build(
    ledger: DuckDBPyConnection,
    marts: DuckDBPyConnection,
    *,
    built_commit: int,
    built_rating: int,
    project_digest: str,
    calendar: BillingCalendar,
    now: datetime,
) -> None:
    """Remember that the marts hold everything up to `built_commit` and `built_rating`.

    The marts are stamped first. Between the two they are one build ahead of the ledger, which the next build mends.
    """
    number = read_progress(ledger).build_number + 1
    marts.execute("create schema if not exists audit")
    marts.execute(
        """
        create or replace table audit.publication as
        select
            ?::bigint as build_number,
            ?::bigint as built_commit,
            ?::bigint as built_rating,
            ?::timestamptz as built_at,
            ?::varchar as billing_calendar
        """,
        [number, built_commit, built_rating, now, calendar.version],
    )
    ledger.execute(
        """
        update book.progress
        set
            built_commit = ?, built_rating = ?, build_number = ?, project_digest = ?, billing_calendar = ?,
            whole = true, remake = false
        """,
        [built_commit, built_rating, number, project_digest, calendar.version],
    )


def stamped_build(marts: DuckDBPyConnection) -> tuple[int, int, datetime] | None:
    """Return number, commit and time of the build that made the marts; None for marts that no build finished."""
    try:
        rows = marts.execute("select build_number, built_commit, built_at from audit.publication").fetchall()
    except duckdb.CatalogException:
        return None
    number, commit, at = rows[0]
    return int(number), int(commit), at


def _totals_table(totals: dict[str, dict[int, PartitionTotals]]) -> pa.Table:
    each = [(topic, partition, total) for topic, group in totals.items() for partition, total in group.items()]
    columns = {
        "topic": [topic for topic, _, _ in each],
        "kafka_partition": [partition for _, partition, _ in each],
        **{
            name: [getattr(total, name.removesuffix("_offsets")) for _, _, total in each]
            for name in PARTITION_TOTALS.names[2:-2]
        },
        "list_cost": pico_to_usd([total.list_cost_pico_usd for _, _, total in each]),
        "contracted_cost": pico_to_usd([total.contracted_cost_pico_usd for _, _, total in each]),
    }
    return pa.table(columns, schema=PARTITION_TOTALS)
