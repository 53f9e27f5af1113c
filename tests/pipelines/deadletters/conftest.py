"""A topic with dead letters of every kind, through the real meter and a real Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tollbook.deadletters.filters import ALL, RejectFilter
from tollbook.deadletters.find import Found, find_rejects
from tollbook.deadletters.replay import ReplayOptions, ReplayResult, replay_rejects
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, MeterProgress, run_meter

NOW = datetime(2026, 11, 24, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "source": "anthropic",
    "provider": "anthropic",
    "model": "claude-opus-4-5-20251101",
    "occurred_at": "2026-06-01T10:00:00Z",
    "input_tokens": 1000,
    "output_tokens": 100,
}
"""1,000 x 5 + 100 x 25 USD a million tokens (genai-prices 0.2.3): 0.0075 USD a call."""


def clock() -> datetime:
    """Return the time of these tests."""
    return NOW


def event(event_id: str, **fields: Any) -> bytes:
    """Return a usage event; a field of None is left out."""
    told = EVENT | {"event_id": event_id} | fields
    return json.dumps({name: value for name, value in told.items() if value is not None}).encode()


@dataclass(frozen=True)
class DeadLetters:
    """One topic of one partition, and the book that it is metered into."""

    settings: Settings
    topic: str

    def send(self, value: bytes, *, key: bytes | None = None, headers: list[tuple[str, bytes]] | None = None) -> None:
        """Put one record on the topic."""
        producer = KafkaProducer(bootstrap_servers=self.settings.bootstrap_servers, max_request_size=16 * 1024 * 1024)
        producer.send(self.topic, value=value, key=key, headers=headers)
        producer.flush()
        producer.close()

    def meter(self, **options: Any) -> MeterProgress:
        """Read the topic up to its end."""
        return run_meter(MeterOptions(settings=self.settings, topics=(self.topic,), clock=clock, **options))

    def find(self, *, limit: int = 100, **conditions: Any) -> Found:
        """Return the rejects of some conditions."""
        return find_rejects(self.settings.lake, RejectFilter(**conditions), limit=limit)

    def offsets(self, **conditions: Any) -> list[int]:
        """Return the offsets of the rejects of some conditions, in order."""
        return sorted(each.offset for each in self.find(**({"state": ALL} | conditions)).rejects)

    def replay(self, *, wanted: RejectFilter | None = None, **options: Any) -> ReplayResult:
        """Replay open rejects."""
        return replay_rejects(self.settings, ReplayOptions(wanted=wanted or RejectFilter(), **options), clock=clock)

    def records(self, topic: str | None = None) -> list[Any]:
        """Return the records of a topic's first partition, as a plain consumer sees them."""
        place = TopicPartition(topic or self.topic, 0)
        consumer = KafkaConsumer(
            bootstrap_servers=self.settings.bootstrap_servers, group_id=None, enable_auto_commit=False
        )
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        end = consumer.end_offsets([place])[place]
        found: list[Any] = []
        while consumer.position(place) < end:
            found.extend(consumer.poll(timeout_ms=500).get(place, []))
        consumer.close()
        return found


@pytest.fixture
def letters(settings: Settings, new_topic: Callable[..., str]) -> DeadLetters:
    """Return an empty topic and book."""
    return DeadLetters(settings, new_topic(partitions=1))
