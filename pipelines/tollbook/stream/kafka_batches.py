"""Whole record batches from kafka-python, without an object for each record.

kafka-python makes a ConsumerRecord of each message, which costs more than all the rest of reading. Here its fetcher
hands over one `RecordChunk` for each batch on the log instead. Fetching, CRC checks, transactions and retries stay
kafka-python's own. This rests on names that are not public (`Fetcher.PartitionRecords`, `_unpack_records`), so the
version is pinned and a contract test compares the outcome with plain ConsumerRecords.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from kafka import KafkaConsumer
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch

RECORDS, CONTROL, ABORTED = "records", "control", "aborted"
_READ_COMMITTED = 1
_MAX_VARINT_BYTES = 10
_LEGACY = "legacy"
_TOGETHER = 2_048
_TOGETHER_BYTES = 1024 * 1024

Headers = list[tuple[str, bytes | None]]


class RecordChunk:
    """What one batch on the log holds from `first_offset` on.

    Attributes:
        offset: First offset covered (kafka-python reads this name).
        next_offset: Offset after the batch.
        kind: `records`, `control` or `aborted`.
        offsets: Offset of each record with a value, shape (n_records,).
        timestamps_ms: Its timestamp, shape (n_records,). Unit: milliseconds since 1970.
        values: Its value, shape (n_records,).
        keys: Its key, null where it has none, shape (n_records,).
        headers: Its headers or None, or None when no record of the chunk has any.
        tombstones: Offset of each record without a value, shape (n_tombstones,).
        skipped: Offsets of a control or aborted batch.
    """

    __slots__ = (
        "headers",
        "keys",
        "kind",
        "next_offset",
        "offset",
        "offsets",
        "skipped",
        "timestamps_ms",
        "tombstones",
        "values",
    )

    def __init__(self, kind: str, offset: int, next_offset: int) -> None:
        self.kind = kind
        self.offset = offset
        self.next_offset = next_offset
        self.offsets = np.zeros(0, np.int64)
        self.timestamps_ms = np.zeros(0, np.int64)
        self.values: pa.BinaryArray = pa.array([], pa.binary())
        self.keys: pa.BinaryArray = pa.array([], pa.binary())
        self.headers: list[Headers | None] | None = None
        self.tombstones = np.zeros(0, np.int64)
        self.skipped = 0

    def skipped_before(self, offset: int) -> int:
        """Return how many offsets of a control or aborted batch lie before `offset`."""
        return min(self.skipped, max(0, min(self.next_offset, offset) - self.offset))


def read_in_chunks(consumer: KafkaConsumer) -> None:
    """Make `consumer.poll` return RecordChunks instead of ConsumerRecords.

    `max_poll_records` then counts chunks.

    Raises:
        AttributeError: This version of kafka-python is built differently; use plain ConsumerRecords.
    """
    fetcher = consumer._fetcher
    if not hasattr(Fetcher.PartitionRecords, "_unpack_records"):
        raise AttributeError("kafka-python's Fetcher.PartitionRecords has no _unpack_records")
    fetcher.PartitionRecords = _PartitionChunks


class _PartitionChunks(Fetcher.PartitionRecords):
    """kafka-python's parser of one fetch response, yielding a chunk for each batch, or for some small ones together.

    A producer that waits little makes batches of a few records, and what numpy costs a call is paid for each chunk.
    """

    def _unpack_records(
        self, tp: Any, records: Any, _key_deserializer: Any, _value_deserializer: Any
    ) -> Iterator[RecordChunk]:
        last_batch = None
        together: _Together | None = None
        batch = records.next_batch()
        while batch is not None:
            last_batch = batch
            if self.check_crcs and not batch.validate_crc():
                raise CorruptRecordError(f"the batch of {tp} at offset {batch.base_offset} fails its CRC")
            kind = self._kind(batch)
            joins = together is not None and kind == RECORDS and together.take(batch)
            if together is not None and not joins:
                yield from self._told(self._records(together))
                together = None
            if kind == RECORDS:
                together = together or _Together(batch)
            else:
                yield from self._told(self._legacy(batch) if kind == _LEGACY else self._without_records(batch, kind))
            batch = records.next_batch()
        if together is not None:
            yield from self._told(self._records(together))
        if last_batch is not None and last_batch.magic == 2:
            self.next_fetch_offset = last_batch.next_offset
        self.drain()

    def _told(self, chunk: RecordChunk) -> Iterator[RecordChunk]:
        if chunk.next_offset > self.fetch_offset:
            self.records_read += len(chunk.values)
            self.next_fetch_offset = chunk.next_offset
            yield chunk

    def _kind(self, batch: Any) -> str:
        """Return what a batch is, and follow the transactions up to it."""
        if batch.magic < 2:
            return _LEGACY
        self.leader_epoch = batch.leader_epoch
        kind = RECORDS
        if self.isolation_level == _READ_COMMITTED and batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if batch.is_control_batch:
                if self._contains_abort_marker(batch):
                    self.aborted_producer_ids.discard(batch.producer_id)
            elif self._is_batch_aborted(batch):
                kind = ABORTED
        return CONTROL if batch.is_control_batch else kind

    def _records(self, batches: list[Any]) -> RecordChunk:
        chunk = RecordChunk(RECORDS, max(batches[0].base_offset, self.fetch_offset), batches[-1].next_offset)
        self.bytes_read += sum(batch.size_in_bytes for batch in batches)
        _parse(batches, chunk)
        return chunk

    def _without_records(self, batch: Any, kind: str) -> RecordChunk:
        chunk = RecordChunk(kind, max(batch.base_offset, self.fetch_offset), batch.next_offset)
        chunk.skipped = min(batch.records_count, batch.next_offset - chunk.offset)
        return chunk

    def _legacy(self, batch: Any) -> RecordChunk:
        """Return the records of an old message set, which only brokers before 0.11 wrote."""
        records = [record for record in batch if record.offset >= self.fetch_offset]
        if not records:
            return RecordChunk(RECORDS, self.fetch_offset, self.fetch_offset)
        chunk = RecordChunk(RECORDS, records[0].offset, records[-1].offset + 1)
        told = [record for record in records if record.value is not None]
        chunk.offsets = np.array([record.offset for record in told], np.int64)
        chunk.timestamps_ms = np.array([record.timestamp or 0 for record in told], np.int64)
        chunk.values = pa.array([record.value for record in told], pa.binary())
        chunk.keys = pa.array([record.key for record in told], pa.binary())
        chunk.tombstones = np.array([record.offset for record in records if record.value is None], np.int64)
        return chunk


class _Together(list[Any]):
    """Batches that follow on each other without a hole, few and small enough to be parsed at once."""

    def __init__(self, batch: Any) -> None:
        super().__init__([batch])
        self._records, self._bytes = batch.records_count, batch.size_in_bytes

    def take(self, batch: Any) -> bool:
        """Add `batch`, unless it does not follow or would be too much; return whether it was added."""
        records, size = self._records + batch.records_count, self._bytes + batch.size_in_bytes
        if batch.base_offset != self[-1].next_offset or records > _TOGETHER or size > _TOGETHER_BYTES:
            return False
        self.append(batch)
        self._records, self._bytes = records, size
        return True


def _parse(batches: list[DefaultRecordBatch], chunk: RecordChunk) -> None:
    """Fill `chunk` with the records of version 2 batches, which follow on each other, from `chunk.offset` on.

    Layout of a record (Kafka protocol, record batch version 2): length, attributes, timestamp delta, offset delta,
    key length, key, value length, value, headers; numbers are zigzag varints. Only the chain of lengths is followed
    record by record; every other number is read for all records at once.

    Raises:
        CorruptRecordError: A batch does not hold what it says it holds.
    """
    base = batches[0].base_offset
    raw, starts, ends = _joined(batches)
    counts = [batch.records_count for batch in batches]
    buffer = np.frombuffer(raw, np.uint8)
    deltas, position = _varints(buffer, starts + 1)
    offset_deltas, position = _varints(buffer, position)
    key_lengths, key_starts = _varints(buffer, position)
    position = key_starts + np.maximum(key_lengths, 0)
    if (position >= ends).any():
        raise CorruptRecordError(f"a key in the batch at offset {base} is longer than its record")
    lengths, position = _varints(buffer, position)
    value_ends = position + np.maximum(lengths, 0)
    if (value_ends >= ends).any():
        raise CorruptRecordError(f"a value in the batch at offset {base} is longer than its record")
    offsets = np.repeat([batch.base_offset for batch in batches], counts) + offset_deltas
    wanted = offsets >= chunk.offset
    told = wanted & (lengths >= 0)
    chunk.tombstones = offsets[wanted & (lengths < 0)]
    chunk.offsets = offsets[told]
    is_append_time = np.repeat([batch.timestamp_type == 1 for batch in batches], counts)
    appended = np.repeat([batch.max_timestamp for batch in batches], counts)
    created = np.repeat([batch.first_timestamp for batch in batches], counts) + deltas
    times = np.where(is_append_time, appended, created)
    chunk.timestamps_ms = times[told]
    chunk.values = _cut(raw, position[told], value_ends[told])
    keyed = told & (key_lengths >= 0)
    if keyed.any():
        # `took` is the place of each record's key among those cut; where there is none, null takes null.
        took = pa.array(np.cumsum(keyed[told]) - 1, mask=~keyed[told])
        chunk.keys = _cut(raw, key_starts[keyed], (key_starts + key_lengths)[keyed]).take(took)
    else:
        chunk.keys = pa.nulls(len(chunk.values), pa.binary())
    headed = np.flatnonzero(buffer[value_ends[told]])
    if headed.size:
        chunk.headers = [None] * len(chunk.values)
        for index in headed.tolist():
            chunk.headers[index] = _headers(raw, int(value_ends[told][index]))


def _joined(batches: list[DefaultRecordBatch]) -> tuple[bytearray, np.ndarray, np.ndarray]:
    """Return the bytes of batches one after another, and where each record begins and ends in them."""
    bounds, parts, size = [], [], 0
    for batch in batches:
        batch._maybe_uncompress()
        raw: bytearray = batch._buffer
        bounds.append(np.stack(_record_bounds(raw, batch._pos, batch.records_count, batch.base_offset)) + size)
        parts.append(raw)
        size += len(raw)
    starts, ends = np.concatenate(bounds, axis=1)
    return parts[0] if len(parts) == 1 else bytearray().join(parts), starts, ends


def _record_bounds(raw: bytearray, position: int, count: int, base: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where each record begins, after its length, and where it ends. Each of shape (count,)."""
    starts, ends = [0] * count, [0] * count
    try:
        for index in range(count):
            low, high = raw[position], raw[position + 1]
            if low >= 0x80 > high:
                # The zigzag varint of two bytes, whose sign bit is 0: ((low & 0x7F) | (high << 7)) >> 1.
                starts[index] = position + 2
                position += (low >> 1) + (high << 6) - 62
            else:
                length, position = _varint(raw, position)
                starts[index] = position
                position += length
            ends[index] = position
    except IndexError:
        raise CorruptRecordError(f"the batch at offset {base} ends inside a record") from None
    if position != len(raw):
        raise CorruptRecordError(f"the batch at offset {base} has {len(raw) - position} bytes after its records")
    return np.array(starts, np.int64), np.array(ends, np.int64)


