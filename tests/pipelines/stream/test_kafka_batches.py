"""The batch path over kafka-python gives what plain ConsumerRecords give: a contract test on a private interface."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tollbook.connection.cluster import KafkaCluster
from tollbook.settings import Settings
from tollbook.stream.ranges import ChunkOrigin, OffsetRange
from tollbook.stream.read import close_consumers, reader_for


def _plain(settings: Settings, topic: str, isolation: str = "read_committed") -> list[Any]:
    consumer = KafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, isolation_level=isolation, enable_auto_commit=False, group_id=None
    )
    place = TopicPartition(topic, 0)
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    end = consumer.end_offsets([place])[place]
    records: list[Any] = []
    while consumer.position(place) < end:
        records.extend(consumer.poll(timeout_ms=500).get(place, []))
    consumer.close()
    return records


def _batches(settings: Settings, topic: str, first: int, end: int, **limits: Any) -> list[pa.RecordBatch]:
    assert settings.bootstrap_servers is not None
    try:
        reader = reader_for(KafkaCluster(settings.bootstrap_servers), topic, 0)
        return list(reader.read(OffsetRange(topic, 0, first, end), **limits))
    finally:
        close_consumers()


def _produce(
    settings: Settings, topic: str, records: list[tuple[bytes | None, bytes | None, Any]], **options: Any
) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, linger_ms=50, **options)
    for number, (key, value, headers) in enumerate(records):
        producer.send(topic, key=key, value=value, headers=headers, timestamp_ms=1_780_272_000_000 + number * 977)
    producer.flush()
    producer.close()


RECORDS: list[tuple[bytes | None, bytes | None, Any]] = [
    (
        None if n % 5 == 0 and n % 11 else b"k" * (n % 200),
        None if n % 11 == 0 else b"v" * ((n * 37) % 20_000),
        [("ce_id", b"7"), ("empty", b"")] if n % 7 == 0 else None,
    )
    for n in range(400)
]


@pytest.mark.parametrize("compression", [None, "gzip", "lz4", "zstd"])
def test_chunks_hold_what_consumer_records_hold(
    settings: Settings, new_topic: Callable[..., str], compression: str | None
) -> None:
    """Keys, nulls, headers and sizes of every varint length must not move a value."""
    topic = new_topic(partitions=1)
    _produce(settings, topic, RECORDS, compression_type=compression)
    plain = _plain(settings, topic)
    (batch,) = _batches(settings, topic, 0, 400)
    kept = [record for record in plain if record.value is not None]
    assert batch.column("offset").to_pylist() == [record.offset for record in kept]
    assert batch.column("value").to_pylist() == [record.value for record in kept]
    assert batch.column("key").to_pylist() == [record.key for record in kept]
    assert batch.column("kafka_timestamp").cast(pa.int64()).to_pylist() == [record.timestamp * 1000 for record in kept]
    assert batch.column("headers").to_pylist() == [list(record.headers) or None for record in kept]
    origin = ChunkOrigin.of(batch)
    assert (origin.records, origin.tombstones, origin.missing) == (len(kept), 400 - len(kept), 0)


def test_ranges_that_cut_a_batch_in_two_lose_and_double_nothing(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """Plans end anywhere; batches on the log do not."""
    topic = new_topic(partitions=1)
    _produce(settings, topic, RECORDS, compression_type="lz4")
    cuts = [0, 1, 11, 12, 33, 200, 399, 400]
    batches = [b for a, z in pairwise(cuts) for b in _batches(settings, topic, a, z)]
    origins = [ChunkOrigin.of(batch) for batch in batches]
    assert [(each.first_offset, each.next_offset) for each in origins] == list(pairwise(cuts))
    assert all(each.missing == 0 for each in origins)
    offsets = [offset for batch in batches for offset in batch.column("offset").to_pylist()]
    assert offsets == [n for n in range(400) if n % 11]


def test_chunks_of_a_range_cover_it_and_are_the_same_each_time(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """A retry must write files of the same names."""
    topic = new_topic(partitions=1)
    for start in range(0, 400, 50):
        _produce(settings, topic, RECORDS[start : start + 50])
    first, second = ([ChunkOrigin.of(b) for b in _batches(settings, topic, 0, 400, chunk_records=60)] for _ in range(2))
    assert first == second
    assert len(first) > 1
    assert first[0].first_offset == 0
    assert first[-1].next_offset == 400
    assert all(a.next_offset == b.first_offset for a, b in pairwise(first))


def test_aborted_and_control_offsets_are_counted_and_their_records_are_not_read(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """A transaction that was rolled back was never spent."""
    topic = new_topic(partitions=1)
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, transactional_id=f"tx-{topic}")
    producer.init_transactions()
    for outcome, value in (("commit", b"kept"), ("abort", b"dropped"), ("commit", b"kept too")):
        producer.begin_transaction()
        for _ in range(3):
            producer.send(topic, value=value)
        producer.flush()
        if outcome == "commit":
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    producer.close()
    # Each transaction is three records and a marker: offsets 0-3, 4-7 and 8-11.
    (batch,) = _batches(settings, topic, 0, 12)
    assert batch.column("value").to_pylist() == [b"kept"] * 3 + [b"kept too"] * 3
    origin = ChunkOrigin.of(batch)
    assert (origin.records, origin.aborted, origin.control, origin.missing) == (6, 3, 3, 0)
