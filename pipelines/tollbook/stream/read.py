"""Read: planned offset ranges into batches of `kafka_record/v1`."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from tollbook.connection.clients import connect, last_failure
from tollbook.connection.cluster import KafkaCluster
from tollbook.contracts import contract
from tollbook.errors import KafkaRefusedError, KafkaUnavailableError, MicroBatchGivenUpError
from tollbook.lake.steps import reached
from tollbook.stream.kafka_batches import CONTROL, RECORDS, Headers, RecordChunk, read_in_chunks
from tollbook.stream.parts import range_part
from tollbook.stream.ranges import ChunkOrigin, OffsetHole, OffsetRange

CHUNK_RECORDS = 32_768
CHUNK_BYTES = 32 * 1024 * 1024
_STALL_SECONDS = 60.0
_POLL_MILLISECONDS = 1_000
_FETCH_BYTES = 8 * 1024 * 1024
_POLLED_CHUNKS = 2
_MOST_READERS = 8


BATCHES, RANGES = "batches", "ranges"


class ReadKafkaRecords(beam.PTransform):
    """Read planned ranges of Kafka offsets.

    Input: OffsetRange.
    Output `batches`: RecordBatch of `kafka_record/v1`, shape (n_records,), with its ChunkOrigin; at most
        `CHUNK_RECORDS` rows or about `CHUNK_BYTES`. The chunks of a range cover what was read of it without gap or
        overlap.
    Output `ranges`: for each range, once it is read, the encoded CommitPart that says how far.
    Retries read the same offsets again and have no effect of their own.
    """

    def __init__(self, cluster: KafkaCluster, is_given_up: Callable[[], bool] = lambda: False) -> None:
        """Read from a cluster, until `is_given_up` says, in the process that reads, to end in the middle."""
        super().__init__()
        self._args = (cluster, is_given_up)

    def expand(self, ranges: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
        """Return the tagged outputs."""
        return ranges | "ReadRange" >> beam.ParDo(_ReadRange(*self._args)).with_output_types(
            pa.RecordBatch
        ).with_outputs(RANGES, main=BATCHES)


class _ReadRange(beam.DoFn):
    def __init__(self, cluster: KafkaCluster, is_given_up: Callable[[], bool]) -> None:
        self._cluster, self._is_given_up = cluster, is_given_up

    def process(self, element: OffsetRange) -> Iterable[pa.RecordBatch | beam.pvalue.TaggedOutput]:
        end = element.first_offset
        reader = reader_for(self._cluster, element.topic, element.partition)
        with reader.lock:
            for batch in reader.read(element, is_given_up=self._is_given_up):
                end = ChunkOrigin.of(batch).next_offset
                yield batch
                if self._is_given_up():
                    raise _given_up(element)
        yield beam.pvalue.TaggedOutput(RANGES, range_part(element, end))


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

    def add(self, chunk: RecordChunk, first: int, end: int) -> None:
        """Take over what `chunk` holds of the offsets `[first, end)`."""
        low, high = np.searchsorted(chunk.offsets, (first, end)).tolist()
        rows = high - low
        if chunk.headers is not None or self.headers is not None:
            before: list[Headers | None] = [None] * self.rows if self.headers is None else self.headers
            self.headers = before + (chunk.headers[low:high] if chunk.headers is not None else [None] * rows)
        self.rows += rows
        self.offsets.append(chunk.offsets[low:high])
        self.timestamps_ms.append(chunk.timestamps_ms[low:high])
        self.values.append(chunk.values.slice(low, rows))
        self.keys.append(chunk.keys.slice(low, rows))
        self.bytes += chunk.values.buffers()[2].size * rows // len(chunk.values) if len(chunk.values) else 0
        if chunk.kind == RECORDS:
            low, high = np.searchsorted(chunk.tombstones, (first, end)).tolist()
            self.tombstones += high - low
            return
        skipped = chunk.skipped_before(end) - chunk.skipped_before(first)
        if chunk.kind == CONTROL:
            self.control += skipped
        else:
            self.aborted += skipped

    def batch(self, place: OffsetRange, next_offset: int) -> pa.RecordBatch:
        """Return what was gathered as one batch with its origin, and let go of it: large records are held once."""
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
        self.values, self.keys = [], []
        origin = ChunkOrigin(
            topic=place.topic,
            partition=place.partition,
            first_offset=self.start + place.base,
            next_offset=next_offset + place.base,
            records=rows,
            tombstones=self.tombstones,
            control=self.control,
            aborted=self.aborted,
            stamp=place.stamp,
        )
        return origin.attach(pa.RecordBatch.from_arrays(arrays, schema=schema))


class PartitionReader:
    """Reads one partition range by range. A range that goes on where the last one ended needs no new request.

    What a request brought beyond the end of a range is kept for the next. One thread at a time, which holds `lock`,
    may read by a consumer.
    """

    def __init__(
        self, consumer: KafkaConsumer, partition: TopicPartition, lock: AbstractContextManager[Any] | None = None
    ) -> None:
        self.lock = lock or threading.Lock()
        self._consumer, self._partition = consumer, partition
        self._ahead: deque[RecordChunk] = deque()
        self._position: int | None = None

    def read(
        self,
        place: OffsetRange,
        *,
        chunk_records: int = CHUNK_RECORDS,
        chunk_bytes: int = CHUNK_BYTES,
        is_given_up: Callable[[], bool] = lambda: False,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the records of a range in chunks, cut where a batch on the log ends.

        They end before the range does where Kafka no longer has the rest of it, or has a hole that it may not have:
        `take_holes` tells which.

        Raises:
            KafkaRefusedError: The broker let this client in before, and no longer does.
            KafkaUnavailableError: The broker gave nothing new for a minute.
            MicroBatchGivenUpError: `is_given_up` said so while the broker gave nothing.
        """
        first, end = place.first_offset - place.base, place.next_offset - place.base  # as Kafka counts them
        self._go_to(first)
        gathered = _Gathered(first)
        position = first
        last_progress = time.monotonic()
        while position < end:
            try:
                chunk = self._next()
            except OffsetOutOfRangeError:
                # What was read so far is taken; why Kafka has no more of the range, the next plan finds out.
                self._position = None
                break
            if chunk is not None and chunk.offset > position and not place.may_have_holes:
                self._ahead.appendleft(chunk)
                hole = OffsetHole(place.topic, place.partition, position + place.base, chunk.offset + place.base)
                _holes[place.topic, place.partition] = hole
                break
            if chunk is not None:
                gathered.add(chunk, position, end)
                position = min(max(chunk.next_offset, position), end)
                if chunk.next_offset > end:
                    self._ahead.appendleft(chunk)
                self._position = position
                last_progress = time.monotonic()
                if gathered.rows >= chunk_records or gathered.bytes >= chunk_bytes:
                    reached("chunk_read")
                    yield gathered.batch(place, position)
                    gathered = _Gathered(position)
            elif is_given_up():
                raise _given_up(place)
            elif time.monotonic() - last_progress > _STALL_SECONDS:
                raise KafkaUnavailableError(
                    f"expected records of {place.topic}-{place.partition} from {position} up to {end}, "
                    f"got none for {_STALL_SECONDS:.0f} s{_why(self._consumer)}"
                )
        if position > gathered.start:
            reached("chunk_read")
            yield gathered.batch(place, position)

    def _go_to(self, offset: int) -> None:
        if self._consumer.assignment() != {self._partition}:
            self._consumer.assign([self._partition])
            self._position = None
        if self._position != offset:
            self._ahead.clear()
            self._consumer.seek(self._partition, offset)
            self._position = offset

    def _next(self) -> RecordChunk | None:
        """Return the next chunk, None when the broker gave none for a while."""
        if not self._ahead:
            try:
                polled = self._consumer.poll(timeout_ms=_POLL_MILLISECONDS, max_records=_POLLED_CHUNKS)
            except OffsetOutOfRangeError:
                raise
            except KafkaError as failed:
                got = f"{type(failed).__name__}: {failed}{_why(self._consumer)}"
                raise KafkaUnavailableError(f"expected records of {self._partition}, got {got}") from failed
            self._ahead.extend(polled.get(self._partition, []))
            if not self._ahead and (failure := last_failure(self._consumer)) is not None and failure.final:
                raise KafkaRefusedError(failure.message)
        return self._ahead.popleft() if self._ahead else None


