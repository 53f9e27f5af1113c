"""What a meter tells of itself: lag, watermark and commits, as an observer of its loop counts them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tollbook.health.meter_metrics import MeterMetrics
from tollbook.lake.manifest import FileEntry, Manifest

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
FIRST, SECOND = ("llm.usage", 0), ("llm.usage", 1)


class Scrape:
    """Reads the values that a scrape would show."""

    def __init__(self, metrics: MeterMetrics) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(metrics)

    def of(self, name: str, **labels: str) -> float | None:
        """Return a value, None where there is no such series."""
        return self._registry.get_sample_value(name, labels)

    def place(self, name: str, place: tuple[str, int]) -> float | None:
        """Return a value of a partition."""
        return self.of(name, topic=place[0], partition=str(place[1]))


def manifest(offsets: dict[int, int], *files: FileEntry) -> Manifest:
    """Return a commit up to offsets of `llm.usage`."""
    told: dict[str, Any] = {"catalogue_version": "c", "reference_version": "r", "schema_versions": {}, "totals": {}}
    return Manifest(
        commit=1, epoch=1, writer="w", committed_at=NOON, files=list(files), offsets={"llm.usage": offsets}, **told
    )


def seconds(at: datetime) -> float:
    """Return an instant as Prometheus has it."""
    return at.timestamp()


def test_lag_is_what_kafka_holds_beyond_the_book() -> None:
    """By partition, and less by what a commit took."""
    metrics = MeterMetrics()
    scrape = Scrape(metrics)
    assert scrape.place("tollbook_lag_offsets", FIRST) is None
    metrics.looked({FIRST: 10, SECOND: 7}, {FIRST: 4, SECOND: 7}, NOON)
    assert scrape.place("tollbook_lag_offsets", FIRST) == 6
    assert scrape.place("tollbook_lag_offsets", SECOND) == 0
    metrics.committed(manifest({0: 9, 1: 7}), 0.2)
    assert scrape.place("tollbook_lag_offsets", FIRST) == 1
    assert scrape.of("tollbook_kafka_answer_timestamp_seconds") == seconds(NOON)


def test_the_watermark_is_the_last_look_that_is_committed_whole() -> None:
    """It stands while the meter is behind, though commits go on, and jumps when it has caught up with a look."""
    metrics = MeterMetrics()
    scrape = Scrape(metrics)
    metrics.looked({FIRST: 10}, {FIRST: 0}, NOON)
    assert scrape.place("tollbook_watermark_timestamp_seconds", FIRST) is None
    metrics.committed(manifest({0: 10}), 0.1)
    assert scrape.place("tollbook_watermark_timestamp_seconds", FIRST) == seconds(NOON)
    later = [NOON + timedelta(seconds=second) for second in range(1, 4)]
    for at, end in zip(later, (20, 30, 40), strict=True):
        metrics.looked({FIRST: end}, {FIRST: 10}, at)
    assert scrape.place("tollbook_watermark_timestamp_seconds", FIRST) == seconds(NOON)
    metrics.committed(manifest({0: 35}), 0.1)
    assert scrape.place("tollbook_watermark_timestamp_seconds", FIRST) == seconds(later[1])
    metrics.looked({FIRST: 40}, {FIRST: 40}, NOON + timedelta(seconds=9))
    assert scrape.place("tollbook_watermark_timestamp_seconds", FIRST) == seconds(NOON + timedelta(seconds=9))


def test_a_slow_partition_does_not_hold_back_the_watermark_of_another() -> None:
    """Each partition has its own."""
    metrics = MeterMetrics()
    scrape = Scrape(metrics)
    metrics.looked({FIRST: 10, SECOND: 10}, {FIRST: 10, SECOND: 0}, NOON)
    assert scrape.place("tollbook_watermark_timestamp_seconds", FIRST) == seconds(NOON)
    assert scrape.place("tollbook_watermark_timestamp_seconds", SECOND) is None


def test_a_long_backlog_keeps_few_looks_and_a_true_watermark() -> None:
    """The meter's memory does not grow; the watermark is never later than the truth, and at most a little earlier."""
    metrics = MeterMetrics()
    scrape = Scrape(metrics)
    for number in range(3_000):
        metrics.looked({FIRST: 100 + number}, {FIRST: 0}, NOON + timedelta(seconds=number))
    assert len(metrics._looks) <= 256
    metrics.committed(manifest({0: 100 + 2_500}), 0.1)
    watermark = scrape.place("tollbook_watermark_timestamp_seconds", FIRST)
    assert watermark is not None
    # Looks were thinned four times at the most around there: every sixteenth second was kept.
    assert seconds(NOON + timedelta(seconds=2_484)) <= watermark <= seconds(NOON + timedelta(seconds=2_500))


def test_commits_are_timed_and_their_files_counted() -> None:
    """Bytes by table, and how many commits took how long."""
    metrics = MeterMetrics()
    scrape = Scrape(metrics)
    usage = FileEntry(table="usage", path="a", event_date="2026-06-01", rows=3, bytes=300, stream_repeats=2)
    minutes = FileEntry(table="usage_minute", path="b", event_date="2026-06-01", rows=1, bytes=40)
    metrics.committed(manifest({0: 3}, usage, minutes), 0.25)
    metrics.committed(manifest({0: 6}, usage), 0.4)
    assert scrape.of("tollbook_written_bytes_total", table="usage") == 600
    assert scrape.of("tollbook_written_files_total", table="usage_minute") == 1
    assert scrape.of("tollbook_stream_repeats_total") == 4
    assert scrape.of("tollbook_commit_duration_seconds_count") == 2
    assert scrape.of("tollbook_commit_duration_seconds_sum") == pytest.approx(0.65)
    assert scrape.of("tollbook_commit_duration_seconds_bucket", le="0.3") == 1
    assert scrape.of("tollbook_commit_duration_seconds_created") is None
