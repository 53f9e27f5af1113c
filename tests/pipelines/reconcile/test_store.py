"""Reports in the lake: what stands when, and that nothing is edited."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tollbook.errors import CorruptManifestError, MisuseError
from tollbook.reconcile.load import load_report
from tollbook.reconcile.reports.read import ReportFile, VendorReport, covers
from tollbook.reconcile.reports.rows import Source, vendor_usage_table
from tollbook.reconcile.store import add_report, newest_report, read_standing, reports
from tollbook.settings import Settings

Told = tuple[str, str, int]


def at(text: str) -> datetime:
    """Return an instant of June 2026, such as `01T12`."""
    return datetime.fromisoformat(f"2026-06-{text}:00:00+00:00")


def report(*buckets: Told, vendor: str = "openai", scope: str = "completions") -> VendorReport:
    """Return a report of buckets, each with its tokens."""
    source = Source(vendor, "f", "f", repr((buckets, scope)).encode())
    rows = [
        source.row(place, "usage", scope, at(start), at(end), total_tokens=tokens)
        for place, (start, end, tokens) in enumerate(buckets, start=1)
    ]
    files = (ReportFile("f", source.digest, len(rows), 0),)
    return VendorReport(vendor, files, covers(rows), vendor_usage_table(rows))


def add(lake: Path, told: VendorReport, day: str) -> int:
    """Add a report that became known at noon of a day; return its number."""
    return add_report(lake, told, author="a", reason="r", recorded_at=at(f"{day}T12")).sequence


def standing(lake: Path, known_at: datetime | None = None) -> list[Told]:
    """Return the buckets that stand, with their tokens."""
    rows = read_standing(lake, known_at).sort_by("bucket_start").to_pylist()
    return [(f"{r['bucket_start']:%dT%H}", f"{r['bucket_end']:%dT%H}", r["total_tokens"]) for r in rows]


def test_a_later_report_of_the_same_time_supersedes_and_the_past_can_be_asked_for(tmp_path: Path) -> None:
    """The second report knows more of the 2nd and adds the 3rd."""
    add(tmp_path, report(("01T00", "02T00", 1), ("02T00", "03T00", 2)), "03")
    add(tmp_path, report(("02T00", "03T00", 20), ("03T00", "04T00", 3)), "04")
    assert standing(tmp_path) == [("01T00", "02T00", 1), ("02T00", "03T00", 20), ("03T00", "04T00", 3)]
    assert standing(tmp_path, at("03T13")) == [("01T00", "02T00", 1), ("02T00", "03T00", 2)]
    assert standing(tmp_path, at("02T00")) == []


def test_a_query_that_begins_within_a_day_takes_nothing_of_that_day_away(tmp_path: Path) -> None:
    """A sliding window of 30 days tells the rest of a day of which all is known."""
    add(tmp_path, report(("01T00", "02T00", 24)), "02")
    add(tmp_path, report(("01T17", "02T00", 7), ("02T00", "03T00", 2)), "03")
    assert standing(tmp_path) == [("01T00", "02T00", 24), ("02T00", "03T00", 2)]


def test_two_halves_of_a_day_stand_beside_each_other(tmp_path: Path) -> None:
    """The end of one query and the beginning of the next."""
    add(tmp_path, report(("01T00", "01T17", 17)), "02")
    add(tmp_path, report(("01T17", "02T00", 7)), "03")
    assert standing(tmp_path) == [("01T00", "01T17", 17), ("01T17", "02T00", 7)]


def test_finer_buckets_of_the_whole_day_supersede_it(tmp_path: Path) -> None:
    """And a whole day supersedes its halves."""
    add(tmp_path, report(("01T00", "02T00", 24)), "02")
    add(tmp_path, report(("01T00", "01T12", 10), ("01T12", "02T00", 15)), "03")
    assert standing(tmp_path) == [("01T00", "01T12", 10), ("01T12", "02T00", 15)]
    add(tmp_path, report(("01T00", "02T00", 26)), "04")
    assert standing(tmp_path) == [("01T00", "02T00", 26)]


def test_reports_of_other_scopes_and_vendors_stand_beside_each_other(tmp_path: Path) -> None:
    """Embeddings are no correction of completions."""
    add(tmp_path, report(("01T00", "02T00", 1)), "02")
    add(tmp_path, report(("01T00", "02T00", 2), scope="embeddings"), "02")
    add(tmp_path, report(("01T00", "02T00", 3), vendor="other"), "02")
    assert sorted(tokens for _, _, tokens in standing(tmp_path)) == [1, 2, 3]


def test_the_same_files_again_write_nothing_and_time_goes_forward(tmp_path: Path) -> None:
    """A timer may load what it loaded; a clock that was set back does not change what was known when."""
    first = report(("01T00", "02T00", 1))
    assert [add(tmp_path, first, "05"), add(tmp_path, first, "06")] == [1, 1]
    assert add(tmp_path, report(("01T00", "02T00", 2)), "04") == 2
    assert [entry.recorded_at for entry in reports(tmp_path)] == [at("05T12"), at("05T12")]
    assert newest_report(tmp_path) == 2


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    """A build must not reconcile by half of the reports."""
    add(tmp_path, report(("01T00", "02T00", 1)), "02")
    next((tmp_path / "vendor_usage").glob("*.parquet")).unlink()
    with pytest.raises(CorruptManifestError, match="expected a vendor's report at"):
        read_standing(tmp_path)


def test_a_vendor_goes_by_one_name_and_says_who_and_why(tmp_path: Path) -> None:
    """Two names of one vendor would each be held against all of its usage."""
    settings = Settings(home=tmp_path)
    add(settings.lake, report(("01T00", "02T00", 1)), "02")
    now = datetime(2026, 6, 3, tzinfo=UTC)
    with pytest.raises(MisuseError, match="expected reports of one vendor under one name, 'openai' so far"):
        load_report([tmp_path / "absent"], settings, vendor="OpenAI", author="a", reason="r", now=now)
    with pytest.raises(MisuseError, match="expected a text beside --author"):
        load_report([tmp_path / "absent"], settings, vendor="openai", author=" ", reason="r", now=now)
