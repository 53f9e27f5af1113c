"""The Kafka producer of the senders: idempotent, acknowledged by all replicas, counted."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from tollbook.broker.connect import admin
from tollbook.connection.clients import connect, last_failure
from tollbook.connection.cluster import KafkaCluster
from tollbook.errors import KafkaUnavailableError, MisuseError
from tollbook.senders.outgoing import Outgoing
from tollbook.senders.partitioning import partitions
from tollbook.senders.record_batch import (
    COMPRESSION,
    RECORD_OVERHEAD_BYTES,
    compressed_bytes,
    hand_over,
    refusal,
)

BATCH_BYTES = 900_000
"""Below Kafka's default `max.message.bytes`, 1,048,588, before compression."""

MAX_UNACKNOWLEDGED_BYTES = 64 * 1024 * 1024
DELIVERY_TIMEOUT_SECONDS = 60.0
_REQUEST_TIMEOUT_SECONDS = 20.0
_CONNECT_TIMEOUT_SECONDS = 15.0
_CLOSE_TIMEOUT_SECONDS = 5.0
_DEFAULT_MAX_MESSAGE_BYTES = 1_048_588
_DEFAULT_AHEAD_MS = 3_600_000
_LIMITS = {
    "max.message.bytes": "max_message_bytes",
    "message.timestamp.after.max.ms": "ahead_ms",
    "message.timestamp.before.max.ms": "behind_ms",
}


@dataclass(frozen=True, slots=True)
class TopicLimits:
    """What a topic takes.

    Attributes:
        max_message_bytes: Largest batch, compressed. Unit: Bytes.
        ahead_ms: How far a time may lie ahead of the clock. Unit: Milliseconds.
        behind_ms: How far a time may lie behind the clock. Unit: Milliseconds.
    """

    max_message_bytes: int = _DEFAULT_MAX_MESSAGE_BYTES
    ahead_ms: int = _DEFAULT_AHEAD_MS
    behind_ms: int = 2**63 - 1


@dataclass(slots=True)
class _Unacknowledged:
    future: Any
    lines: list[int]
    value_bytes: int


