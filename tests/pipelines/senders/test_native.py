"""Native JSON lines on their way to Kafka."""

from __future__ import annotations

import json

import pytest

from tollbook.senders.native import native_records, timestamp_of


def only(line: bytes) -> tuple[bytes, bytes | None, int | None]:
    """Return value, key and time of the record of one line."""
    ((records, _),) = native_records([(1, [line])])
    return records.values[0], records.keys[0], records.timestamps_ms[0]


def test_a_task_is_the_key_and_else_the_event_is() -> None:
    """The calls of one task then share a partition and keep their order."""
    assert only(b'{"event_id":"e","task_id":"t"}')[1] == b"t"
    assert only(b'{"event_id":"e","task_id":null}')[1] == b"e"
    assert only(b'{"event_id":7}')[1] is None


def test_the_time_of_the_record_is_the_time_of_the_event() -> None:
    """2026-06-01T00:00:00.123456Z is 1,780,272,000 s and 123 ms after 1970."""
    event = {"event_id": "e", "occurred_at": "2026-06-01T02:00:00.123456+02:00"}
    assert only(json.dumps(event).encode())[2] == 1_780_272_000_123


@pytest.mark.parametrize(
    "text", ["2026-06-01T00:00:00", "yesterday", "2026-06-01", "", 5, None, "9999-12-31T23:59:59-23:59"]
)
def test_a_time_that_is_none_is_not_guessed(text: object) -> None:
    """The record gets the time of sending; the meter judges what the event says."""
    found = timestamp_of(text)
    assert found is None or found > 253_402_300_799_000


@pytest.mark.parametrize(
    "line",
    [b"null", b"[1]", b"{", b'{"a":1}{"b":2}', b"\xff\xfe", b'"text"', b'{"event_id":"\xe9"}', b"\x00"],
)
def test_a_bad_line_goes_as_it_is(line: bytes) -> None:
    """The sender is not the judge: a line that it dropped would be lost silently."""
    value, _, timestamp = only(line)
    assert value == line
    assert timestamp is None


def test_a_blank_line_is_no_record_and_is_counted() -> None:
    """An empty value would be a tombstone's twin; nothing was written on that line."""
    ((records, blank),) = native_records([(4, [b"", b" \t", b'{"event_id":"e"}'])])
    assert blank == 2
    assert records.lines == [6]
