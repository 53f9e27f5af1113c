"""Kafka topics, made from `schemas/topics/` on the embedded broker or any other Kafka."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from tollbook.broker.connect import admin, cluster_of
from tollbook.contracts import shipped_folder
from tollbook.errors import TopicError
from tollbook.settings import Settings

USAGE_TOPIC = "llm.usage"
REJECTS_TOPIC = "llm.usage.rejects"
_ALREADY_EXISTS = 36
"""Source: Apache Kafka protocol guide, error codes: TOPIC_ALREADY_EXISTS. Read 2026-11-24."""


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The key of a topic's records; see `schemas/documents/topic.schema.json`."""

    field: str
    encoding: str
    required: bool


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The value of a topic's records; see `schemas/documents/topic.schema.json`."""

    schema: str | None
    encoding: str


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One topic, as `schemas/documents/topic.schema.json` describes it."""

    topic: str
    description: str
    key: Key
    value: Value
    compatibility: str
    partitions: int
    cleanup_policy: str
    retention_hours: int | None
    max_message_bytes: int
    timestamp: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    dead_letter_topic: str | None
    variants: str | None = None

    def holds(self, name: str) -> bool:
        """Return whether `name` is this topic or, like `llm.usage.litellm`, one of its variants."""
        if name == self.topic:
            return True
        return self.variants is not None and bool(
            re.fullmatch(re.escape(self.variants.partition("<")[0]) + r"[a-z0-9_]+", name)
        )

    def kafka_settings(self) -> dict[str, str]:
        """Return Kafka's settings of the topic."""
        retention = -1 if self.retention_hours is None else self.retention_hours * 3_600_000
        return {
            "cleanup.policy": self.cleanup_policy,
            "max.message.bytes": str(self.max_message_bytes),
            "message.timestamp.type": "LogAppendTime" if self.timestamp == "append" else "CreateTime",
            "retention.bytes": "-1",
            "retention.ms": str(retention),
        }


@dataclass(frozen=True, slots=True)
class EnsuredTopic:
    """A topic that is there.

    Attributes:
        name: Its name.
        partitions: How many partitions it has, which may differ from its definition when someone else made
            it.
        created: Whether this call made it.
    """

    name: str
    partitions: int
    created: bool


@lru_cache(maxsize=4)
def definitions(folder: Path | None = None) -> tuple[Topic, ...]:
    """Return all topic definitions, by name.

    Args:
        folder: Where they are; by default the shipped `schemas/topics`.

    Raises:
        TopicError: A file is not a topic definition.
    """
    import yaml

    found = []
    for path in sorted((folder or shipped_folder("schemas") / "topics").glob("*.yaml")):
        try:
            found.append(msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Topic))
        except (yaml.YAMLError, msgspec.ValidationError) as error:
            raise TopicError(
                f"expected {path} to be a topic as in schemas/documents/topic.schema.json: {error}"
            ) from error
    return tuple(found)


def definition(name: str) -> Topic:
    """Return what defines the topic `name`: its own file, else the file whose variants it is one of.

    Raises:
        TopicError: Nothing defines it.
    """
    known = definitions()
    for topic in known:
        if topic.topic == name:
            return topic
    for topic in known:
        if topic.holds(name):
            return topic
    names = ", ".join(topic.variants or topic.topic for topic in known)
    raise TopicError(f"expected a topic of schemas/topics ({names}), got {name!r}")


def topic_of_format(format_name: str) -> str:
    """Return the topic for records of a format: `llm.usage` for native, `llm.usage.<format>` for others."""
    return USAGE_TOPIC if format_name == "native" else f"{USAGE_TOPIC}.{format_name}"


def ensure_topics(settings: Settings, names: Iterable[str]) -> tuple[EnsuredTopic, ...]:
    """Make the topics that are not there yet, and wait until every partition has a leader.

    Topics that are there stay as they are, so an operator's own settings hold. Two callers at once are safe.

    Args:
        settings: Says which Kafka.
        names: Names of topics, all defined in `schemas/topics`.

    Returns:
        The topics, in the order of `names`.

    Raises:
        TopicError: A name has no definition, or the broker refused to make it.
        KafkaUnavailableError: No broker answered.
    """
    from kafka.errors import KafkaError

    wanted = {name: definition(name) for name in names}
    if not wanted:
        return ()
    cluster = cluster_of(settings)
    try:
        with admin(cluster) as client:
            there = set(client.list_topics())
            absent = {name: topic for name, topic in wanted.items() if name not in there}
            created = _create(client, absent) if absent else set()
            client.wait_for_topics(list(wanted))
            described = {topic["name"]: topic for topic in client.describe_topics(list(wanted))}
    except KafkaError as error:
        raise TopicError(f"expected Kafka at {cluster} to have {', '.join(wanted)}: {error}") from error
    return tuple(EnsuredTopic(name, len(described[name]["partitions"]), name in created) for name in wanted)


def _create(client: object, topics: dict[str, Topic]) -> set[str]:
    """Create topics and return which of them this call made; another caller may have been quicker."""
    answer = client.create_topics(  # type: ignore[attr-defined]  # kafka-python has no types
        {name: {"num_partitions": each.partitions, "configs": each.kafka_settings()} for name, each in topics.items()},
        raise_errors=False,
    )
    created = set()
    for told in answer["topics"]:
        if told["error_code"] == 0:
            created.add(told["name"])
        elif told["error_code"] != _ALREADY_EXISTS:
            raise TopicError(
                f"expected the broker to make the topic {told['name']}, "
                f"it answered with error {told['error_code']}: {told.get('error_message')}"
            )
    return created
