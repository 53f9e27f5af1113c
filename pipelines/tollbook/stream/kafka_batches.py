"""Whole record batches from kafka-python, without an object for each record.

kafka-python makes a ConsumerRecord of each message, which costs more than all the rest of reading. Here its fetcher
hands over one `RecordChunk` for each batch on the log instead. Fetching, CRC checks, transactions and retries stay
kafka-python's own. This rests on names that are not public (`Fetcher.PartitionRecords`, `_unpack_records`), so the
version is pinned and a contract test compares the outcome with plain ConsumerRecords.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch

RECORDS, CONTROL, ABORTED = "records", "control", "aborted"
_READ_COMMITTED = 1


class RecordChunk:
    """What one batch on the log holds from `first_offset` on.

    Attributes:
        offset: First offset covered (kafka-python reads this name).
        next_offset: Offset after the batch.
        kind: `records`, `control` or `aborted`.
        offsets: Offset of each record with a value.
        timestamps_ms: Its timestamp. Unit: milliseconds since 1970.
        values: Its value.
        headers: Its headers or None, or None when no record of the chunk has any.
        tombstones: Offset of each record without a value.
        skipped: Offsets of a control or aborted batch.
    """

    __slots__ = (
        "headers",
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
        self.offsets: list[int] = []
        self.timestamps_ms: list[int] = []
        self.values: list[bytes] = []
        self.headers: list[list[tuple[str, bytes | None]] | None] | None = None
        self.tombstones: list[int] = []
        self.skipped = 0


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
    """kafka-python's parser of one fetch response, yielding a chunk for each batch."""

    def _unpack_records(
        self, tp: Any, records: Any, _key_deserializer: Any, _value_deserializer: Any
    ) -> Iterator[RecordChunk]:
        last_batch = None
        batch = records.next_batch()
        while batch is not None:
            last_batch = batch
            if self.check_crcs and not batch.validate_crc():
                raise CorruptRecordError(f"the batch of {tp} at offset {batch.base_offset} fails its CRC")
            chunk = self._chunk(batch)
            if chunk.next_offset > self.fetch_offset:
                self.records_read += len(chunk.values)
                self.next_fetch_offset = chunk.next_offset
                yield chunk
            batch = records.next_batch()
        if last_batch is not None and last_batch.magic == 2:
            self.next_fetch_offset = last_batch.next_offset
        self.drain()

    def _chunk(self, batch: Any) -> RecordChunk:
        if batch.magic < 2:
            return self._legacy(batch)
        self.leader_epoch = batch.leader_epoch
        start = max(batch.base_offset, self.fetch_offset)
        kind = RECORDS
        if self.isolation_level == _READ_COMMITTED and batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if batch.is_control_batch:
                if self._contains_abort_marker(batch):
                    self.aborted_producer_ids.discard(batch.producer_id)
            elif self._is_batch_aborted(batch):
                kind = ABORTED
        if batch.is_control_batch:
            kind = CONTROL
        chunk = RecordChunk(kind, start, batch.next_offset)
        if kind == RECORDS:
            self.bytes_read += batch.size_in_bytes
            _parse(batch, chunk)
        else:
            chunk.skipped = min(batch.records_count, batch.next_offset - start)
        return chunk

    def _legacy(self, batch: Any) -> RecordChunk:
        """Return the records of an old message set, which only brokers before 0.11 wrote."""
        chunk: RecordChunk | None = None
        for record in batch:
            if record.offset < self.fetch_offset:
                continue
            chunk = chunk or RecordChunk(RECORDS, record.offset, record.offset + 1)
            chunk.next_offset = record.offset + 1
            if record.value is None:
                chunk.tombstones.append(record.offset)
                continue
            chunk.offsets.append(record.offset)
            chunk.timestamps_ms.append(record.timestamp or 0)
            chunk.values.append(record.value)
        return chunk or RecordChunk(RECORDS, self.fetch_offset, self.fetch_offset)


def _varint(buffer: bytes, position: int) -> tuple[int, int]:
    """Return a zigzag varint and the position after it."""
    shift = raw = 0
    while True:
        byte = buffer[position]
        position += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (raw >> 1) ^ -(raw & 1), position
        shift += 7


