"""Decode: batches of Kafka records into batches of usage events, and rejects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import apache_beam as beam
import pyarrow as pa

from tollbook.contracts import usage_event
from tollbook.formats.decoder import UNPARSED as LIES_APART
from tollbook.formats.decoder import Decoded, Headers, Rejected
from tollbook.formats.registry import format_of_topic
from tollbook.formats.rejected import meaningful_headers, rejected_batch
from tollbook.formats.route import RecordRouter
from tollbook.lake.steps import reached
from tollbook.reference.dimensions import dimensions_of
from tollbook.stream.flood import WatchChunk
from tollbook.stream.ranges import ChunkOrigin

EVENTS, REJECTS, UNPARSED = "events", "rejects", "unparsed"
UNPARSED_SCHEMA = pa.schema([pa.field("reject_id", pa.string()), pa.field("value", pa.binary())])

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time by this machine's clock."""
    return datetime.now(UTC)


class DecodeUsageEvents(beam.PTransform):
    """Decode batches of Kafka records into batches of usage events.

    Input: RecordBatch of `kafka_record/v1`, shape (n_records,), with its ChunkOrigin.
    Output `events`: `usage_event/v1` with its place on Kafka, `ingested_at` and `flags`, shape (n_events,), in record
        order; one for each input, empty ones too, since it carries the origin to the commit.
    Output `rejects`: `rejected_record/v2`, one row for each record, or telling of a record, that was not accepted;
        only where there are any.
    Output `unparsed`: the bytes of the rejects that could not be read as fields.
        len(events) + len(rejects) == len(input) + further items - silent records, always: a record may tell of many
        calls, or of none.

    A record is of its topic's format unless its `tollbook-format` header names another.
    """

    def __init__(
        self,
        clock: Clock = utc_now,
        formats: Mapping[str, str] | None = None,
        dimensions_path: Path | None = None,
        watch: WatchChunk = lambda _records, _decoded: None,
    ) -> None:
        """Decode by `formats`, topic to format, and by dimension rules; other topics have the format of their name.

        `watch` is told of each chunk before anything goes on, and raises where the chunk is not to.
        """
        super().__init__()
        self._args = (clock, dict(formats or {}), dimensions_path, watch)

    def expand(self, records: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
        """Return the tagged outputs."""
        return records | "DecodeRecords" >> beam.ParDo(_Decode(*self._args)).with_output_types(
            pa.RecordBatch
        ).with_outputs(REJECTS, UNPARSED, main=EVENTS)


class _Decode(beam.DoFn):
    def __init__(
        self, clock: Clock, formats: Mapping[str, str], dimensions_path: Path | None, watch: WatchChunk
    ) -> None:
        self._clock, self._formats, self._dimensions_path, self._watch = clock, formats, dimensions_path, watch
        self._router = RecordRouter()
        self._kept_headers: frozenset[str] = frozenset()

    def setup(self) -> None:
        dimensions = dimensions_of(self._dimensions_path)
        self._router, self._kept_headers = RecordRouter(dimensions), meaningful_headers(dimensions)

    def process(self, element: pa.RecordBatch) -> Iterable[pa.RecordBatch | beam.pvalue.TaggedOutput]:
        now = self._clock()
        origin = ChunkOrigin.of(element)
        topic_format = self._formats.get(origin.topic) or format_of_topic(origin.topic)
        headers = _headers(element)
        decoded = self._router.decode(element.column("value"), topic_format, now=now, headers=headers)
        reached("batch_decoded")
        self._watch(element, decoded)
        origin = _with_outcome(origin, decoded)
        yield origin.attach(with_place(decoded, element, now))
        if decoded.rejected:
            rejects = rejected_batch(
                decoded.rejected,
                element,
                now=now,
                schema_version=usage_event().version,
                topic_format=topic_format,
                headers=headers,
                dimension_headers=self._kept_headers,
            )
            yield beam.pvalue.TaggedOutput(REJECTS, origin.attach(rejects))
            unparsed = _unparsed_batch(decoded.rejected, rejects, element)
            if unparsed.num_rows:
                yield beam.pvalue.TaggedOutput(UNPARSED, origin.attach(unparsed))


def with_place(decoded: Decoded, records: pa.RecordBatch, now: datetime) -> pa.RecordBatch:
    """Return events with their place on Kafka and the time they were read, shape (n_events,).

    Args:
        decoded: What became of the records.
        records: The `kafka_record/v1` batch they came from, shape (n_records,).
        now: When the records were read.
    """
    events, rows = decoded.events, pa.array(decoded.rows)
    whole = not decoded.rejected and len(rows) == records.num_rows and not decoded.silent_records
    arrays, names = list(events.columns), list(events.schema.names)
    for name in ("topic", "partition", "offset", "kafka_timestamp"):
        column = records.column(name)
        arrays.append(column if whole else column.take(rows))
        names.append(name)
    arrays.append(pa.array(decoded.record_items, pa.int32()))
    arrays.append(pa.repeat(pa.scalar(now, pa.timestamp("us", "UTC")), events.num_rows))
    return pa.RecordBatch.from_arrays(arrays, names=[*names, "record_item", "ingested_at"])


def _headers(records: pa.RecordBatch) -> Headers | None:
    """Return the headers of each record, None when none has any; of two of a name the last counts."""
    column = records.column("headers")
    if column.null_count == len(column):
        return None
    return [None if each is None else {name: value or b"" for name, value in each} for each in column.to_pylist()]


def _with_outcome(origin: ChunkOrigin, decoded: Decoded) -> ChunkOrigin:
    """Return where a chunk came from with what became of its records."""
    items = len(decoded.rows) + len(decoded.rejected)
    return replace(
        origin,
        silent_records=decoded.silent_records,
        further_items=items + decoded.silent_records - origin.records,
        unknown_fields=decoded.unknown_fields,
        ignored=decoded.ignored,
        unparsed=sum(each.value_state == LIES_APART for each in decoded.rejected),
    )


def _unparsed_batch(rejected: list[Rejected], rejects: pa.RecordBatch, records: pa.RecordBatch) -> pa.RecordBatch:
    """Return the records' own bytes of the rejects that could not be read as fields, shape (n_unparsed,)."""
    apart = [index for index, each in enumerate(rejected) if each.value_state == LIES_APART]
    rows = pa.array([rejected[index].row for index in apart], pa.int64())
    columns = [rejects.column("reject_id").take(pa.array(apart, pa.int64())), records.column("value").take(rows)]
    return pa.RecordBatch.from_arrays(columns, schema=UNPARSED_SCHEMA)
