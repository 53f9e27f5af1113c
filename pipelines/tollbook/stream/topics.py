"""What Kafka says of the topics: their partitions, first and last offsets, and ids."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import ClusterAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from tollbook.broker.connect import admin
from tollbook.connection.clients import last_failure
from tollbook.connection.cluster import KafkaCluster
from tollbook.errors import KafkaRefusedError, KafkaUnavailableError, MisuseError
from tollbook.stream.read import metadata_consumer_for

Place = tuple[str, int]

_PATIENCE_MS = 30_000
_BRIEF_MS = 2_500


class KafkaTopics:
    """Topics of one cluster, asked anew at each call.

    It asks through a consumer that is never assigned anything: an assignment narrows what kafka-python knows.
    """

    def __init__(self, cluster: KafkaCluster, topics: tuple[str, ...], read_before: Container[str] = ()) -> None:
        """Ask about `topics`, of which those in `read_before` were there when they were read."""
        self._cluster, self._topics, self._read_before = cluster, topics, read_before
        self._patience_ms = _PATIENCE_MS

    def be_brief(self) -> None:
        """Wait for answers no longer than who has to hear of a wish to stop within seconds may wait."""
        self._patience_ms = _BRIEF_MS

    def ends(self) -> dict[Place, int]:
        """Return the offset after the last that may be read, for every partition.

        Raises:
            KafkaUnavailableError: No broker answers, or a topic that was read before is not there for now.
            MisuseError: A topic does not exist.
        """
        return self._offsets(self._partitions(), KafkaConsumer.end_offsets)

    def beginnings(self, places: Iterable[Place]) -> dict[Place, int]:
        """Return the first offset that Kafka still has, for each of `places`.

        Raises:
            KafkaUnavailableError: No broker answers.
        """
        return self._offsets([TopicPartition(*place) for place in places], KafkaConsumer.beginning_offsets)

    def ids(self) -> dict[str, str]:
        """Return Kafka's id of each topic, as of now; brokers before 2.8 tell none.

        Raises:
            KafkaUnavailableError: No broker answers.
        """
        consumer = self._consumer()
        known = consumer._cluster
        known._topics.update(self._topics)
        try:
            consumer._net.run(known.refresh_metadata)
        except KafkaError as failed:
            raise self._unavailable("the ids of its topics", failed) from failed
        told = {topic: known.topic_id(topic) for topic in self._topics if known.partitions_for_topic(topic)}
        return {topic: str(identifier) for topic, identifier in told.items() if identifier is not None}

    def is_compacted(self, topic: str) -> bool:
        """Return whether Kafka compacts `topic`, which takes single records out of the middle of its log.

        Where this client may not ask, the answer is no: what is absent is then a gap.

        Raises:
            KafkaUnavailableError: No broker answers.
        """
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        try:
            with admin(self._cluster) as client:
                told = client.describe_configs([resource], config_filter="all")
        except (TopicAuthorizationFailedError, ClusterAuthorizationFailedError):
            return False
        except KafkaError as failed:
            raise self._unavailable(f"the settings of the topic {topic}", failed) from failed
        return "compact" in str(told["topic"][topic]["cleanup.policy"]["value"])

    def _consumer(self) -> KafkaConsumer:
        return metadata_consumer_for(self._cluster, patience_ms=self._patience_ms)

    def _partitions(self) -> list[TopicPartition]:
        found: list[TopicPartition] = []
        for topic in self._topics:
            try:
                partitions = self._consumer().partitions_for_topic(topic)
            except KafkaError as failed:
                raise self._unavailable(f"the topic {topic}", failed) from failed
            if not partitions and topic in self._read_before:
                raise KafkaUnavailableError(
                    f"expected the topic {topic}, which was read before, Kafka has none by the name: was it deleted?"
                )
            if not partitions:
                raise MisuseError(
                    f"expected the topic {topic} to exist; `tollbook send` makes it, or ask who runs your Kafka"
                )
            found.extend(TopicPartition(topic, number) for number in sorted(partitions))
        return found

    def _offsets(
        self,
        partitions: list[TopicPartition],
        ask: Callable[[KafkaConsumer, list[TopicPartition], int], Mapping[TopicPartition, int]],
    ) -> dict[Place, int]:
        try:
            told = ask(self._consumer(), partitions, self._patience_ms)
        except KafkaError as failed:
            raise self._unavailable(f"the offsets of {len(partitions)} partitions", failed) from failed
        silent = [place for place in partitions if told.get(place) is None]
        if silent:
            raise KafkaUnavailableError(f"expected the offsets of {silent[0]}, Kafka told none")
        return {(place.topic, place.partition): told[place] for place in partitions}

    def _unavailable(self, expected: str, failed: KafkaError) -> KafkaUnavailableError:
        """Return the error that says what Kafka did not tell, and why the connection failed where it did."""
        failure = last_failure(self._consumer())
        if failure is not None and failure.final:
            return KafkaRefusedError(failure.message)
        why = "" if failure is None else f"; {failure.message}"
        return KafkaUnavailableError(f"expected Kafka to tell {expected}, got {type(failed).__name__}: {failed}{why}")
