"""Every metric that Tollbook tells: its name, type, unit, labels and help, in one list.

Names follow Prometheus: `tollbook_`, base units, `_total` for what only grows. Ages are not told but the instants they
are counted from, so that an age is right whenever it is asked for: `time() - tollbook_newest_event_timestamp_seconds`.
What counts records and tokens counts since the lake began, since the lake remembers it: a restart does not reset it.
There is no metric of money, as Prometheus keeps every number as a float; amounts are in the published file.

What fills these is in `tollbook.health`; a test holds that the dashboard and the alert rules name nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Metric as Family

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"

PLACE = ("topic", "partition")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: As Prometheus stores it; a histogram's series add `_bucket`, `_sum` and `_count`.
        kind: `counter`, `gauge` or `histogram`.
        unit: Unit of its value.
        help: What it counts or measures, in a sentence.
        labels: Names of its labels.
    """

    name: str
    kind: str
    unit: str
    help: str
    labels: tuple[str, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """Names that its samples have."""
        return (
            tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
            if self.kind == HISTOGRAM
            else (self.name,)
        )


# What the lake holds, from its newest manifest.

RECORDS = Metric(
    "tollbook_records_total", COUNTER, "records", "Kafka records read and committed, whatever became of them.", PLACE
)
ACCEPTED = Metric(
    "tollbook_accepted_events_total", COUNTER, "events", "Usage events committed, repeats among them.", PLACE
)
REJECTED = Metric(
    "tollbook_rejected_records_total", COUNTER, "records", "Dead letters committed, each with its reason.", PLACE
)
SILENT = Metric("tollbook_silent_records_total", COUNTER, "records", "Records that told of no call.", PLACE)
SKIPPED_OFFSETS = Metric(
    "tollbook_skipped_offsets_total",
    COUNTER,
    "offsets",
    "Offsets without a record of ours, by kind: tombstones, control, aborted, missing, or lost, which an operator "
    "accepted as gone from Kafka before they were read.",
    (*PLACE, "kind"),
)
TOKENS = Metric(
    "tollbook_tokens_total", COUNTER, "tokens", "Tokens of accepted events, by direction.", ("topic", "direction")
)
COMMITTED_OFFSET = Metric(
    "tollbook_committed_offset", GAUGE, "offsets", "Offset of the book after the newest commit.", PLACE
)
NEWEST_EVENT = Metric(
    "tollbook_newest_event_timestamp_seconds",
    GAUGE,
    "seconds since 1970",
    "When the newest call of the book happened, as its record says.",
    ("topic",),
)
NEWEST_COMMIT = Metric(
    "tollbook_newest_commit_timestamp_seconds", GAUGE, "seconds since 1970", "When the newest commit was made."
)
COMMIT = Metric("tollbook_commit_number", GAUGE, "commits", "Number of the newest commit.")
EPOCH = Metric("tollbook_epoch", GAUGE, "epochs", "Epoch of the newest commit: which meter the lake belongs to.")
LAKE_FILES = Metric("tollbook_lake_files", GAUGE, "files", "Files of the lake in force, by table.", ("table",))
LAKE_BYTES = Metric("tollbook_lake_bytes", GAUGE, "bytes", "Their size, by table.", ("table",))
HOME_FREE = Metric("tollbook_home_free_bytes", GAUGE, "bytes", "Space left for the book on its disk.")
HOME_SIZE = Metric("tollbook_home_size_bytes", GAUGE, "bytes", "Size of that disk.")

# What a following meter sees, since it started.

METER_INFO = Metric("tollbook_meter_info", GAUGE, "1", "The meter that serves this page, always 1.", ("version",))
LAG = Metric("tollbook_lag_offsets", GAUGE, "offsets", "Offsets that Kafka holds and the book does not, yet.", PLACE)
WATERMARK = Metric(
    "tollbook_watermark_timestamp_seconds",
    GAUGE,
    "seconds since 1970",
    "All that Kafka held of the partition at this instant is committed; absent until the meter has caught up once.",
    PLACE,
)
KAFKA_ANSWER = Metric(
    "tollbook_kafka_answer_timestamp_seconds", GAUGE, "seconds since 1970", "When Kafka last answered the meter."
)
COMMIT_DURATION = Metric(
    "tollbook_commit_duration_seconds",
    HISTOGRAM,
    "seconds",
    "How long commits took, from the plan to the manifest.",
)
WRITTEN_BYTES = Metric("tollbook_written_bytes_total", COUNTER, "bytes", "Bytes of files committed.", ("table",))
WRITTEN_FILES = Metric("tollbook_written_files_total", COUNTER, "files", "Files committed.", ("table",))
STREAM_REPEATS = Metric(
    "tollbook_stream_repeats_total",
    COUNTER,
    "events",
    "Accepted events that the stream took for repeats; the warehouse has the last word.",
)

# What builds of the warehouse leave behind.

BUILD_SUCCESS = Metric("tollbook_build_success", GAUGE, "1", "1 when the last build ended well, 0 when it did not.")
BUILD_ENDED = Metric(
    "tollbook_build_ended_timestamp_seconds", GAUGE, "seconds since 1970", "When the last build ended, well or not."
)
BUILD_SUCCEEDED = Metric(
    "tollbook_build_succeeded_timestamp_seconds", GAUGE, "seconds since 1970", "When a build last ended well."
)
BUILD_DURATION = Metric("tollbook_build_duration_seconds", GAUGE, "seconds", "How long the last build took.")
BUILT_COMMIT = Metric("tollbook_built_commit_number", GAUGE, "commits", "Newest commit that the marts hold.")
HAND_OVERS = Metric(
    "tollbook_hand_overs", GAUGE, "amounts", "Amounts compared between steps of the book when it was last made."
)
UNEQUAL_HAND_OVERS = Metric(
    "tollbook_unequal_hand_overs", GAUGE, "amounts", "Of these, amounts that were not equal: the book balances at 0."
)
TELLINGS = Metric(
    "tollbook_tellings",
    GAUGE,
    "events",
    "Events of the book by what became of them: standing, superseded, voided, duplicate, conflict.",
    ("state",),
)

METRICS: tuple[Metric, ...] = (
    RECORDS,
    ACCEPTED,
    REJECTED,
    SILENT,
    SKIPPED_OFFSETS,
    TOKENS,
    COMMITTED_OFFSET,
    NEWEST_EVENT,
    NEWEST_COMMIT,
    COMMIT,
    EPOCH,
    LAKE_FILES,
    LAKE_BYTES,
    HOME_FREE,
    HOME_SIZE,
    METER_INFO,
    LAG,
    WATERMARK,
    KAFKA_ANSWER,
    COMMIT_DURATION,
    WRITTEN_BYTES,
    WRITTEN_FILES,
    STREAM_REPEATS,
    BUILD_SUCCESS,
    BUILD_ENDED,
    BUILD_SUCCEEDED,
    BUILD_DURATION,
    BUILT_COMMIT,
    HAND_OVERS,
    UNEQUAL_HAND_OVERS,
    TELLINGS,
)


def series_labels() -> dict[str, frozenset[str]]:
    """Return the labels of every series that a scrape may show, by its name."""
    labels = {name: frozenset(metric.labels) for metric in METRICS for name in metric.series}
    buckets = {f"{metric.name}_bucket": frozenset({*metric.labels, "le"}) for metric in METRICS if _has_buckets(metric)}
    return labels | buckets


def family(metric: Metric, samples: Iterable[tuple[Sequence[str], float]]) -> Family:
    """Return a counter or a gauge with its samples, as a collector of prometheus-client yields it.

    Args:
        metric: A counter or a gauge.
        samples: For each the values of its labels, in order, and its value.
    """
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    make = CounterMetricFamily if metric.kind == COUNTER else GaugeMetricFamily
    made = make(metric.name.removesuffix("_total"), metric.help, labels=metric.labels)
    for labels, value in samples:
        made.add_metric(labels, value)
    return made


def single(metric: Metric, value: float | None) -> list[Family]:
    """Return a counter or a gauge without labels, or nothing where its value is not known."""
    return [] if value is None else [family(metric, [((), value)])]


def _has_buckets(metric: Metric) -> bool:
    return metric.kind == HISTOGRAM
