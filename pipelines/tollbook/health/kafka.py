"""What Kafka holds that the book does not: lag by partition, and offsets that are gone before they were read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tollbook.broker.connect import admin, cluster_of
from tollbook.errors import KafkaUnavailableError
from tollbook.lake.manifest import Manifest
from tollbook.settings import Settings

ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class PartitionHealth:
    """One partition. Offsets are Kafka's own.

    Attributes:
        topic: Topic that the meter reads.
        partition: Its partition.
        committed: Offset after the last one in the book; 0 for a partition that is new.
        first: First offset that Kafka still holds.
        end: Offset after the last that may be read.
    """

    topic: str
    partition: int
    committed: int
    first: int
    end: int

    @property
    def lag(self) -> int:
        """Offsets that wait to be read."""
        return max(0, self.end - max(self.committed, self.first))

    @property
    def lost(self) -> int:
        """Offsets that Kafka dropped before they were read."""
        return max(0, self.first - self.committed)

    @property
    def began_anew(self) -> bool:
        """Whether the log ends before what was read of it: it was truncated, or the topic made anew."""
        return self.committed > self.end


@dataclass(frozen=True, slots=True)
class KafkaHealth:
    """What Kafka told.

    Attributes:
        problem: Why it told nothing, in a sentence; None when it answered.
        partitions: Partitions of the topics that the book was read from, in order.
        absent: Of these topics those that Kafka does not have.
        remade: Of these topics those that were deleted and made anew.
    """

    problem: str | None
    partitions: tuple[PartitionHealth, ...] = ()
    absent: tuple[str, ...] = ()
    remade: tuple[str, ...] = ()

    @property
    def answers(self) -> bool:
        """Whether Kafka answered."""
        return self.problem is None

    @property
    def lag(self) -> int:
        """Offsets that wait to be read, of all partitions."""
        return sum(each.lag for each in self.partitions)


def kafka_health(settings: Settings, manifest: Manifest, *, answer_seconds: float = ANSWER_SECONDS) -> KafkaHealth:
    """Ask Kafka about the topics of the book.

    Args:
        settings: Says which Kafka.
        manifest: The newest commit.
        answer_seconds: How long to wait for an answer.

    Raises:
        MisuseError: The servers are not a list of `host:port`, or a security setting is not as it should.
    """
    if not manifest.offsets:
        return KafkaHealth(None)
    try:
        with admin(cluster_of(settings), timeout_seconds=answer_seconds) as client:
            return _ask(client, manifest)
    except KafkaUnavailableError as away:
        return KafkaHealth(away.message)


def _ask(client: Any, manifest: Manifest) -> KafkaHealth:
    from kafka import TopicPartition
    from kafka.admin import OffsetSpec
    from kafka.errors import KafkaError

    try:
        there = set(client.list_topics())
        topics = [topic for topic in sorted(manifest.offsets) if topic in there]
        told = {each["name"]: each for each in client.describe_topics(topics)} if topics else {}
        places = [
            TopicPartition(topic, each["partition_index"])
            for topic in topics
            for each in sorted(told[topic]["partitions"], key=lambda each: int(each["partition_index"]))
        ]
        first = _offsets(client, places, OffsetSpec.EARLIEST)
        ends = _offsets(client, places, OffsetSpec.LATEST)
    except KafkaError as failed:
        return KafkaHealth(f"expected Kafka to tell its offsets, got {type(failed).__name__}: {failed}")
    return KafkaHealth(
        problem=None,
        partitions=tuple(
            PartitionHealth(
                topic=place.topic,
                partition=place.partition,
                committed=_committed(manifest, place.topic, place.partition),
                first=first[place],
                end=ends[place],
            )
            for place in places
        ),
        absent=tuple(sorted(set(manifest.offsets) - there)),
        remade=tuple(_remade(manifest.topic_ids, told)),
    )


def _offsets(client: Any, places: Iterable[Any], spec: Any) -> dict[Any, int]:
    # As the meter reads: what an open transaction holds back may not be read yet, and is no lag.
    answer = client.list_partition_offsets(dict.fromkeys(places, spec), isolation_level="read_committed")
    return {place: int(told.offset) for place, told in answer.items()}


def _committed(manifest: Manifest, topic: str, partition: int) -> int:
    base = manifest.offset_bases.get(topic, {}).get(partition, 0)
    return manifest.offsets[topic].get(partition, base) - base


def _remade(known: Mapping[str, str], told: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        topic
        for topic, each in told.items()
        if known.get(topic) is not None and each.get("topic_id") is not None and str(each["topic_id"]) != known[topic]
    ]
