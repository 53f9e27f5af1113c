"""A following meter as metrics: what it saw of Kafka, and what its commits took."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from threading import Lock
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram

from tollbook import metrics
from tollbook.lake.manifest import METER, Manifest

if TYPE_CHECKING:
    from prometheus_client import Metric as Family

Place = tuple[str, int]

_DURATION_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
_LOOKS_KEPT = 256


class MeterMetrics:
    """Observes one meter and collects its metrics; the meter's thread observes, the server's collects.

    The watermark of a partition is the last look at Kafka whose end has since been committed: all that Kafka held then
    is in the book. It stands still while the meter is behind, whatever clocks wrote into the records.
    """

    def __init__(self) -> None:
        own = CollectorRegistry(auto_describe=False)
        self._seconds = Histogram(
            metrics.COMMIT_DURATION.name, metrics.COMMIT_DURATION.help, registry=own, buckets=_DURATION_BUCKETS
        )
        self._bytes = Counter(
            metrics.WRITTEN_BYTES.name, metrics.WRITTEN_BYTES.help, metrics.WRITTEN_BYTES.labels, registry=own
        )
        self._files = Counter(
            metrics.WRITTEN_FILES.name, metrics.WRITTEN_FILES.help, metrics.WRITTEN_FILES.labels, registry=own
        )
        self._repeats = Counter(metrics.STREAM_REPEATS.name, metrics.STREAM_REPEATS.help, registry=own)
        self._own = own
        self._lock = Lock()
        self._asked_at: datetime | None = None
        self._lag: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}
        self._committed: dict[Place, int] = {}
        self._watermarks: dict[Place, datetime] = {}
        self._looks: deque[tuple[datetime, dict[Place, int]]] = deque()

    def looked(self, ends: Mapping[Place, int], committed: Mapping[Place, int], at: datetime) -> None:
        """Note what Kafka held at a moment.

        Args:
            ends: Offset after the last that may be read, by partition, as the book counts.
            committed: Offset after the last in the book; a partition that is new may be absent or at its first.
            at: When Kafka was asked, UTC.
        """
        with self._lock:
            self._asked_at = at
            self._ends = dict(ends)
            if len(self._looks) == _LOOKS_KEPT:
                # Every second one is enough for so long a time: the watermark lags a little more, and stays true.
                self._looks = deque(look for number, look in enumerate(self._looks) if number % 2)
            self._looks.append((at, self._ends))
            self._advance(committed)

    def committed(self, manifest: Manifest, seconds: float) -> None:
        """Note a commit of the meter.

        Args:
            manifest: The newest commit once it was made.
            seconds: How long it took, from the plan to the manifest.
        """
        self._seconds.observe(seconds)
        # Upkeep may have committed after the meter did: its files hold rows that were counted before.
        for file in manifest.files if manifest.kind == METER else ():
            self._bytes.labels(file.table).inc(file.bytes)
            self._files.labels(file.table).inc()
            self._repeats.inc(file.stream_repeats)
        with self._lock:
            self._advance(
                {
                    (topic, partition): offset
                    for topic, each in manifest.offsets.items()
                    for partition, offset in each.items()
                }
            )

    def collect(self) -> Iterator[Family]:
        """Yield the families of one scrape."""
        with self._lock:
            asked_at, lag, watermarks = self._asked_at, dict(self._lag), dict(self._watermarks)
        yield metrics.family(metrics.METER_INFO, [((version("tollbook"),), 1)])
        yield metrics.family(metrics.LAG, [(_labels(place), offsets) for place, offsets in sorted(lag.items())])
        yield metrics.family(
            metrics.WATERMARK, [(_labels(place), at.timestamp()) for place, at in sorted(watermarks.items())]
        )
        yield from metrics.single(metrics.KAFKA_ANSWER, asked_at.timestamp() if asked_at is not None else None)
        for family in self._own.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family

    def _advance(self, committed: Mapping[Place, int]) -> None:
        """Take over offsets that are committed, and move watermarks to the last look that they reach."""
        self._committed.update(committed)
        self._lag = {place: max(0, end - self._committed.get(place, 0)) for place, end in self._ends.items()}
        for at, ends in self._looks:
            for place, end in ends.items():
                if self._committed.get(place, 0) >= end:
                    self._watermarks[place] = at
        while self._looks and all(self._committed.get(place, 0) >= end for place, end in self._looks[0][1].items()):
            self._looks.popleft()


def _labels(place: Place) -> tuple[str, str]:
    return place[0], str(place[1])
