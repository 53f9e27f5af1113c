"""The live aggregates beside the published file, for who asks it: `live.usage_by_minute`, `live.usage_since_build`."""

from __future__ import annotations

from pathlib import Path

from duckdb import DuckDBPyConnection

from tollbook.contracts import contract
from tollbook.lake.live_file import commit_of_version, live_path

_SQL_TYPES = {"string": "varchar", "int64": "bigint", "bool": "boolean", "timestamp[us, tz=UTC]": "timestamptz"}


def add_live_views(connection: DuckDBPyConnection, published: Path) -> None:
    """Let a connection to a published file see the live aggregates; they are empty where no meter follows.

    `live.usage_by_minute` is the spend of the last hours and all since the build. `live.usage_since_build` is what the
    opened file does not have yet, so that both can be added; it is empty for the moment in which a build is published
    and the meter has not told yet what came after it: never is a call in both.

    Args:
        connection: Opened on `published`.
        published: The published file, its link resolved.
    """
    path = live_path(published.parent)
    built = commit_of_version(published.name)
    rows = f"read_parquet('{_quoted(path)}')" if path.is_file() else f"({_no_rows()})"
    connection.execute("attach ':memory:' as live (read_write)")
    connection.execute(f"create view live.usage_by_minute as select * exclude (base_commit) from {rows}")
    connection.execute(
        "create view live.usage_since_build as select * exclude (base_commit, is_since_build) "
        f"from {rows} where is_since_build and base_commit = {built}"
    )


def _no_rows() -> str:
    columns = ", ".join(
        f"cast(null as {_SQL_TYPES.get(str(field.type), 'decimal(38, 12)')}) as {field.name}"
        for field in contract("live_usage").arrow_schema
    )
    return f"select {columns} where false"


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
