"""Every topic definition is whole, and agrees with its schema and with the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from tollbook.broker.properties import MAX_MESSAGE_BYTES
from tollbook.broker.topics import REJECTS_TOPIC, USAGE_TOPIC, Topic, definitions

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
FILES = sorted((SCHEMAS / "topics").iterdir())
SCHEMA = json.loads((SCHEMAS / "documents" / "topic.schema.json").read_text(encoding="utf-8"))


def load(path: Path) -> dict[str, Any]:
    """Return a topic file as it stands."""
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(params=definitions(), ids=lambda topic: topic.topic)
def topic(request: pytest.FixtureRequest) -> Topic:
    """Return each topic in turn."""
    found: Topic = request.param
    return found


def test_the_fixed_topics_are_all_there() -> None:
    """People's producers and dashboards rest on these names."""
    assert {each.topic for each in definitions()} == {
        "llm.usage", "llm.usage.rejects", "tollbook.alerts", "tollbook.decisions",
    }  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_topic_file_follows_the_schema_and_is_named_after_its_topic(path: Path) -> None:
    """A definition that is not read, or read as another, keeps records wrongly."""
    document = load(path)

    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert path.name == f"{document['topic']}.yaml"


@pytest.mark.parametrize("where", [(), ("key",), ("value",)], ids=["topic", "key", "value"])
def test_an_unknown_word_is_refused(where: tuple[str, ...]) -> None:
    """A misspelt keyword guards nothing."""
    document = load(SCHEMAS / "topics" / "llm.usage.yaml")
    inner = document
    for word in where:
        inner = inner[word]
    inner["retention_days"] = 3

    with pytest.raises(jsonschema.ValidationError, match="retention_days"):
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
    with pytest.raises(msgspec.ValidationError, match="retention_days"):
        msgspec.convert(document, Topic)


def test_schema_and_code_know_the_same_words() -> None:
    """A word of the schema that the code does not read would have no effect."""
    assert {field.name for field in msgspec.structs.fields(Topic)} == set(SCHEMA["properties"])


def test_the_schema_of_a_topics_records_exists_and_has_its_key(topic: Topic) -> None:
    """A reserved topic has no schema and nobody writes it; every other topic says what stands in it."""
    if topic.value.schema is None:
        assert topic.producers == ()
        return
    record, version = topic.value.schema.split("/")
    schema = json.loads((SCHEMAS / record / f"{version}.schema.json").read_text(encoding="utf-8"))

    assert topic.key.field in schema["properties"]
    assert topic.producers


def test_dead_letters_have_a_topic_of_their_own_with_room_for_the_largest_record(topic: Topic) -> None:
    """A rejected record of the largest size must still fit into the letter that tells of it, in Base64."""
    if topic.dead_letter_topic is None:
        assert topic.topic != USAGE_TOPIC
        return
    letters = next(each for each in definitions() if each.topic == topic.dead_letter_topic)

    assert letters.topic == REJECTS_TOPIC
    assert letters.max_message_bytes > topic.max_message_bytes * 4 / 3 + 1_000_000
    assert letters.retention_hours is not None
    assert topic.retention_hours is not None
    assert letters.retention_hours >= topic.retention_hours


def test_usage_is_kept_long_enough_and_takes_what_the_broker_takes() -> None:
    """Two weeks bridge a meter that stood still over a holiday; 16 MiB is the broker's limit."""
    usage = next(each for each in definitions() if each.topic == USAGE_TOPIC)

    assert usage.retention_hours == 14 * 24
    assert usage.max_message_bytes == MAX_MESSAGE_BYTES
    assert usage.timestamp == "append"


def test_a_compacted_topic_needs_keys_and_has_no_end(topic: Topic) -> None:
    """Kafka refuses a record without a key on a compacted topic; a retention would delete standing decisions."""
    if topic.cleanup_policy == "compact":
        assert topic.key.required
        assert topic.retention_hours is None
