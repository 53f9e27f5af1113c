"""Hours of a day that a vendor's buckets do not cover, or cover in part: a query's time cuts its first and last day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any, Final

import duckdb
import pyarrow as pa

_HOURS: Final = 24
WINDOWS_SCHEMA: Final = pa.schema(
    [
        ("vendor", pa.string()),
        ("kind", pa.string()),
        ("usage_date", pa.date32()),
        ("usage_hour", pa.int32()),
        ("window_state", pa.string()),
    ]
)


def hour_windows(connection: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Any]]:
    """Yield the hours of days that a vendor's buckets leave out, and those that they begin or end in."""
    query = """
        select vendor, kind, cast(bucket_start as date), bucket_start, bucket_end from vendor_rows
        where cast(bucket_start as date) = cast(bucket_end - interval 1 microsecond as date)
        group by all order by all
    """
    held: dict[tuple[str, str, date], list[tuple[datetime, datetime]]] = {}
    for vendor, kind, day, start, end in connection.execute(query).fetchall():
        held.setdefault((vendor, kind, day), []).append((start, end))
    for (vendor, kind, day), buckets in held.items():
        for hour, state in cut_hours(buckets):
            yield dict(zip(WINDOWS_SCHEMA.names, (vendor, kind, day, hour, state), strict=True))


def cut_hours(buckets: Iterable[tuple[datetime, datetime]]) -> Iterator[tuple[int, str]]:
    """Yield the hours of a day that its buckets do not cover: `outside`, or `edge` where they cover a part.

    Args:
        buckets: Buckets of one day of UTC, in order; they may overlap.
    """
    merged: list[tuple[datetime, datetime]] = []
    for start, end in buckets:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    midnight = merged[0][0].replace(hour=0, minute=0, second=0, microsecond=0)
    for hour in range(_HOURS):
        begin = midnight + timedelta(hours=hour)
        beyond = begin + timedelta(hours=1)
        covered = sum((max(timedelta(0), min(end, beyond) - max(start, begin)) for start, end in merged), timedelta(0))
        if covered < timedelta(hours=1):
            yield hour, "edge" if covered else "outside"