def _varints(buffer: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the zigzag varints at `position` and the positions after them. Each of shape (n,).

    In a damaged batch a varint may be looked for past the end; what is found then runs over its record's end, which
    the caller checks.
    """
    last = len(buffer) - 1
    byte = buffer[np.minimum(position, last)].astype(np.int64)
    raw = byte & 0x7F
    position = position + 1
    more = np.flatnonzero(byte >= 0x80)
    for shift in range(7, 7 * _MAX_VARINT_BYTES, 7):
        if not more.size:
            break
        byte = buffer[np.minimum(position[more], last)].astype(np.int64)
        raw[more] |= (byte & 0x7F) << shift
        position[more] += 1
        more = more[byte >= 0x80]
    return (raw >> 1) ^ -(raw & 1), position


def _cut(raw: bytearray, starts: np.ndarray, ends: np.ndarray) -> pa.BinaryArray:
    """Return the parts `[start, end)` of `raw` as one array, shape (n,), gathered without an object for each."""
    if not len(starts):
        return pa.array([], pa.binary())
    bounds = np.empty(2 * len(starts), np.int32)
    bounds[0::2], bounds[1::2] = starts, ends
    parts_and_gaps = pa.Array.from_buffers(
        pa.binary(), len(bounds) - 1, [None, pa.py_buffer(bounds), pa.py_buffer(raw)]
    )
    return parts_and_gaps.take(pa.array(np.arange(0, len(bounds) - 1, 2)))


def _varint(raw: bytearray, position: int) -> tuple[int, int]:
    """Return a zigzag varint and the position after it."""
    shift = number = 0
    while True:
        byte = raw[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), position
        shift += 7


def _headers(raw: bytearray, position: int) -> Headers:
    """Return the headers that begin at `position`, where their count stands."""
    count, position = _varint(raw, position)
    headers: Headers = []
    for _ in range(count):
        size, position = _varint(raw, position)
        name = raw[position : position + size].decode("utf-8", "replace")
        size, position = _varint(raw, position + size)
        headers.append((name, None if size < 0 else bytes(raw[position : position + size])))
        position += max(size, 0)
    return headers
