"""Helpers for the tests of the senders: topics and what stands in them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from kafka import KafkaConsumer, TopicPartition

from tollbook.broker.connect import admin
from tollbook.settings import Settings


@dataclass(frozen=True)
class Stored:
    """One record as Kafka has it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


@pytest.fixture
def event_time_topic(settings: Settings) -> Callable[..., str]:
    """Return a function that makes a topic that keeps the sender's time; `configs` are further Kafka settings."""

    def make(*, partitions: int = 4, **configs: str) -> str:
        name = f"event-time-{uuid.uuid4().hex[:12]}"
        own = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
        own |= {key.replace("_", "."): value for key, value in configs.items()}
        assert settings.bootstrap_servers is not None
        with admin(settings.bootstrap_servers) as client:
            client.create_topics({name: {"num_partitions": partitions, "configs": own}}, wait_for_metadata=True)
        return name

    return make


@pytest.fixture
def stored(settings: Settings) -> Callable[[str], list[Stored]]:
    """Return a function that reads all records of a topic, by partition and offset."""

    def read(topic: str) -> list[Stored]:
        assert settings.bootstrap_servers is not None
        consumer = KafkaConsumer(
            bootstrap_servers=settings.bootstrap_servers.split(","),
            max_partition_fetch_bytes=32 * 1024 * 1024,
        )
        try:
            places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            ends = consumer.end_offsets(places)
            found: list[Stored] = []
            while any(consumer.position(place) < ends[place] for place in places):
                for records in consumer.poll(timeout_ms=500).values():
                    found += [Stored(r.partition, r.offset, r.key, r.value, r.timestamp) for r in records]
        finally:
            consumer.close()
        return sorted(found, key=lambda record: (record.partition, record.offset))

    return read
