"""Topics come from `schemas/topics`, and keep what is sent to them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from tollbook.broker.connect import admin
from tollbook.broker.topics import definition, definitions, ensure_topics, topic_of_format
from tollbook.errors import TopicError
from tollbook.settings import Settings


def settings_of(settings: Settings, topic: str) -> dict[str, str]:
    """Return the settings that Kafka says a topic has beyond its defaults."""
    assert settings.bootstrap_servers is not None
    with admin(settings.bootstrap_servers) as client:
        told = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {key: each["value"] for key, each in told["topic"][topic].items()}


def read_all(settings: Settings, topic: str, *, partitions: int, count: int) -> list[Any]:
    """Return `count` records from the start of a topic, giving up after minutes."""
    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap_servers, max_partition_fetch_bytes=20_000_000)
    try:
        places = [TopicPartition(topic, partition) for partition in range(partitions)]
        consumer.assign(places)
        consumer.seek_to_beginning()
        records: list[Any] = []
        deadline = time.monotonic() + 300
        while len(records) < count and time.monotonic() < deadline:
            for batch in consumer.poll(500).values():
                records.extend(batch)
        return records
    finally:
        consumer.close()


def test_ensured_topics_have_the_settings_that_are_written_down(settings: Settings) -> None:
    """Retention and sizes decide what can be lost, so Kafka must have them and not its defaults."""
    made = ensure_topics(settings, ["llm.usage", "llm.usage.rejects", "tollbook.decisions"])

    assert [(each.name, each.partitions) for each in made] == [
        ("llm.usage", 4), ("llm.usage.rejects", 1), ("tollbook.decisions", 1),
    ]  # fmt: skip
    assert settings_of(settings, "llm.usage") == {
        "cleanup.policy": "delete",
        "max.message.bytes": "16777216",
        "message.timestamp.type": "LogAppendTime",
        "retention.bytes": "-1",
        "retention.ms": "1209600000",  # 14 days of 86,400,000 ms
    }
    assert settings_of(settings, "tollbook.decisions")["cleanup.policy"] == "compact"


def test_ensuring_topics_again_makes_nothing(settings: Settings) -> None:
    """Every `send` and `meter` ensures its topics, so the second time must change nothing."""
    ensure_topics(settings, ["llm.usage", "llm.usage.cloudevents"])

    again = ensure_topics(settings, ["llm.usage", "llm.usage.cloudevents"])

    assert [(each.partitions, each.created) for each in again] == [(4, False), (4, False)]


def test_a_topic_that_someone_else_made_is_left_as_it_is(settings: Settings, new_topic: Callable[..., str]) -> None:
    """An operator's own number of partitions stands, and the caller is told of it."""
    name = new_topic(partitions=2)

    assert [(each.partitions, each.created) for each in ensure_topics(settings, [name])] == [(2, False)]


def test_a_topic_without_a_definition_is_refused(settings: Settings) -> None:
    """A misspelt topic would take records that nobody reads."""
    with pytest.raises(TopicError, match=r"got 'llm\.usages'"):
        ensure_topics(settings, ["llm.usages"])


@pytest.mark.parametrize("name", ["llm.usage.", "llm.usage.Bad", "llm.usage.a.b", "xllm.usage.litellm", ""])
def test_only_format_names_make_variants_of_the_usage_topic(name: str) -> None:
    """Variants are open-ended, so what is not a format's name must not slip in."""
    with pytest.raises(TopicError):
        definition(name)


def test_formats_have_topics_with_the_settings_of_the_usage_topic() -> None:
    """A format's topic holds the same events, so it is kept as long; rejects have settings of their own."""
    assert topic_of_format("native") == "llm.usage"
    assert topic_of_format("otel_genai") == "llm.usage.otel_genai"
    assert definition("llm.usage.otel_genai").topic == "llm.usage"
    assert definition("llm.usage.rejects").topic == "llm.usage.rejects"


def test_a_misspelt_setting_of_a_topic_is_refused(tmp_path: Path) -> None:
    """A misspelt retention that is ignored would lose records two weeks later."""
    (tmp_path / "x.yaml").write_text("topic: x\nretention_days: 3\n", encoding="utf-8")

    with pytest.raises(TopicError, match=r"x\.yaml"):
        definitions(tmp_path)


def test_a_record_of_five_megabytes_is_kept_whole(settings: Settings, new_topic: Callable[..., str]) -> None:
    """Tool exports send many calls in one record; Kafka's own limit is 1 MB."""
    topic = new_topic(partitions=1)
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, max_request_size=16_777_216)
    try:
        producer.send(topic, b"x" * 5_000_000).get(300)
    finally:
        producer.close()

    assert [len(record.value) for record in read_all(settings, topic, partitions=1, count=1)] == [5_000_000]


def test_records_are_stamped_when_they_arrive_whatever_clock_sent_them(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """By the producer's clock a backfill is old enough to be deleted unread, and a fast clock is refused."""
    topic = new_topic(partitions=1)
    before_ms = int(time.time() * 1000)
    year_ms = 365 * 86_400_000
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    try:
        producer.send(topic, b"a year ago", timestamp_ms=before_ms - year_ms).get(300)
        producer.send(topic, b"in a year", timestamp_ms=before_ms + year_ms).get(300)
    finally:
        producer.close()

    records = read_all(settings, topic, partitions=1, count=2)

    assert [record.value for record in records] == [b"a year ago", b"in a year"]
    assert all(before_ms <= record.timestamp <= int(time.time() * 1000) for record in records)
