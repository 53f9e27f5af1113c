"""What Kafka says of the topics: their partitions, first and last offsets, and ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from tollbook.errors import KafkaUnavailableError, MisuseError
from tollbook.stream.read import metadata_consumer_for

Place = tuple[str, int]


class KafkaTopics:
    """Topics of one cluster, asked anew at each call.

    It asks through a consumer that is never assigned anything: an assignment narrows what kafka-python knows.
    """

    def __init__(self, bootstrap_servers: str, topics: tuple[str, ...]) -> None:
        self._bootstrap_servers, self._topics = bootstrap_servers, topics

    def ends(self) -> dict[Place, int]:
        """Return the offset after the last that may be read, for every partition.

        Raises:
            KafkaUnavailableError: No broker answers.
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
        """Return Kafka's id of each topic; brokers before 2.8 tell none."""
        cluster = metadata_consumer_for(self._bootstrap_servers)._cluster
        told = {topic: cluster.topic_id(topic) for topic in self._topics}
        return {topic: str(identifier) for topic, identifier in told.items() if identifier is not None}

    def _partitions(self) -> list[TopicPartition]:
        found: list[TopicPartition] = []
        for topic in self._topics:
            try:
                partitions = metadata_consumer_for(self._bootstrap_servers).partitions_for_topic(topic)
            except KafkaError as failed:
                raise _unavailable(f"the topic {topic}", failed) from failed
            if not partitions:
                raise MisuseError(
                    f"expected the topic {topic} to exist; `tollbook send` makes it, or ask who runs your Kafka"
                )
            found.extend(TopicPartition(topic, number) for number in sorted(partitions))
        return found

    def _offsets(
        self,
        partitions: list[TopicPartition],
        ask: Callable[[KafkaConsumer, list[TopicPartition]], Mapping[TopicPartition, int]],
    ) -> dict[Place, int]:
        try:
            told = ask(metadata_consumer_for(self._bootstrap_servers), partitions)
        except KafkaError as failed:
            raise _unavailable(f"the offsets of {len(partitions)} partitions", failed) from failed
        silent = [place for place in partitions if told.get(place) is None]
        if silent:
            raise KafkaUnavailableError(f"expected the offsets of {silent[0]}, Kafka told none")
        return {(place.topic, place.partition): told[place] for place in partitions}


def _unavailable(expected: str, failed: KafkaError) -> KafkaUnavailableError:
    return KafkaUnavailableError(f"expected Kafka to tell {expected}, got {type(failed).__name__}: {failed}")
