"""Read: planned offset ranges into batches of `kafka_record/v1`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from tollbook.contracts import contract
from tollbook.errors import KafkaUnavailableError
from tollbook.lake.steps import reached
from tollbook.stream.kafka_batches import CONTROL, RECORDS, Headers, RecordChunk, read_in_chunks
from tollbook.stream.ranges import ChunkOrigin, OffsetRange

CHUNK_RECORDS = 32_768
CHUNK_BYTES = 32 * 1024 * 1024
_STALL_SECONDS = 60.0
_POLL_MILLISECONDS = 1_000
_FETCH_BYTES = 16 * 1024 * 1024
_POLLED_CHUNKS = 2


class ReadKafkaRecords(beam.PTransform):
    """Read planned ranges of Kafka offsets.

    Input: OffsetRange.
    Output: RecordBatch of `kafka_record/v1`, shape (n_records,), with its ChunkOrigin; at most `CHUNK_RECORDS` rows or
        about `CHUNK_BYTES`. The chunks of a range cover it without gap or overlap; the same log gives the same chunks.
    Retries read the same offsets again and have no effect of their own.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        super().__init__()
        self._bootstrap_servers = bootstrap_servers

    def expand(self, ranges: beam.PCollection) -> beam.PCollection:
        """Return the batches of the ranges."""
        return ranges | "ReadRange" >> beam.ParDo(_ReadRange(self._bootstrap_servers)).with_output_types(pa.RecordBatch)


class _ReadRange(beam.DoFn):
    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers

    def process(self, element: OffsetRange) -> Iterable[pa.RecordBatch]:
        with _consumer_lock:
            yield from read_range(consumer_for(self._bootstrap_servers), element)


@dataclass(slots=True)
class _Gathered:
    """Records of one chunk as they are gathered from `start` on."""

    start: int
    rows: int = 0
    offsets: list[np.ndarray] = field(default_factory=list)
    timestamps_ms: list[np.ndarray] = field(default_factory=list)
    values: list[pa.BinaryArray] = field(default_factory=list)
    keys: list[pa.BinaryArray] = field(default_factory=list)
    headers: list[Headers | None] | None = None
    bytes: int = 0
    tombstones: int = 0
    control: int = 0
    aborted: int = 0

    def add(self, chunk: RecordChunk, end: int) -> None:
        """Take over what `chunk` holds before the offset `end`."""
        keep = int(np.searchsorted(chunk.offsets, end))
        if chunk.headers is not None or self.headers is not None:
            before: list[Headers | None] = [None] * self.rows if self.headers is None else self.headers
            self.headers = before + (chunk.headers[:keep] if chunk.headers is not None else [None] * keep)
        self.rows += keep
        self.offsets.append(chunk.offsets[:keep])
        self.timestamps_ms.append(chunk.timestamps_ms[:keep])
        self.values.append(chunk.values.slice(0, keep))
        self.keys.append(chunk.keys.slice(0, keep))
        self.bytes += chunk.values.buffers()[2].size if len(chunk.values) else 0
        if chunk.kind == RECORDS:
            self.tombstones += int(np.searchsorted(chunk.tombstones, end))
            return
        skipped = min(chunk.skipped, min(chunk.next_offset, end) - chunk.offset)
        if chunk.kind == CONTROL:
            self.control += skipped
        else:
            self.aborted += skipped

    def batch(self, place: OffsetRange, next_offset: int) -> pa.RecordBatch:
        """Return what was gathered as one batch with its origin."""
        rows = self.rows
        schema = contract("kafka_record").arrow_schema
        headers_type = schema.field("headers").type
        arrays = [
            pa.repeat(pa.scalar(place.topic), rows),
            pa.repeat(pa.scalar(place.partition, pa.int32()), rows),
            pa.array(np.concatenate(self.offsets) + place.base),
            pa.array(np.concatenate(self.timestamps_ms) * 1000).cast(pa.timestamp("us", "UTC")),
            pa.concat_arrays(self.keys),
            pa.concat_arrays(self.values),
            pa.nulls(rows, headers_type) if self.headers is None else pa.array(self.headers, headers_type),
        ]
        origin = ChunkOrigin(
            topic=place.topic,
            partition=place.partition,
            first_offset=self.start + place.base,
            next_offset=next_offset + place.base,
            records=rows,
            tombstones=self.tombstones,
            control=self.control,
            aborted=self.aborted,
        )
        return origin.attach(pa.RecordBatch.from_arrays(arrays, schema=schema))