class CountingProducer:
    """Sends runs of records to one topic and counts what the broker acknowledged.

    Order holds for each key: one request is in flight at a time, and the broker drops what a retry repeats.
    Memory is bounded: `send` waits while `MAX_UNACKNOWLEDGED_BYTES` are on their way.

    Attributes:
        acknowledged: Records that the broker has.
        acknowledged_bytes: Bytes of their values.
        too_large: Records that the topic does not take: line and size in bytes, as the broker measures it.
        failed: Records of batches that the broker refused or did not answer.
        failure: Why, or None when nothing failed.
    """

    def __init__(self, cluster: KafkaCluster, topic: str) -> None:
        self.acknowledged = 0
        self.acknowledged_bytes = 0
        self.too_large: list[tuple[int, int]] = []
        self.failed = 0
        self.failure: Exception | None = None
        self._topic = topic
        self._limits = topic_limits(cluster, topic)
        self._pending: deque[_Unacknowledged] = deque()
        self._pending_bytes = 0
        self._producer = _connect(cluster)
        try:
            found = self._producer.partitions_for(topic)
        except KafkaError as error:
            self.close()
            raise MisuseError(f"expected a topic {topic} at {cluster}, it cannot be written: {error}") from error
        self._partitions = [TopicPartition(topic, number) for number in sorted(found)]

    @property
    def max_message_bytes(self) -> int:
        """Largest batch that the topic takes, compressed. Unit: Bytes."""
        return self._limits.max_message_bytes

    def send(self, records: Outgoing) -> None:
        """Queue a run of records for sending, each to the partition of its key.

        After a failure nothing more is sent; the caller sees `failure`.
        """
        if not records.values:
            return
        times = self._times(records.timestamps_ms)
        places: list[list[int]] = [[] for _ in self._partitions]
        for index, place in enumerate(partitions(records.keys, records.values, len(self._partitions))):
            places[place].append(index)
        for partition, indexes in zip(self._partitions, places, strict=True):
            for chosen in self._batches(records, indexes):
                self._make_room()
                if self.failure is not None:
                    self.failed += len(chosen)
                    continue
                values = [records.values[index] for index in chosen]
                future = hand_over(
                    self._producer,
                    partition,
                    values,
                    [records.keys[index] for index in chosen],
                    [times[index] for index in chosen],
                )
                size = sum(map(len, values))
                self._pending.append(_Unacknowledged(future, [records.lines[index] for index in chosen], size))
                self._pending_bytes += size
        self._settle()

    def finish(self, *, timeout_seconds: float = DELIVERY_TIMEOUT_SECONDS + _REQUEST_TIMEOUT_SECONDS) -> None:
        """Wait until each record sent is acknowledged or has failed.

        Args:
            timeout_seconds: Longest wait; what is not answered by then counts as failed.
        """
        deadline = time.monotonic() + timeout_seconds
        while self._pending:
            self._pending[0].future.wait(max(0.0, deadline - time.monotonic()))
            self._settle()
            if self._pending and time.monotonic() >= deadline:
                self.failure = self.failure or TimeoutError(f"no answer from the broker within {timeout_seconds:g} s")
                self.failed += sum(len(batch.lines) for batch in self._pending)
                self._pending.clear()

    def close(self) -> None:
        """Close the connection. What is not acknowledged by now is given up and counts as failed."""
        self.failed += sum(len(batch.lines) for batch in self._pending)
        if self._pending or self.failure is not None:
            self._pending.clear()
            self._producer._sender.force_close()  # else kafka-python goes on trying for the delivery timeout
        with contextlib.suppress(KafkaError):
            self._producer.close(timeout=_CLOSE_TIMEOUT_SECONDS)

    def _times(self, timestamps_ms: list[int | None]) -> list[int]:
        """Return the Kafka time of each record: the event's own; now where it is unknown or refused."""
        now = time.time_ns() // 1_000_000
        earliest, latest = max(0, now - self._limits.behind_ms), now + self._limits.ahead_ms
        return [told if told is not None and earliest <= told <= latest else now for told in timestamps_ms]

    def _batches(self, records: Outgoing, indexes: list[int]) -> list[list[int]]:
        """Divide the records of one partition into batches; a large record stands alone, or is refused."""
        limit = min(BATCH_BYTES, self._limits.max_message_bytes // 2)
        batches: list[list[int]] = []
        batch: list[int] = []
        batch_bytes = 0
        for index in indexes:
            key = records.keys[index]
            size = len(records.values[index]) + (0 if key is None else len(key)) + RECORD_OVERHEAD_BYTES
            if size > self._limits.max_message_bytes // 2:
                alone = compressed_bytes(records.values[index], key)
                if alone > self._limits.max_message_bytes:
                    self.too_large.append((records.lines[index], alone))
                    continue
            if batch and batch_bytes + size > limit:
                batches.append(batch)
                batch, batch_bytes = [], 0
            batch.append(index)
            batch_bytes += size
        if batch:
            batches.append(batch)
        return batches

    def _make_room(self) -> None:
        while self._pending and self._pending_bytes > MAX_UNACKNOWLEDGED_BYTES and self.failure is None:
            self._pending[0].future.wait(DELIVERY_TIMEOUT_SECONDS + _REQUEST_TIMEOUT_SECONDS)
            self._settle()

    def _settle(self) -> None:
        """Count the batches that have an answer."""
        while self._pending and self._pending[0].future.is_done:
            batch = self._pending.popleft()
            self._pending_bytes -= batch.value_bytes
            refused = refusal(batch.future)
            if refused is None:
                self.acknowledged += len(batch.lines)
                self.acknowledged_bytes += batch.value_bytes
            else:
                self.failed += len(batch.lines)
                self.failure = self.failure or self._explained(refused)

    def _explained(self, refused: Exception) -> Exception:
        """Return what a batch failed by; where the connection was refused meanwhile, why it was."""
        failure = last_failure(self._producer)
        return refused if failure is None else KafkaUnavailableError(f"{refused}; {failure.message}")


def topic_limits(cluster: KafkaCluster, topic: str) -> TopicLimits:
    """Return what the topic takes, as the broker tells it; Kafka's defaults where it may not be asked.

    Raises:
        KafkaUnavailableError: No broker answered.
    """
    with admin(cluster, timeout_seconds=_CONNECT_TIMEOUT_SECONDS) as client, contextlib.suppress(KafkaError):
        answer = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
        told = {name: int(each["value"]) for name, each in answer["topic"][topic].items() if name in _LIMITS}
        return TopicLimits(**{_LIMITS[name]: value for name, value in told.items()})
    return TopicLimits()


def _connect(cluster: KafkaCluster) -> KafkaProducer:
    producer = connect(
        KafkaProducer,
        cluster,
        enable_idempotence=True,
        acks="all",
        max_in_flight_requests_per_connection=1,
        compression_type=COMPRESSION,
        batch_size=BATCH_BYTES,
        max_request_size=2 * BATCH_BYTES,
        delivery_timeout_ms=int(DELIVERY_TIMEOUT_SECONDS * 1000),
        request_timeout_ms=int(_REQUEST_TIMEOUT_SECONDS * 1000),
        bootstrap_timeout_ms=int(_CONNECT_TIMEOUT_SECONDS * 1000),
        allow_auto_create_topics=False,
        max_block_ms=int(_CONNECT_TIMEOUT_SECONDS * 1000),
        metrics_enabled=False,
    )
    # kafka-python would divide a batch that is too large and answer each record's own future, of which a batch
    # handed over whole has none. Batches are cut to the topic's limit; one that is refused all the same failed.
    producer._sender._can_split = lambda _batch, _error: False
    return producer
