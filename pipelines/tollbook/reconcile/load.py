"""Loading what a vendor exported: read whole, held against what is known, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tollbook.errors import MisuseError
from tollbook.rating.units import load_names
from tollbook.reconcile.reports.read import read_report
from tollbook.reconcile.store import ReportEntry, add_report, newest_report, reports
from tollbook.settings import Settings


@dataclass(frozen=True, slots=True)
class LoadedReport:
    """What loading did.

    Attributes:
        entry: The report, as the log has it.
        is_new: Whether it was added; False where the newest report of the vendor is of the same files.
    """

    entry: ReportEntry
    is_new: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "report": self.entry.sequence,
            "is_new": self.is_new,
            "vendor": self.entry.vendor,
            "recorded_at": self.entry.recorded_at.isoformat(),
            "files": [asdict(each) for each in self.entry.sources],
            "covers": [
                asdict(each) | {"first": each.first.isoformat(), "end": each.end.isoformat()}
                for each in self.entry.covers
            ],
        }


def load_report(
    paths: Sequence[Path],
    settings: Settings,
    *,
    vendor: str,
    author: str,
    reason: str,
    now: datetime,
    services: Sequence[str] = (),
) -> LoadedReport:
    """Read files of one report and keep them; a file with a fault refuses all of them.

    Args:
        paths: The files.
        settings: Where the book lives.
        vendor: Who reports, as providers of events and invoices name it.
        author: Who loads it.
        reason: Why.
        now: The present, with a time zone.
        services: Services of a FOCUS export that are taken beside those of AI.

    Raises:
        MisuseError: A text is empty, or the vendor's reports go by another of its names.
        ReferenceDataError: A file is absent or has a fault.
        LakeWriteError: The disk is full or read-only.
    """
    for name, told in (("--vendor", vendor), ("--author", author), ("--reason", reason)):
        if not told.strip():
            raise MisuseError(f"expected a text beside {name}, got an empty one")
    provider_of = load_names().provider
    for entry in reports(settings.lake):
        if entry.vendor != vendor and provider_of(entry.vendor) == provider_of(vendor):
            raise MisuseError(f"expected reports of one vendor under one name, {entry.vendor!r} so far, got {vendor!r}")
    report = read_report(paths, vendor, services)
    before = newest_report(settings.lake)
    entry = add_report(settings.lake, report, author=author, reason=reason, recorded_at=now)
    return LoadedReport(entry, entry.sequence > before)
