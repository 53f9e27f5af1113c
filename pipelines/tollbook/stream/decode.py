"""Decode: batches of Kafka records into batches of usage events, and rejects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

import apache_beam as beam
import pyarrow as pa

from tollbook.contracts import usage_event
from tollbook.formats.native import NativeDecoder, Rejected, rejected_batch
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
    Output `rejects`: `rejected_record/v1`, one row for each record not decoded; only where there are any.
    Output `unparsed`: the bytes of the rejects that could not be read as fields.
        len(events) + len(rejects) == len(input), always.
    """

    def __init__(self, clock: Clock = utc_now) -> None:
        super().__init__()
        self._clock = clock

    def expand(self, records: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
        """Return the tagged outputs."""
        return records | "DecodeNative" >> beam.ParDo(_Decode(self._clock)).with_output_types(
            pa.RecordBatch
        ).with_outputs(REJECTS, UNPARSED, main=EVENTS)


class _Decode(beam.DoFn):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._decoder: NativeDecoder | None = None

    def setup(self) -> None:
        self._decoder = NativeDecoder()

    def process(self, element: pa.RecordBatch) -> Iterable[pa.RecordBatch | beam.pvalue.TaggedOutput]:
        decoder = self._decoder or NativeDecoder()
        now = self._clock()
        origin = ChunkOrigin.of(element)
        decoded = decoder.decode(element.column("value"), now=now)
        events = with_place(decoded.events, element, pa.array(decoded.rows), now)
        yield replace(origin, unknown_fields=decoded.unknown_fields).attach(events)
        if decoded.rejected:
            rejects = rejected_batch(decoded.rejected, element, now=now, schema_version=usage_event().version)
            yield beam.pvalue.TaggedOutput(REJECTS, origin.attach(rejects))
            unparsed = _unparsed_batch(decoded.rejected, rejects)
            if unparsed.num_rows:
                yield beam.pvalue.TaggedOutput(UNPARSED, origin.attach(unparsed))


def with_place(events: pa.RecordBatch, records: pa.RecordBatch, rows: pa.Array, now: datetime) -> pa.RecordBatch:
    """Return events with the place of their records on Kafka and the time they were read.

    Args:
        events: Decoded events, shape (n_events,).
        records: The `kafka_record/v1` batch they came from, shape (n_records,).
        rows: Index of each event's record, shape (n_events,).
        now: When the records were read.
    """
    whole = len(rows) == records.num_rows
    arrays, names = list(events.columns), list(events.schema.names)
    for name in ("topic", "partition", "offset", "kafka_timestamp"):
        column = records.column(name)
        arrays.append(column if whole else column.take(rows))
        names.append(name)
    arrays.append(pa.repeat(pa.scalar(now, pa.timestamp("us", "UTC")), events.num_rows))
    return pa.RecordBatch.from_arrays(arrays, names=[*names, "ingested_at"])


def _unparsed_batch(rejected: list[Rejected], rejects: pa.RecordBatch) -> pa.RecordBatch:
    ids = rejects.column("reject_id").to_pylist()
    pairs = [(name, each.value) for name, each in zip(ids, rejected, strict=True) if each.value_state == "unparsed"]
    columns = [
        pa.array([pair[0] for pair in pairs], pa.string()),
        pa.array([pair[1] for pair in pairs], pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=UNPARSED_SCHEMA)
