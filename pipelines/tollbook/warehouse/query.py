"""Questions in SQL to the published file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import duckdb

from tollbook.errors import NothingPublishedError, QueryError
from tollbook.settings import Settings
from tollbook.warehouse.live import add_live_views
from tollbook.warehouse.publish import PUBLISHED


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows that a query gave.

    Attributes:
        columns: Names of the columns.
        numeric: Whether each column holds numbers.
        rows: Values, a tuple a row.
    """

    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: list[tuple[Any, ...]]

    def as_records(self) -> list[dict[str, Any]]:
        """Return the rows for JSON: decimals as text with every digit, times as RFC 3339, null as null."""
        return [dict(zip(self.columns, (_plain(value) for value in row), strict=True)) for row in self.rows]


def ask(settings: Settings, sql: str) -> Answer:
    """Return what `sql` gives on the published file and the live aggregates. Both are read only; times are in UTC.

    Raises:
        NothingPublishedError: There is no published file yet.
        QueryError: The query is wrong.
    """
    return ask_each(settings, (sql,))[0]


def ask_each(settings: Settings, questions: Sequence[str]) -> list[Answer]:
    """Return what each question gives, all on one published file however often another is published meanwhile.

    Raises:
        NothingPublishedError: There is no published file yet.
        QueryError: A query is wrong.
    """
    path = settings.serve / PUBLISHED
    if not path.exists():
        raise NothingPublishedError(f"expected a published file at {path}, found none: run `tollbook warehouse build`")
    # The link is resolved on each open: a process that opened the link's own path before would see the old file.
    published = path.resolve()
    with duckdb.connect(published, read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        add_live_views(connection, published)
        return [_answer(connection, sql) for sql in questions]


def _answer(connection: duckdb.DuckDBPyConnection, sql: str) -> Answer:
    try:
        answer = connection.execute(sql)
        described = answer.description or []
        rows = answer.fetchall() if described else []
    except duckdb.Error as fault:
        raise QueryError(str(fault)) from fault
    return Answer(
        columns=tuple(column[0] for column in described),
        numeric=tuple(str(column[1]).upper() in _NUMBERS or "DECIMAL" in str(column[1]) for column in described),
        rows=rows,
    )


_NUMBERS = frozenset(
    {"NUMBER", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
    | {"UHUGEINT", "FLOAT", "DOUBLE"}
)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return f"{value:f}" if hasattr(value, "as_tuple") else str(value)
