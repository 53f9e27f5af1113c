"""The published file as a trace reads it: every question on one version of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from tollbook.errors import NothingPublishedError, OutdatedPublicationError
from tollbook.settings import Settings
from tollbook.trace.literals import Value, bound
from tollbook.warehouse.publish import PUBLISHED

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PublishedBook:
    """An open published file.

    Attributes:
        connection: Opened on it, read only, times in UTC.
        built_commit: Newest commit of the lake that it holds.
        built_rating: Newest rating that it holds.
        built_at: When it was built, UTC.
    """

    connection: duckdb.DuckDBPyConnection
    built_commit: int
    built_rating: int
    built_at: datetime

    def rows(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Return the rows of a query, column to value.

        Raises:
            OutdatedPublicationError: The file has no such table or column: it was built by an older version.
        """
        return _rows(self.connection, sql, parameters)


@contextmanager
def published_book(settings: Settings) -> Iterator[PublishedBook]:
    """Open the published file.

    Raises:
        NothingPublishedError: There is none yet.
        OutdatedPublicationError: It was built by an older version.
    """
    path = settings.serve / PUBLISHED
    if not path.exists():
        raise NothingPublishedError(f"expected a published file at {path}, found none: run `tollbook warehouse build`")
    with duckdb.connect(path.resolve(), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        (build,) = _rows(connection, "select built_commit, built_rating, built_at from audit.publication", ())
        yield PublishedBook(connection, **build)


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Value]) -> list[Row]:
    try:
        answer = connection.execute(bound(sql, parameters))
    except (duckdb.CatalogException, duckdb.BinderException) as fault:
        raise OutdatedPublicationError(
            "expected the marts as this version makes them in the published file, built by an older version: run "
            f"`tollbook warehouse build` ({str(fault).splitlines()[0]})"
        ) from fault
    names = [column[0] for column in answer.description or ()]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