def read_range(
    consumer: KafkaConsumer,
    place: OffsetRange,
    *,
    chunk_records: int = CHUNK_RECORDS,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[pa.RecordBatch]:
    """Yield the records of a range in chunks, cut where a batch on the log ends.

    Raises:
        KafkaUnavailableError: The broker gave nothing new for a minute.
    """
    partition = TopicPartition(place.topic, place.partition)
    first, end = place.first_offset - place.base, place.next_offset - place.base  # as Kafka counts them
    if consumer.assignment() != {partition}:
        consumer.assign([partition])
    consumer.seek(partition, first)
    gathered = _Gathered(first)
    position = first
    last_progress = time.monotonic()
    while position < end:
        for chunk in _poll(consumer, partition):
            if chunk.offset >= end:
                position = end
                break
            gathered.add(chunk, end)
            position = min(chunk.next_offset, end)
            last_progress = time.monotonic()
            if gathered.rows >= chunk_records or gathered.bytes >= chunk_bytes:
                reached("chunk_read")
                yield gathered.batch(place, position)
                gathered = _Gathered(position)
            if position >= end:
                break
        if time.monotonic() - last_progress > _STALL_SECONDS:
            raise KafkaUnavailableError(
                f"expected records of {place.topic}-{place.partition} from {position} up to {end}, "
                f"got none for {_STALL_SECONDS:.0f} s"
            )
    if position > gathered.start:
        reached("chunk_read")
        yield gathered.batch(place, position)


def _poll(consumer: KafkaConsumer, partition: TopicPartition) -> list[RecordChunk]:
    try:
        polled = consumer.poll(timeout_ms=_POLL_MILLISECONDS, max_records=_POLLED_CHUNKS)
    except KafkaError as failed:
        raise KafkaUnavailableError(
            f"expected records of {partition}, got {type(failed).__name__}: {failed}"
        ) from failed
    chunks: list[RecordChunk] = polled.get(partition, [])
    return chunks


_consumer_lock = threading.Lock()
_consumers: dict[tuple[str, str], KafkaConsumer] = {}


def consumer_for(bootstrap_servers: str) -> KafkaConsumer:
    """Return this process's consumer of a cluster. It reads committed records, in chunks, and stores no offsets.

    Beam makes DoFns anew for every micro-batch; the connection outlives them here, in an importable module.

    Raises:
        KafkaUnavailableError: No broker answers.
    """
    key = (bootstrap_servers, "records")
    if key not in _consumers:
        consumer = _connect(
            bootstrap_servers,
            auto_offset_reset="none",
            fetch_max_bytes=2 * _FETCH_BYTES,
            max_partition_fetch_bytes=_FETCH_BYTES,
            max_poll_records=_POLLED_CHUNKS,
        )
        read_in_chunks(consumer)
        _consumers[key] = consumer
    return _consumers[key]


def metadata_consumer_for(bootstrap_servers: str) -> KafkaConsumer:
    """Return this process's consumer for questions about a cluster's topics. It is never assigned any.

    Raises:
        KafkaUnavailableError: No broker answers.
    """
    key = (bootstrap_servers, "metadata")
    if key not in _consumers:
        _consumers[key] = _connect(bootstrap_servers)
    return _consumers[key]


def _connect(bootstrap_servers: str, **options: Any) -> KafkaConsumer:
    try:
        return KafkaConsumer(
            bootstrap_servers=bootstrap_servers.split(","),
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",
            **options,
        )
    except KafkaError as failed:
        raise KafkaUnavailableError(
            f"expected a Kafka broker at {bootstrap_servers}, got {type(failed).__name__}: {failed}"
        ) from failed


def close_consumers() -> None:
    """Close the connections of this process."""
    while _consumers:
        _consumers.popitem()[1].close()
