"""What Kafka tells of lag and gaps, asked of a real broker."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace

import pytest
from kafka import KafkaProducer, TopicPartition

from tollbook.broker.connect import admin
from tollbook.errors import MisuseError
from tollbook.health.kafka import PartitionHealth, kafka_health
from tollbook.lake.manifest import Manifest
from tollbook.settings import Settings

PATIENCE_SECONDS = 300.0


def send(settings: Settings, topic: str, partition: int, count: int) -> None:
    """Put records on a partition."""
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    for _ in range(count):
        producer.send(topic, value=b"{}", partition=partition)
    producer.flush()
    producer.close()


def test_lag_is_by_partition_new_ones_too(
    settings: Settings, new_topic: Callable[..., str], manifest: Callable[..., Manifest]
) -> None:
    """The book knows of one partition; the topic has two."""
    topic = new_topic(partitions=2)
    send(settings, topic, 0, 5)
    send(settings, topic, 1, 3)
    found = kafka_health(settings, manifest(offsets={topic: {0: 4}}), answer_seconds=PATIENCE_SECONDS)
    assert (found.answers, found.lag) == (True, 4)
    assert found.partitions == (
        PartitionHealth(topic, 0, committed=4, first=0, end=5),
        PartitionHealth(topic, 1, committed=0, first=0, end=3),
    )


def test_offsets_of_the_book_are_counted_back_to_those_of_kafka(
    settings: Settings, new_topic: Callable[..., str], manifest: Callable[..., Manifest]
) -> None:
    """A log that began anew, as an operator accepted, goes on in the book above its old end."""
    topic = new_topic(partitions=1)
    send(settings, topic, 0, 5)
    found = kafka_health(
        settings, manifest(offsets={topic: {0: 103}}, offset_bases={topic: {0: 100}}), answer_seconds=PATIENCE_SECONDS
    )
    assert found.partitions == (PartitionHealth(topic, 0, committed=3, first=0, end=5),)


def test_what_an_open_transaction_holds_back_is_no_lag(
    settings: Settings, new_topic: Callable[..., str], manifest: Callable[..., Manifest]
) -> None:
    """The meter may not read it yet, so it is not behind."""
    topic = new_topic(partitions=1)
    send(settings, topic, 0, 2)
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, transactional_id=f"open-{topic}")
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(topic, value=b"{}", partition=0)
    producer.flush()
    found = kafka_health(settings, manifest(offsets={topic: {0: 2}}), answer_seconds=PATIENCE_SECONDS)
    producer.abort_transaction()
    producer.close()
    assert found.lag == 0


def test_offsets_that_are_gone_and_logs_that_are_shorter_are_seen(
    settings: Settings, new_topic: Callable[..., str], manifest: Callable[..., Manifest]
) -> None:
    """Retention took three offsets that were not read; of the other partition more was read than there is."""
    topic = new_topic(partitions=2)
    for partition in (0, 1):
        send(settings, topic, partition, 5)
    assert settings.bootstrap_servers is not None
    with admin(settings.bootstrap_servers) as client:
        client.delete_records({TopicPartition(topic, 0): 4})
    found = kafka_health(settings, manifest(offsets={topic: {0: 1, 1: 9}}), answer_seconds=PATIENCE_SECONDS)
    gone, shorter = found.partitions
    assert (gone.lost, gone.lag, gone.began_anew) == (3, 1, False)
    assert (shorter.lost, shorter.lag, shorter.began_anew) == (0, 0, True)


def test_topics_that_are_absent_or_others_are_named(
    settings: Settings, new_topic: Callable[..., str], manifest: Callable[..., Manifest]
) -> None:
    """By Kafka's own id of a topic, which a new one by an old name does not have."""
    topic = new_topic(partitions=1)
    told = manifest(offsets={topic: {0: 0}, "llm.usage.gone": {0: 0}}, topic_ids={topic: "an id of another"})
    found = kafka_health(settings, told, answer_seconds=PATIENCE_SECONDS)
    assert (found.absent, found.remade) == (("llm.usage.gone",), (topic,))
    assert settings.bootstrap_servers is not None
    with admin(settings.bootstrap_servers) as client:
        (described,) = client.describe_topics([topic])
    same = kafka_health(
        settings,
        manifest(offsets={topic: {0: 0}}, topic_ids={topic: str(described["topic_id"])}),
        answer_seconds=PATIENCE_SECONDS,
    )
    assert (same.absent, same.remade) == ((), ())


def test_a_broker_that_is_away_is_told_in_time(settings: Settings, manifest: Callable[..., Manifest]) -> None:
    """A status that hangs is no status."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = replace(settings, bootstrap_servers=f"127.0.0.1:{unused.getsockname()[1]}")
        found = kafka_health(away, manifest(), answer_seconds=0.2)
    assert (found.answers, found.partitions) == (False, ())
    assert found.problem is not None
    assert "none accepted a connection within 0.2 s" in found.problem


def test_an_embedded_broker_that_does_not_run_is_told(settings: Settings, manifest: Callable[..., Manifest]) -> None:
    """With the command that starts it."""
    found = kafka_health(replace(settings, bootstrap_servers=None), manifest())
    assert found.problem is not None
    assert "tollbook broker up" in found.problem


def test_servers_that_are_none_are_misuse(settings: Settings, manifest: Callable[..., Manifest]) -> None:
    """That is a typo, not an outage."""
    with pytest.raises(MisuseError, match="host:port"):
        kafka_health(replace(settings, bootstrap_servers="[::1:9092"), manifest())
