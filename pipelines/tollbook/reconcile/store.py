"""Vendors' reports in the lake: immutable files, and a numbered log that says who loaded them, when and why.

Entry `vendor_usage/commits/<N>.json` names the file that holds the rows of report N. Nothing is edited: a later report
of the same time supersedes an earlier one from the instant it was recorded, so what was known at any past instant can
be had again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tollbook.errors import CorruptManifestError
from tollbook.lake.log import append, entries_after, log_lock, newest_number, sync_folders
from tollbook.lake.parquet import write_parquet
from tollbook.lake.remote import fetch, machine_suffix
from tollbook.lake.sweep import sweep_log
from tollbook.reconcile.reports.read import Coverage, ReportFile, VendorReport
from tollbook.reconcile.reports.rows import vendor_usage_schema
from tollbook.reconcile.standing import Loaded, standing_rows

VENDOR_USAGE: Final = "vendor_usage"


class _File(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    rows: int
    bytes: int


class ReportEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One report, as the log tells it.

    Attributes:
        sequence: Its number, and the `report_sequence` of its rows.
        vendor: Who reports.
        recorded_at: Since when it is known, UTC.
        author: Who loaded it.
        reason: Why.
        sources: The files that it was read from.
        covers: What time it is about, by kind and scope.
        files: Files of the lake that hold its rows.
    """

    sequence: int
    vendor: str
    recorded_at: datetime
    author: str
    reason: str
    sources: list[ReportFile]
    covers: list[Coverage]
    files: list[_File]


def add_report(lake: Path, report: VendorReport, *, author: str, reason: str, recorded_at: datetime) -> ReportEntry:
    """Make a report part of the book; one that the newest of its vendor equals, file by file, is there already.

    Args:
        lake: Folder of the lake.
        report: What was read.
        author: Who loads it.
        reason: Why.
        recorded_at: Since when it is known, with a time zone. Time goes forward in the log, whatever a clock says.

    Returns:
        Its entry; that of before where nothing was to do.

    Raises:
        CorruptManifestError: Entries are missing or cannot be read.
        LakeWriteError: The disk is full or read-only.
    """
    folder = _log(lake)
    with log_lock(folder, wait=True):
        sweep_log(lake, VENDOR_USAGE)
        entries = reports(lake)
        before = [entry for entry in entries if entry.vendor == report.vendor]
        if before and _content(before[-1].sources) == _content(report.files):
            return before[-1]
        number = len(entries) + 1
        path = f"{VENDOR_USAGE}/vendor_usage-{number:020d}{machine_suffix(lake)}.parquet"
        place = report.table.schema.get_field_index("report_sequence")
        numbered = report.table.set_column(place, "report_sequence", pa.array([number] * report.table.num_rows))
        size = write_parquet(lake, path, numbered.cast(vendor_usage_schema()))
        sync_folders([path], lake)
        entry = ReportEntry(
            sequence=number,
            vendor=report.vendor,
            recorded_at=max([recorded_at.astimezone(UTC), *(each.recorded_at for each in entries[-1:])]),
            author=author,
            reason=reason,
            sources=list(report.files),
            covers=list(report.covers),
            files=[_File(path=path, rows=report.table.num_rows, bytes=size)],
        )
        append(folder, number, msgspec.json.encode(entry))
    return entry


def newest_report(lake: Path) -> int:
    """Return the number of the newest report, 0 when there is none."""
    return newest_number(_log(lake))


def reports(lake: Path, known_at: datetime | None = None) -> list[ReportEntry]:
    """Return the reports that were known at an instant, the oldest first; None for all that are known.

    Raises:
        CorruptManifestError: Entries are missing or cannot be read.
    """
    found = []
    for number, encoded in entries_after(_log(lake), 0):
        try:
            found.append(msgspec.json.decode(encoded, type=ReportEntry))
        except msgspec.MsgspecError as broken:
            raise CorruptManifestError(f"expected entry {number} of {_log(lake)}, got: {broken}") from broken
    return [each for each in found if known_at is None or each.recorded_at <= known_at]


def read_standing(lake: Path, known_at: datetime | None = None) -> pa.Table:
    """Return the rows that stand by what was known at an instant, `vendor_usage/v1`; no two are about one time.

    Raises:
        CorruptManifestError: An entry or a file is absent, or a file does not hold what its entry tells.
    """
    loaded = [Loaded(entry.vendor, tuple(entry.covers), _rows(lake, entry)) for entry in reports(lake, known_at)]
    return standing_rows(loaded)


def _rows(lake: Path, entry: ReportEntry) -> pa.Table:
    tables = []
    for file in entry.files:
        try:
            fetch(lake, {file.path: file.bytes})
            table = pq.read_table(lake / file.path).cast(vendor_usage_schema())
        except (OSError, pa.ArrowInvalid, ValueError) as broken:
            raise CorruptManifestError(f"expected a vendor's report at {lake / file.path}, got: {broken}") from broken
        if table.num_rows != file.rows:
            raise CorruptManifestError(f"expected {file.rows} rows in {lake / file.path}, got {table.num_rows}")
        tables.append(table)
    return pa.concat_tables(tables) if tables else vendor_usage_schema().empty_table()


def _content(files: Sequence[ReportFile]) -> Any:
    return sorted(file.sha256 for file in files)


def _log(lake: Path) -> Path:
    return lake / VENDOR_USAGE / "commits"
