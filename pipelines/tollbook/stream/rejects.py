"""Rejects on Kafka: each committed reject is published on `llm.usage.rejects`, at least once, under its own id."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from kafka import KafkaProducer
from kafka.errors import KafkaError

from tollbook.broker.topics import ensure_topics
from tollbook.errors import KafkaUnavailableError
from tollbook.lake.layout import REJECTS
from tollbook.lake.log import write_synced
from tollbook.lake.manifest import commits_after, newest_commit
from tollbook.settings import Settings

REJECTS_TOPIC = "llm.usage.rejects"
_MARK = "rejects_published"
_SEND_SECONDS = 60


def publish_rejects(settings: Settings, bootstrap_servers: str) -> int:
    """Publish the rejects of the commits since the last publication and return how many there were.

    They are published after they are committed, so a process that dies in between publishes them again when it comes
    back; `reject_id` is the key and lets a consumer tell.

    Raises:
        KafkaUnavailableError: The broker did not take them.
    """
    lake = settings.lake
    done = _published(lake)
    last = newest_commit(lake)
    if done == last:
        return 0
    rejects = [
        row
        for manifest in commits_after(lake, done)
        for entry in manifest.files
        if entry.table == REJECTS
        for row in pq.read_table(lake / entry.path, partitioning=None).to_pylist()
    ]
    if rejects:
        ensure_topics(settings, [REJECTS_TOPIC])
        _publish(rejects, bootstrap_servers)
    _mark_published(lake, last)
    return len(rejects)


def _publish(rejects: list[dict[str, Any]], bootstrap_servers: str) -> None:
    try:
        producer = KafkaProducer(
            bootstrap_servers=bootstrap_servers.split(","),
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            max_request_size=16 * 1024 * 1024,
        )
        try:
            sent = [producer.send(REJECTS_TOPIC, key=row["reject_id"].encode(), value=_message(row)) for row in rejects]
            producer.flush(timeout=_SEND_SECONDS)
            for future in sent:
                future.get(timeout=_SEND_SECONDS)
        finally:
            producer.close(timeout=_SEND_SECONDS)
    except KafkaError as failed:
        raise KafkaUnavailableError(
            f"expected {REJECTS_TOPIC} to take {len(rejects)} rejects, got {type(failed).__name__}: {failed}; "
            "they are committed to the lake and will be published by the next run"
        ) from failed


def _message(row: dict[str, Any]) -> bytes:
    """Return a reject as JSON, times in RFC 3339, bytes in base64."""
    value = row.pop("value")
    body = {name: each.isoformat() if hasattr(each, "isoformat") else each for name, each in row.items()}
    body["value_base64"] = base64.b64encode(value).decode("ascii") if value is not None else None
    return json.dumps(body, separators=(",", ":")).encode("utf-8")


def _published(lake: Path) -> int:
    try:
        return int((lake / _MARK).read_text(encoding="ascii"))
    except FileNotFoundError:
        return 0


def _mark_published(lake: Path, commit: int) -> None:
    temporary = lake / f".{_MARK}.tmp"
    write_synced(temporary, str(commit).encode("ascii"))
    temporary.replace(lake / _MARK)
