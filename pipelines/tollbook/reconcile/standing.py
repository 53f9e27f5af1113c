"""Which rows of vendors' reports stand: a later report supersedes an earlier one of the same time, and none is edited.

Reports are taken in the order in which they became known. One supersedes every earlier bucket that lies within the
time it covers. Where an earlier bucket reaches beyond that, such as a whole day of which a query that begins at noon
tells the rest, the earlier one stands, and what the later one says of its time is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from tollbook.reconcile.reports.read import Coverage
from tollbook.reconcile.reports.rows import vendor_usage_schema

_Bucket = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A report and its rows.

    Attributes:
        vendor: Who reports.
        covers: What time it is about, by kind and scope.
        rows: `vendor_usage/v1`, shape (n_rows,).
    """

    vendor: str
    covers: tuple[Coverage, ...]
    rows: pa.Table


def standing_rows(reports: Iterable[Loaded]) -> pa.Table:
    """Return the rows that stand, `vendor_usage/v1`, shape (n_rows,); buckets of one vendor and scope do not overlap.

    Args:
        reports: Reports in the order in which they became known.
    """
    standing: dict[tuple[str, str, str], list[pa.Table]] = {}
    for report in reports:
        for cover in report.covers:
            key = (report.vendor, cover.kind, cover.scope)
            mine = report.rows.filter((pc.field("kind") == cover.kind) & (pc.field("scope") == cover.scope))
            kept = [_beyond(table, cover) for table in standing.get(key, ())]
            wider = {bucket for table in kept for bucket in _buckets(table) if _overlap(bucket, cover)}
            standing[key] = [table for table in (*kept, _clear_of(mine, wider)) if table.num_rows]
    tables = [table for held in standing.values() for table in held]
    return pa.concat_tables(tables) if tables else vendor_usage_schema().empty_table()


def _beyond(table: pa.Table, cover: Coverage) -> pa.Table:
    """Return the rows whose buckets do not lie within a time."""
    first, end = (pa.scalar(instant, pa.timestamp("us", "UTC")) for instant in (cover.first, cover.end))
    return table.filter((pc.field("bucket_start") < first) | (pc.field("bucket_end") > end))


def _clear_of(table: pa.Table, wider: set[_Bucket]) -> pa.Table:
    """Return the rows whose buckets overlap none of some others."""
    if not wider:
        return table
    buckets = zip(table.column("bucket_start").to_pylist(), table.column("bucket_end").to_pylist(), strict=True)
    clear = [not any(start < until and since < end for since, until in wider) for start, end in buckets]
    return table.filter(pa.array(clear, pa.bool_()))


def _buckets(table: pa.Table) -> set[_Bucket]:
    told = table.group_by(["bucket_start", "bucket_end"]).aggregate([])
    return set(zip(told.column("bucket_start").to_pylist(), told.column("bucket_end").to_pylist(), strict=True))


def _overlap(bucket: _Bucket, cover: Coverage) -> bool:
    return bucket[0] < cover.end and cover.first < bucket[1]
