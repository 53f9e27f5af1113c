"""Bad input of every kind through the real meter: one reject each, where it stands, and neighbours unharmed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import duckdb
from kafka import KafkaProducer

from tollbook.formats.route import MAX_UNPACKED_BYTES
from tollbook.lake.manifest import commits_after, newest
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, run_meter

NOW = datetime(2026, 11, 24, tzinfo=UTC)
MIB = 1024 * 1024
NATIVE: dict[str, Any] = {
    "source": "anthropic",
    "occurred_at": "2026-06-01T10:00:00Z",
    "provider": "anthropic",
    "model": "claude-opus-4-5-20251101",
    "input_tokens": 10,
    "output_tokens": 1,
}
Headers = list[tuple[str, bytes]]


def _native(event_id: str) -> bytes:
    return json.dumps(NATIVE | {"event_id": event_id}).encode()


def _span(attributes: int) -> bytes:
    """Return an export of one span with so many attributes of a kibibyte."""
    told = [{"key": f"k{n}", "value": {"stringValue": "x" * 1000}} for n in range(attributes)]
    told.append({"key": "gen_ai.response.id", "value": {"stringValue": "msg_big"}})
    span = {"traceId": "1" * 32, "spanId": "1" * 16, "name": "chat", "kind": 3, "attributes": told}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def _format(name: str) -> Headers:
    return [("tollbook-format", name.encode())]


BAD: dict[str, tuple[bytes, Headers]] = {
    "unknown_format": (_native("x"), _format("nativ")),
    "invalid_protobuf": (_native("x").replace(b"{", b"\x0b", 1), _format("otlp_traces")),
    "invalid_encoding": (_native("x"), [("content-encoding", b"gzip")]),
    "record_too_large": (gzip.compress(b"\0" * (16 * MAX_UNPACKED_BYTES)), [("content-encoding", b"gzip")]),
    "invalid_json": (b'{"a":' * 100_000, _format("litellm")),
    "missing_field": (_native("x"), _format("cloudevents")),
}
"""Reason to a record that is rejected for it."""


def _rows(settings: Settings, table: str, columns: str, order: str) -> list[tuple[Any, ...]]:
    files = [
        str(settings.lake / entry.path)
        for manifest in commits_after(settings.lake, 0)
        for entry in manifest.files
        if entry.table == table
    ]
    return duckdb.sql(f"select {columns} from read_parquet({files}) order by {order}").fetchall()


def test_each_bad_record_is_one_reject_at_its_place_and_its_neighbours_are_in_the_book(
    settings: Settings, new_topic: Callable[..., str]
) -> None:
    """An unknown format, a header that lies, a bomb, objects without end, a span of 10 MB: none may stop the meter."""
    topic = new_topic(partitions=1)
    big = _span(10 * MIB // 1024)
    assert len(big) > 10_000_000
    bad = [*BAD.items(), ("record_too_large", (big, _format("otlp_traces")))]
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, max_request_size=16 * MIB)
    for number, (_, (value, headers)) in enumerate(bad):
        producer.send(topic, value=_native(str(number)))
        producer.send(topic, value=value, headers=headers)
    producer.send(topic, value=gzip.compress(_native("packed")), headers=[("content-encoding", b"gzip")])
    producer.flush()
    producer.close()
    progress = run_meter(MeterOptions(settings=settings, topics=(topic,), clock=lambda: NOW))
    assert (progress.read, progress.accepted, progress.rejected) == (15, 8, 7)
    place = 'reason, topic, "partition", "offset", record_item'
    assert _rows(settings, "rejects", place, '"offset"') == [
        (reason, topic, 0, 2 * number + 1, None) for number, (reason, _) in enumerate(bad)
    ]
    # What is told of a packed record is of the bytes that stand on Kafka.
    sizes = [len(value) for _, (value, _) in bad]
    assert [size for (size,) in _rows(settings, "rejects", "value_bytes", '"offset"')] == sizes
    expected = [(str(number), 2 * number) for number in range(7)] + [("packed", 14)]
    assert _rows(settings, "usage", 'event_id, "offset"', '"offset"') == expected
    manifest = newest(settings.lake)
    assert manifest is not None
    total = manifest.totals[topic][0]
    assert (total.records, total.usage_rows, total.reject_rows) == (15, 8, 7)
