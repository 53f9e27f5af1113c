"""What the lake tells of its own state, and as metrics."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tollbook.health.book_metrics import FILES_SECONDS, BookMetrics
from tollbook.health.lake import Counts, lake_health
from tollbook.lake.expiry import Retention, expire
from tollbook.lake.manifest import FileEntry, Manifest, PartitionTotals, commit, manifest_path
from tollbook.lake.snapshot import write_checkpoint
from tollbook.settings import Settings

NOTHING_KEPT = Retention(commits=1, every_commit=timedelta(0), checkpoint_every=timedelta(hours=1))


def totals(records: int, rejected: int = 0, **told: Any) -> dict[str, dict[int, PartitionTotals]]:
    """Return running totals of one partition."""
    return {
        "llm.usage": {
            0: PartitionTotals(
                first_offset=0,
                next_offset=records,
                records=records,
                usage_rows=records - rejected,
                reject_rows=rejected,
                **told,
            )
        }
    }


@pytest.fixture
def lake(tmp_path: Path, manifest: Callable[..., Manifest], noon: datetime) -> Path:
    """A lake of three commits: two days ago, a bit more than a day ago, and a second ago."""
    folder = tmp_path / "lake"
    ago = (timedelta(days=2), timedelta(days=1, minutes=1), timedelta(seconds=1))
    for number, (since, read, rejected) in enumerate(zip(ago, (100, 150, 400), (0, 9, 10), strict=True), 1):
        event_at = noon - since - timedelta(minutes=number)
        entry = FileEntry(table="usage", path=f"usage/{number}", event_date="2026-06-01", rows=read, bytes=10 * number)
        commit(
            folder,
            manifest(
                commit=number,
                committed_at=noon - since,
                files=[entry],
                totals=totals(read, rejected, newest_event_at=event_at, input_tokens=7 * read, lost=3),
            ),
        )
    return folder


def test_a_lake_without_commits_tells_nothing(tmp_path: Path, noon: datetime) -> None:
    """As before the first meter."""
    assert lake_health(tmp_path / "lake", noon) is None


def test_the_last_day_is_what_came_after_the_newest_commit_before_it(lake: Path, noon: datetime) -> None:
    """400 - 150 records, 10 - 9 dead letters; the second commit is a minute too old."""
    found = lake_health(lake, noon)
    assert found is not None
    assert found.last_day == Counts(records=250, accepted=249, rejected=1)
    assert found.newest_event_at == noon - timedelta(seconds=1) - timedelta(minutes=3)
    assert (found.manifest.commit, found.lost) == (3, 3)


def test_a_book_younger_than_a_day_counts_from_its_beginning(lake: Path, noon: datetime) -> None:
    """All of it was read in the last day."""
    found = lake_health(lake, noon - timedelta(days=1, hours=1))
    assert found is not None
    assert found.last_day == Counts(records=400, accepted=390, rejected=10)


def test_a_manifest_that_has_expired_is_found_in_its_checkpoint(
    lake: Path, noon: datetime, manifest: Callable[..., Manifest]
) -> None:
    """A year of commits keeps few manifests; the past is in checkpoints."""
    manifest_path(lake, 3).rename(lake / "third")
    assert write_checkpoint(lake) == 2
    (lake / "third").rename(manifest_path(lake, 3))
    expired = expire(lake, now=noon, retention=NOTHING_KEPT)
    assert (expired.manifests, manifest_path(lake, 2).exists()) == (2, False)
    found = lake_health(lake, noon)
    assert found is not None
    assert found.last_day == Counts(records=250, accepted=249, rejected=1)


class Clock:
    """A monotonic clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_lake_as_metrics(lake: Path, noon: datetime, manifest: Callable[..., Manifest]) -> None:
    """Counters are those of the manifest, so that a restart does not reset them."""
    clock = Clock()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(BookMetrics(Settings(home=lake.parent), clock))
    place = {"topic": "llm.usage", "partition": "0"}
    told = registry.get_sample_value
    assert told("tollbook_records_total", place) == 400
    assert told("tollbook_accepted_events_total", place) == 390
    assert told("tollbook_rejected_records_total", place) == 10
    assert told("tollbook_skipped_offsets_total", place | {"kind": "lost"}) == 3
    assert told("tollbook_tokens_total", {"topic": "llm.usage", "direction": "input"}) == 2_800
    assert told("tollbook_committed_offset", place) == 400
    assert told("tollbook_commit_number") == 3
    assert told("tollbook_epoch") == 2
    assert told("tollbook_newest_commit_timestamp_seconds") == (noon - timedelta(seconds=1)).timestamp()
    assert told("tollbook_newest_event_timestamp_seconds", {"topic": "llm.usage"}) == noon.timestamp() - 181
    assert told("tollbook_lake_files", {"table": "usage"}) == 3
    assert told("tollbook_lake_bytes", {"table": "usage"}) == 60
    assert told("tollbook_build_success") is None
    free, whole = told("tollbook_home_free_bytes"), told("tollbook_home_size_bytes")
    assert free is not None
    assert whole is not None
    assert 0 < free < whole

    # Two files are compacted to one: counted anew when the count is old enough.
    merged = FileEntry(table="usage", path="usage/m", event_date="2026-06-01", rows=250, bytes=20)
    removed = ["usage/1", "usage/2"]
    commit(lake, manifest(commit=4, kind="compaction", files=[merged], removed=removed, totals=totals(400, 10)))
    assert told("tollbook_lake_files", {"table": "usage"}) == 3
    clock.now = FILES_SECONDS + 1
    assert told("tollbook_lake_files", {"table": "usage"}) == 2
    assert told("tollbook_lake_bytes", {"table": "usage"}) == 50


def test_a_home_without_a_lake_still_tells_its_disk(tmp_path: Path) -> None:
    """A meter that waits for its first record is watched too."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(BookMetrics(Settings(home=tmp_path / "not" / "there")))
    assert registry.get_sample_value("tollbook_commit_number") is None
    assert registry.get_sample_value("tollbook_home_free_bytes") is not None
