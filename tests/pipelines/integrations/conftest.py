"""Where a tool's records go: settings with a spool of the test's own, and what then stands on a topic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from tollbook.integrations.settings import DeliverySettings
from tollbook.settings import Settings


def _read_topic(servers: str, topic: str) -> list[bytes]:
    """Return the values of all records of a topic, by partition and offset."""
    consumer = KafkaConsumer(bootstrap_servers=servers.split(","))
    try:
        places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        values = []
        while any(consumer.position(place) < ends[place] for place in places):
            for records in consumer.poll(timeout_ms=500).values():
                values += [record.value for record in records]
        return values
    finally:
        consumer.close()


@pytest.fixture
def topic_values(settings: Settings) -> Callable[[str], list[bytes]]:
    """Return a function from a topic's name to the values of its records."""
    assert settings.bootstrap_servers is not None
    servers = settings.bootstrap_servers
    return lambda topic: _read_topic(servers, topic)


@pytest.fixture
def read_topic() -> Callable[[str, str], list[bytes]]:
    """Return a function from Kafka's servers and a topic's name to the values of its records."""
    return _read_topic


@pytest.fixture
def delivery_settings(tmp_path: Path) -> Callable[..., DeliverySettings]:
    """Return a function that makes settings with a spool of the test's own, and short waits."""

    def make(servers: str | None, topic: str = "llm.usage.litellm", **values: Any) -> DeliverySettings:
        told: dict[str, Any] = {"acknowledge_seconds": 2.0, "retry_seconds": 0.2} | values
        return DeliverySettings(topic=topic, spool=tmp_path / "spool", bootstrap_servers=servers, **told)

    return make
