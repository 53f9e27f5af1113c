"""Rejects on Kafka: each committed reject is published on `llm.usage.rejects`, at least once, under its own id."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from kafka import KafkaProducer
from kafka.errors import KafkaError

from tollbook.broker.topics import ensure_topics
from tollbook.connection.clients import connect
from tollbook.connection.cluster import KafkaCluster
from tollbook.errors import KafkaUnavailableError, TopicError
from tollbook.lake.layout import REJECTS
from tollbook.lake.log import write_synced
from tollbook.lake.manifest import METER, commits_after, newest_commit, oldest_commit
from tollbook.lake.remote import fetch, share
from tollbook.settings import Settings

REJECTS_TOPIC = "llm.usage.rejects"
_MARK = "rejects_published"
_SEND_SECONDS = 60
_MAX_REQUEST_BYTES = 16 * 1024 * 1024
_PUBLISHED_TOGETHER = 256


def publish_rejects(settings: Settings, cluster: KafkaCluster) -> int:
    """Publish the rejects of the commits since the last publication and return how many there were.

    They are published after they are committed, so a process that dies in between publishes them again when it comes
    back; `reject_id` is the key and lets a consumer tell.

    Raises:
        KafkaUnavailableError: The broker did not take them.
    """
    lake = settings.lake
    # Manifests expire only when their rejects are published, by whichever machine met them.
    done = max(published_commit(lake), oldest_commit(lake) - 1)
    last = newest_commit(lake)
    if done == last:
        return 0
    count = 0
    with ExitStack() as stack:
        producer: KafkaProducer | None = None
        for manifest in commits_after(lake, done):
            if manifest.kind != METER:
                continue  # upkeep makes files anew of rejects that were published when they came
            for entry in manifest.files:
                path = lake / entry.path
                if entry.table == REJECTS:
                    fetch(lake, {entry.path: entry.bytes})
                if entry.table == REJECTS and path.exists():  # an erasure may have made it anew since
                    if producer is None:
                        _ensure_topic(settings)
                        producer = stack.enter_context(_producer(cluster))
                    count += _publish_file(producer, path)
    _mark_published(lake, last)
    if count:
        share(lake, _MARK)
    return count


def _ensure_topic(settings: Settings) -> None:
    """Make the topic where it is not there yet. A broker that is about to start, or to end, refuses that for a while.

    Raises:
        KafkaUnavailableError: The topic is not there, and cannot be made now.
    """
    try:
        ensure_topics(settings, [REJECTS_TOPIC])
    except TopicError as refused:
        raise KafkaUnavailableError(refused.message) from refused


@contextmanager
def _producer(cluster: KafkaCluster) -> Iterator[KafkaProducer]:
    producer = connect(
        KafkaProducer,
        cluster,
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        max_request_size=_MAX_REQUEST_BYTES,
    )
    try:
        try:
            yield producer
        finally:
            producer.close(timeout=_SEND_SECONDS)
    except KafkaError as failed:
        raise KafkaUnavailableError(
            f"expected {REJECTS_TOPIC} to take rejects, got {type(failed).__name__}: {failed}; "
            "they are committed to the lake and will be published by the next run"
        ) from failed


def _publish_file(producer: KafkaProducer, path: Path) -> int:
    """Publish the rejects of one file and return how many there were; only so many are in memory at a time."""
    count = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_PUBLISHED_TOGETHER):
            rejects = batch.to_pylist()
            sent = [
                producer.send(REJECTS_TOPIC, key=each["reject_id"].encode(), value=_message(each)) for each in rejects
            ]
            producer.flush(timeout=_SEND_SECONDS)
            for future in sent:
                future.get(timeout=_SEND_SECONDS)
            count += len(rejects)
    return count


def _message(row: dict[str, Any]) -> bytes:
    """Return a reject as JSON: times in RFC 3339, bytes in base64, an absent value or key as null."""
    value, key, headers = row.pop("value"), row.pop("record_key", None), row.pop("headers", None)
    body = {name: each.isoformat() if hasattr(each, "isoformat") else each for name, each in row.items()}
    body["record_key_base64"] = _base64(key)
    body["headers_base64"] = None if headers is None else {name: _base64(each) for name, each in headers}
    body["value_base64"] = _base64(value)
    return json.dumps(body, separators=(",", ":")).encode("utf-8")


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode("ascii")


def published_commit(lake: Path) -> int:
    """Return the newest commit whose rejects are all published, 0 for none."""
    try:
        return int((lake / _MARK).read_text(encoding="ascii"))
    except FileNotFoundError:
        return 0


def _mark_published(lake: Path, commit: int) -> None:
    temporary = lake / f".{_MARK}.tmp"
    write_synced(temporary, str(commit).encode("ascii"))
    temporary.replace(lake / _MARK)