def _parse(batch: DefaultRecordBatch, chunk: RecordChunk) -> None:  # noqa: C901  a call for each number costs more than the rest
    """Fill `chunk` with the records of a version 2 batch from `chunk.offset` on.

    Layout of a record (Kafka protocol, record batch version 2): length, attributes, timestamp delta, offset delta,
    key length, key, value length, value, headers; numbers are zigzag varints. Numbers of one and two bytes, which
    nearly all are, are read in line.

    Raises:
        CorruptRecordError: The batch does not hold what it says it holds.
    """
    batch._maybe_uncompress()
    buffer = bytes(batch._buffer)
    position = batch._pos
    base = batch.base_offset
    first_timestamp = batch.first_timestamp
    fixed_timestamp = batch.max_timestamp if batch.timestamp_type == 1 else None
    first_wanted = chunk.offset
    offsets, timestamps, values = chunk.offsets, chunk.timestamps_ms, chunk.values
    try:
        for _ in range(batch.records_count):
            low = buffer[position]
            if low < 0x80:
                end = position + 1 + (low >> 1)
                position += 2
            elif buffer[position + 1] < 0x80:
                end = position + 2 + (((low & 0x7F) | (buffer[position + 1] << 7)) >> 1)
                position += 3
            else:
                length, position = _varint(buffer, position)
                end = position + length
                position += 1
            low = buffer[position]
            if low < 0x80:
                delta = (low >> 1) ^ -(low & 1)
                position += 1
            else:
                delta, position = _varint(buffer, position)
            low = buffer[position]
            if low < 0x80:
                offset = base + (low >> 1)
                position += 1
            elif buffer[position + 1] < 0x80:
                offset = base + (((low & 0x7F) | (buffer[position + 1] << 7)) >> 1)
                position += 2
            else:
                offset_delta, position = _varint(buffer, position)
                offset = base + offset_delta
            low = buffer[position]
            if low < 0x80:
                # A key's length is even when coded, or 1 for -1, no key.
                position += 1 if low & 1 else 1 + (low >> 1)
            else:
                key_length, position = _varint(buffer, position)
                position += max(key_length, 0)
            low = buffer[position]
            if low >= 0x80 and buffer[position + 1] < 0x80:
                value_length = ((low & 0x7F) | (buffer[position + 1] << 7)) >> 1
                position += 2
            else:
                value_length, position = _varint(buffer, position)
            value_end = position + value_length
            if offset >= first_wanted:
                if value_length < 0:
                    chunk.tombstones.append(offset)
                    value_end = position
                else:
                    if value_end >= end:
                        raise CorruptRecordError(f"the record at offset {offset} is longer than its batch says")
                    offsets.append(offset)
                    timestamps.append(first_timestamp + delta)
                    values.append(buffer[position:value_end])
                    if buffer[value_end]:
                        _read_headers(buffer, value_end, chunk)
            position = end
    except IndexError:
        raise CorruptRecordError(f"the batch at offset {base} ends inside a record") from None
    if position != len(buffer):
        raise CorruptRecordError(f"the batch at offset {base} has {len(buffer) - position} bytes after its records")
    if fixed_timestamp is not None:
        chunk.timestamps_ms = [fixed_timestamp] * len(values)
    if chunk.headers is not None:
        chunk.headers.extend([None] * (len(values) - len(chunk.headers)))


def _read_headers(buffer: bytes, position: int, chunk: RecordChunk) -> None:
    """Read the headers of the record just appended to `chunk`."""
    if chunk.headers is None:
        chunk.headers = []
    chunk.headers.extend([None] * (len(chunk.values) - 1 - len(chunk.headers)))
    count, position = _varint(buffer, position)
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        size, position = _varint(buffer, position)
        name = buffer[position : position + size].decode("utf-8", "replace")
        size, position = _varint(buffer, position + size)
        content = None if size < 0 else buffer[position : position + size]
        position += max(size, 0)
        headers.append((name, content))
    chunk.headers.append(headers)
