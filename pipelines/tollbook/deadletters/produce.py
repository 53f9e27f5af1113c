"""Rejects on their way back to Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Final, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from tollbook.broker.connect import admin, cluster_of
from tollbook.connection.clients import connect
from tollbook.connection.cluster import KafkaCluster
from tollbook.deadletters.kept import TOO_LARGE, Letter
from tollbook.errors import KafkaUnavailableError, MisuseError
from tollbook.senders.producer import topic_limits
from tollbook.senders.record_batch import compressed_bytes
from tollbook.settings import Settings

_SEND_SECONDS: Final = 60
_MAX_REQUEST_BYTES: Final = 32 * 1024 * 1024
_RECORD_BYTES: Final = 128
_HEADER_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class _Target:
    """A topic to produce to.

    Attributes:
        topic: Its name.
        partitions: Its partitions.
        max_message_bytes: Largest batch that it takes, compressed. Unit: Bytes.
    """

    topic: str
    partitions: frozenset[int]
    max_message_bytes: int


class LetterProducer:
    """Produces letters and waits until the broker has them. It connects when there is something to send."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: KafkaProducer | None = None
        self._targets: dict[str, _Target] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        if self._producer is not None:
            self._producer.close(timeout=_SEND_SECONDS)

    def send(self, letters: Sequence[Letter], *, to_topic: str | None) -> list[Letter]:
        """Produce the letters that nothing stands against, each to its own topic and partition, or to `to_topic`.

        Returns:
            The letters, those refused that the topic does not take. All others are on Kafka.

        Raises:
            KafkaUnavailableError: The broker did not take them; it may have taken some.
            MisuseError: A topic does not exist.
        """
        try:
            return self._send(letters, to_topic)
        except KafkaError as failed:
            raise KafkaUnavailableError(
                f"expected Kafka to take rejects again, got {type(failed).__name__}: {failed}; "
                "those of the last chunk stay open and may be on Kafka: replaying them again counts none twice"
            ) from failed

    def _send(self, letters: Sequence[Letter], to_topic: str | None) -> list[Letter]:
        found = list(letters)
        sent: list[Any] = []
        for place, letter in enumerate(letters):
            if letter.refused is not None:
                continue
            target = self._target(to_topic or letter.topic)
            # An idempotent producer gives up all its batches for one that is refused, so it is not asked to take it.
            if _record_bytes(letter, target.max_message_bytes) > target.max_message_bytes:
                found[place] = letter.refuse(TOO_LARGE)
            else:
                sent.append(self._hand_over(letter, target))
        if sent:
            self._connected().flush(timeout=_SEND_SECONDS)
        for future in sent:
            future.get(timeout=_SEND_SECONDS)
        return found

    def _hand_over(self, letter: Letter, target: _Target) -> Any:
        own = letter.partition if target.topic == letter.topic and letter.partition in target.partitions else None
        return self._connected().send(
            target.topic, value=letter.value, key=letter.key, headers=letter.record_headers(), partition=own
        )

    def _target(self, topic: str) -> _Target:
        """Return what is known of a topic.

        Raises:
            MisuseError: Kafka has none of that name.
        """
        if topic not in self._targets:
            with admin(self._cluster) as client:
                if topic not in client.list_topics():
                    raise MisuseError(f"expected a topic {topic} to replay to, Kafka has none of that name")
                (told,) = client.describe_topics([topic])
            partitions = frozenset(each["partition_index"] for each in told["partitions"])
            limits = topic_limits(self._cluster, topic)
            self._targets[topic] = _Target(topic, partitions, limits.max_message_bytes)
        return self._targets[topic]

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = connect(
                KafkaProducer,
                self._cluster,
                acks="all",
                enable_idempotence=True,
                max_in_flight_requests_per_connection=1,
                compression_type="zstd",
                max_request_size=_MAX_REQUEST_BYTES,
                allow_auto_create_topics=False,
            )
        return self._producer

    @cached_property
    def _cluster(self) -> KafkaCluster:
        """Where Kafka is; asked for only when there is something to send."""
        return cluster_of(self._settings)


def _record_bytes(letter: Letter, limit: int) -> int:
    """Return the size of a batch that holds one letter: no less than the broker measures where that is near `limit`."""
    beside = _RECORD_BYTES + sum(len(name) + len(value) + _HEADER_BYTES for name, value in letter.record_headers())
    plain = len(letter.value) + len(letter.key or b"") + beside
    return plain if plain <= limit else compressed_bytes(letter.value, letter.key) + beside