def _why(consumer: KafkaConsumer) -> str:
    """Return why a consumer's newest connection failed, to put behind a message; nothing where it did not."""
    failure = last_failure(consumer)
    return "" if failure is None else f"; {failure.message}"


def _given_up(place: OffsetRange) -> MicroBatchGivenUpError:
    return MicroBatchGivenUpError(f"gave up reading {place.topic}-{place.partition}: the meter was asked to stop")


_Key = tuple[KafkaCluster, *tuple[str, ...]]
_making = threading.RLock()
_locks: dict[_Key, threading.Lock] = {}
_consumers: dict[_Key, KafkaConsumer] = {}
_holes: dict[tuple[str, int], OffsetHole] = {}
_readers: dict[_Key, PartitionReader] = {}


def reader_for(cluster: KafkaCluster, topic: str, partition: int) -> PartitionReader:
    """Return this process's reader of a partition. It reads committed records, in chunks, and stores no offsets.

    Beam makes DoFns anew for every micro-batch; the connections outlive them here, in an importable module. The first
    `_MOST_READERS` partitions have a connection each, which goes on where it was; all others share one.

    Raises:
        KafkaRefusedError: Certificates, credentials or protocols do not fit.
        KafkaUnavailableError: No broker answers.
    """
    key = (cluster, topic, str(partition))
    with _making:
        if key not in _readers:
            own = key if len(_readers) < _MOST_READERS else (cluster, "records")
            lock = _locks.setdefault(own, threading.Lock())
            _readers[key] = PartitionReader(_consumer(cluster, own), TopicPartition(topic, partition), lock)
        return _readers[key]


def _consumer(cluster: KafkaCluster, key: _Key) -> KafkaConsumer:
    if key not in _consumers:
        consumer = _connect(
            cluster,
            auto_offset_reset="none",
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_FETCH_BYTES,
            max_poll_records=_POLLED_CHUNKS,
        )
        read_in_chunks(consumer)
        _consumers[key] = consumer
    return _consumers[key]


def metadata_consumer_for(cluster: KafkaCluster, *, patience_ms: int = 30_000) -> KafkaConsumer:
    """Return this process's consumer for questions about a cluster's topics. It is never assigned any.

    Raises:
        KafkaRefusedError: Certificates, credentials or protocols do not fit.
        KafkaUnavailableError: No broker answers.
    """
    key = (cluster, "metadata")
    if key not in _consumers:
        _consumers[key] = _connect(cluster, allow_auto_create_topics=False, bootstrap_timeout_ms=patience_ms)
    return _consumers[key]


def _connect(cluster: KafkaCluster, **options: Any) -> KafkaConsumer:
    return connect(
        KafkaConsumer,
        cluster,
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        **options,
    )


def take_holes() -> list[OffsetHole]:
    """Return where readers of this process ended before a hole since this was last asked."""
    found = list(_holes.values())
    _holes.clear()
    return found


def close_consumers() -> None:
    """Close the connections of this process."""
    _readers.clear()
    while _consumers:
        _consumers.popitem()[1].close()
