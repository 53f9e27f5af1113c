"""Session files that are being written, and what stands on a topic."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from tollbook.settings import Settings

SECRET = "the prompt that nobody may read"


@pytest.fixture
def call() -> Callable[..., bytes]:
    """Return a function that makes the line of a model call, its content and its line end included."""

    def make(message_id: str, *, output_tokens: int = 100, session: str = "session-1", **fields: Any) -> bytes:
        usage = {"input_tokens": 4, "cache_read_input_tokens": 600, "output_tokens": output_tokens}
        message = {"id": message_id, "model": "claude-opus-4-5-20251101", "stop_reason": "end_turn", "usage": usage}
        told = {"type": "assistant", "sessionId": session, "uuid": f"u-{message_id}", "requestId": f"req_{message_id}"}
        told |= {"timestamp": "2026-06-01T10:00:00.500Z", "cwd": "/home/ada/secret", "version": "2.1.0"}
        told["message"] = message | {"content": [{"type": "text", "text": SECRET}]}  # type: ignore[assignment]
        return json.dumps(told | fields).encode() + b"\n"

    return make


@pytest.fixture
def spoken() -> bytes:
    """Return the line of a user's prompt: it tells of no call."""
    return json.dumps({"type": "user", "message": {"role": "user", "content": SECRET}}).encode() + b"\n"


@pytest.fixture
def on_topic(settings: Settings) -> Callable[[str], list[Any]]:
    """Return a function that reads all records of a topic, in order within a partition."""

    def read(topic: str) -> list[Any]:
        consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap_servers)
        try:
            places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            ends = consumer.end_offsets(places)
            found: list[Any] = []
            while any(consumer.position(place) < ends[place] for place in places):
                for records in consumer.poll(timeout_ms=500).values():
                    found += records
            return found
        finally:
            consumer.close()

    return read


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    """Return a folder of session files."""
    folder = tmp_path / "projects"
    (folder / "-home-ada-secret").mkdir(parents=True)
    return folder
