"""Whole record batches in kafka-python's queue."""

from __future__ import annotations

import importlib.metadata
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaProducer, TopicPartition
from kafka.producer.producer_batch import ProducerBatch
from kafka.producer.record_accumulator import RecordAccumulator
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder

from tollbook.senders.record_batch import compressed_bytes, hand_over, refusal, varint

PARTITION = TopicPartition("t", 0)
ZSTD = 4

records = st.lists(
    st.tuples(
        st.binary(max_size=300),
        st.none() | st.binary(max_size=60),
        st.integers(min_value=0, max_value=4_102_444_800_000),
    ),
    min_size=1,
    max_size=60,
)


def queue(compression: int = 0) -> Any:
    """Return what `hand_over` needs of a producer, without a connection."""
    return SimpleNamespace(
        _accumulator=RecordAccumulator(),
        _sender=SimpleNamespace(wakeup=lambda: None),
        config={"compression_attrs": compression, "batch_size": 900_000},
    )


def read(producer: Any) -> list[tuple[bytes, bytes | None, int]]:
    """Return the records of the one batch in the queue, as a consumer reads them."""
    (batch,) = producer._accumulator._batches[PARTITION]
    batch.records.close()
    memory = MemoryRecords(bytes(batch.records.buffer()))
    (told,) = iter(memory.next_batch, None)
    assert told.validate_crc()
    return [(bytes(each.value), None if each.key is None else bytes(each.key), each.timestamp) for each in told]


@given(records, st.sampled_from([0, ZSTD]))
def test_a_batch_reads_back_as_it_was_written(told: list[tuple[bytes, bytes | None, int]], compression: int) -> None:
    """The bytes on the wire are ours; a consumer must find in them what was sent, in order, with its times."""
    producer = queue(compression)
    hand_over(producer, PARTITION, [v for v, _, _ in told], [k for _, k, _ in told], [t for _, _, t in told])
    assert read(producer) == told


@given(records)
def test_a_batch_has_the_bytes_that_kafka_python_would_write(told: list[tuple[bytes, bytes | None, int]]) -> None:
    """The shortcut saves time, and nothing else."""
    producer = queue()
    hand_over(producer, PARTITION, [v for v, _, _ in told], [k for _, k, _ in told], [t for _, _, t in told])
    (batch,) = producer._accumulator._batches[PARTITION]
    theirs = MemoryRecordsBuilder(2, 0, 10_000_000)
    for value, key, time in told:
        theirs.append(time, key, value)
    batch.records.close()
    theirs.close()
    assert bytes(batch.records.buffer()) == bytes(theirs.buffer())
    assert batch.records.next_offset() == theirs.next_offset() == len(told)


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_a_varint_holds_any_signed_64_bit_number(value: int) -> None:
    """Times of one batch may lie apart either way."""
    rest = shift = 0
    for byte in varint(value):
        rest |= (byte & 0x7F) << shift
        shift += 7
    assert (rest >> 1) ^ -(rest & 1) == value


def test_the_parts_of_kafka_python_in_use_are_the_ones_that_were_read() -> None:
    """They are private. Another version of kafka-python needs another look at `record_batch.py`."""
    assert importlib.metadata.version("kafka-python") == "3.0.12"
    accumulator = RecordAccumulator()
    assert callable(accumulator._tp_lock)
    assert accumulator._batches[PARTITION] is not None
    assert callable(accumulator._incomplete.add)
    builder = MemoryRecordsBuilder(2, 0, 1_000)._builder
    for name in ("_buffer", "_first_timestamp", "_max_timestamp", "_num_records", "_last_offset"):
        assert hasattr(builder, name)
    from kafka.producer.sender import Sender

    assert callable(Sender._can_split)
    assert callable(Sender.force_close)
    assert callable(KafkaProducer.partitions_for)


def test_a_refused_batch_says_why_although_its_future_succeeds() -> None:
    """kafka-python ends the future of a refused batch with success; reading it so would lose records silently."""
    refused = ProducerBatch(PARTITION, MemoryRecordsBuilder(2, 0, 1_000))
    refused.complete_exceptionally(ValueError("no"), lambda _: ValueError("no"))
    assert refused.produce_future.succeeded()
    assert isinstance(refusal(refused.produce_future), ValueError)
    taken = ProducerBatch(PARTITION, MemoryRecordsBuilder(2, 0, 1_000))
    taken.complete(17, -1)
    assert refusal(taken.produce_future) is None


def test_the_size_of_a_record_alone_is_that_of_its_batch() -> None:
    """A topic's limit counts the compressed batch, so a long repetitive record may pass it."""
    producer = queue(ZSTD)
    hand_over(producer, PARTITION, [b"x" * 100_000], [b"key"], [0])
    (batch,) = producer._accumulator._batches[PARTITION]
    batch.records.close()
    assert compressed_bytes(b"x" * 100_000, b"key") == len(batch.records.buffer()) < 1_000
