"""The book as metrics: what its lake, its last build and its disk say at the moment of a scrape."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tollbook import metrics
from tollbook.health.disk import nearest_folder
from tollbook.health.lake import newest_event
from tollbook.lake.manifest import Manifest, PartitionTotals, newest
from tollbook.lake.snapshot import load_snapshot
from tollbook.settings import Settings
from tollbook.warehouse.record import build_families, read_record

if TYPE_CHECKING:
    from prometheus_client import Metric as Family

FILES_SECONDS = 60.0
"""How long a count of the lake's files is good for: to count them is to read a checkpoint."""

_SKIPPED = ("tombstones", "control", "aborted", "missing", "lost")


class BookMetrics:
    """Collects the metrics of one home, all from files that are whole at any moment; it waits for nobody."""

    def __init__(self, settings: Settings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._monotonic = settings, monotonic
        self._counted_at = float("-inf")
        self._files: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def collect(self) -> Iterator[Family]:
        """Yield the families of one scrape.

        Raises:
            CorruptManifestError: The lake cannot be read; the scrape fails, as it should.
            WarehouseStateError: The record of the last build cannot be read.
        """
        manifest = newest(self._settings.lake)
        if manifest is not None:
            yield from _commit_families(manifest)
            yield from _partition_families(manifest)
            yield from self._file_families()
        yield from build_families(read_record(self._settings))
        disk = shutil.disk_usage(nearest_folder(self._settings.home))
        yield from metrics.single(metrics.HOME_FREE, disk.free)
        yield from metrics.single(metrics.HOME_SIZE, disk.total)

    def _file_families(self) -> Iterator[Family]:
        if self._monotonic() - self._counted_at > FILES_SECONDS:
            snapshot = load_snapshot(self._settings.lake)
            files = snapshot.files if snapshot is not None else ()
            self._files = Counter(file.entry.table for file in files)
            self._bytes = Counter()
            for file in files:
                self._bytes[file.entry.table] += file.entry.bytes
            self._counted_at = self._monotonic()
        for metric, counts in ((metrics.LAKE_FILES, self._files), (metrics.LAKE_BYTES, self._bytes)):
            yield metrics.family(metric, [((table,), count) for table, count in sorted(counts.items())])


def _commit_families(manifest: Manifest) -> Iterator[Family]:
    yield from metrics.single(metrics.NEWEST_COMMIT, manifest.committed_at.timestamp())
    yield from metrics.single(metrics.COMMIT, manifest.commit)
    yield from metrics.single(metrics.EPOCH, manifest.epoch)
    events = [(topic, newest_event(each.values())) for topic, each in sorted(manifest.totals.items())]
    told = [((topic,), at.timestamp()) for topic, at in events if at is not None]
    yield metrics.family(metrics.NEWEST_EVENT, told)


def _partition_families(manifest: Manifest) -> Iterator[Family]:
    places = [
        ((topic, str(partition)), total)
        for topic, each in sorted(manifest.totals.items())
        for partition, total in sorted(each.items())
    ]
    counted: tuple[tuple[metrics.Metric, Callable[[PartitionTotals], int]], ...] = (
        (metrics.RECORDS, lambda total: total.records),
        (metrics.ACCEPTED, lambda total: total.usage_rows),
        (metrics.REJECTED, lambda total: total.reject_rows),
        (metrics.SILENT, lambda total: total.silent_records),
        (metrics.COMMITTED_OFFSET, lambda total: total.next_offset),
    )
    for metric, value in counted:
        yield metrics.family(metric, [(place, value(total)) for place, total in places])
    yield metrics.family(
        metrics.SKIPPED_OFFSETS,
        [((*place, kind), getattr(total, kind)) for place, total in places for kind in _SKIPPED],
    )
    yield metrics.family(
        metrics.TOKENS,
        [
            ((topic, direction), sum(getattr(total, f"{direction}_tokens") for total in each.values()))
            for topic, each in sorted(manifest.totals.items())
            for direction in ("input", "output")
        ],
    )
