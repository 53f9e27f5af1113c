"""Reading what a vendor exported: files of one report, each by its own format, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from tollbook.errors import DocumentFault, ReferenceDataError
from tollbook.reconcile.reports.focus import SCOPE, is_focus, read_focus
from tollbook.reconcile.reports.pages import read_pages
from tollbook.reconcile.reports.rows import Row, Source, vendor_usage_table

_LARGEST_FILE_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class ReportFile:
    """One file that was read.

    Attributes:
        name: Its name, without its folder.
        sha256: Digest of its bytes.
        rows: Rows taken from it, those of empty buckets included.
        left_out: Rows of other services, which were not.
    """

    name: str
    sha256: str
    rows: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """What time a report is about: `[first, end)` of one kind and scope.

    Attributes:
        kind: `usage` or `cost`.
        scope: Which report of the vendor.
        first: First instant.
        end: First instant after it.
        buckets: Buckets of time in it.
        empty_buckets: Those in which nothing was used.
        partial_days: First and last days, UTC, that buckets shorter than a day leave a part of.
    """

    kind: str
    scope: str
    first: datetime
    end: datetime
    buckets: int
    empty_buckets: int
    partial_days: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VendorReport:
    """Everything that was told in one go.

    Attributes:
        vendor: Who reports.
        files: The files.
        covers: What they are about, by kind and scope.
        table: `vendor_usage/v1`, shape (n_rows,); `report_sequence` is not told yet.
    """

    vendor: str
    files: tuple[ReportFile, ...]
    covers: tuple[Coverage, ...]
    table: pa.Table


def read_report(paths: Sequence[Path], vendor: str, services: Sequence[str] = ()) -> VendorReport:
    """Return what files say; pages of one query belong together.

    Args:
        paths: The files.
        vendor: Who reports, as providers of events and invoices name it.
        services: Services of a FOCUS export that are taken beside those of AI.

    Raises:
        ReferenceDataError: A file is absent or has a fault; each is named with its row, field and rule.
    """
    faults: list[DocumentFault] = []
    rows: list[Row] = []
    files: list[ReportFile] = []
    ends: list[bool] = []
    for path in paths:
        source = Source(vendor, str(path), path.name, _content(path))
        if is_focus(source.content):
            export = read_focus(source, services)
            mine, left_out = export.rows, export.left_out
        else:
            pages = read_pages(source)
            ends.append(pages.ends)
            mine, left_out = pages.rows, 0
        if source.digest in {file.sha256 for file in files}:
            source.fault(1, (), "expected each file once, got one that another is equal to")
        faults += source.faults
        rows += mine
        files.append(ReportFile(path.name, source.digest, len(mine), left_out))
    if ends and not any(ends):
        faults.append(DocumentFault(str(paths[-1]), 1, "has_more", "True", "expected the last page too"))
    faults += _repeated(paths, rows)
    if faults:
        raise ReferenceDataError.of_faults(faults)
    return VendorReport(vendor, tuple(files), covers(rows), vendor_usage_table(rows))


def covers(rows: Sequence[Row]) -> tuple[Coverage, ...]:
    """Return what time rows are about, by kind and scope."""
    held: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        held.setdefault((row["kind"], row["scope"]), []).append(row)
    return tuple(_coverage(*name, members) for name, members in sorted(held.items()))


def _coverage(kind: str, scope: str, rows: Sequence[Row]) -> Coverage:
    first, end = min(row["bucket_start"] for row in rows), max(row["bucket_end"] for row in rows)
    partial = [instant.date().isoformat() for instant in (first, end) if instant.time() != datetime.min.time()]
    return Coverage(
        kind,
        scope,
        first,
        end,
        len({(row["bucket_start"], row["bucket_end"]) for row in rows}),
        len({row["bucket_start"] for row in rows if row["is_empty_bucket"]}),
        tuple(dict.fromkeys(partial)),
    )


def _repeated(paths: Sequence[Path], rows: Sequence[Row]) -> list[DocumentFault]:
    """Return buckets that two files of pages tell; parts of a table share theirs."""
    told: dict[tuple[object, ...], str] = {}
    faults = []
    for row in rows:
        key = (row["kind"], row["scope"], row["bucket_start"], row["bucket_end"])
        before = told.setdefault(key, row["source_digest"])
        if before != row["source_digest"] and row["scope"] != SCOPE:
            path = next(str(path) for path in paths if path.name == row["source_file"])
            rule = "expected each bucket in one file"
            faults.append(DocumentFault(path, row["source_row"], "", row["bucket_start"].isoformat(), rule))
    return faults


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST_FILE_BYTES:
            raise ReferenceDataError(f"expected a file of at most {_LARGEST_FILE_BYTES:,} bytes at {path}")
        return path.read_bytes()
    except OSError as failed:
        raise ReferenceDataError(f"expected a report at {path}, got: {failed.strerror}") from failed
