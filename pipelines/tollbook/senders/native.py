"""Native JSON lines: sent byte for byte, with a key and a time where the line tells them.

The sender is not the judge. A line that is no event goes to the topic as it is, without a key, and becomes a
dead letter of the meter with its bytes, so that it is counted and can be replayed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tollbook.senders.outgoing import Outgoing

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class _Glimpse(msgspec.Struct):
    """The fields of an event that decide its key and its time, whatever their types."""

    task_id: Any = None
    event_id: Any = None
    occurred_at: Any = None


def native_records(runs: Iterable[tuple[int, list[bytes]]]) -> Iterator[tuple[Outgoing, int]]:
    """Yield the records of each run of lines, and how many of its lines were blank.

    A blank line holds no record: it is counted and not sent.

    Args:
        runs: Number of the first line, and the lines; as `read_lines` gives them.
    """
    decode = msgspec.json.Decoder(_Glimpse).decode
    for first, lines in runs:
        records, blank = Outgoing(), 0
        for line, value in enumerate(lines, first):
            if not value or value.isspace():
                blank += 1
                continue
            try:
                glimpse = decode(value)
            except (msgspec.DecodeError, UnicodeDecodeError):
                records.add(value, None, None, line)
            else:
                key = key_of(glimpse.task_id, glimpse.event_id)
                records.add(value, key, timestamp_of(glimpse.occurred_at), line)
        yield records, blank


def key_of(task_id: object, event_id: object) -> bytes | None:
    """Return the Kafka key of an event: its task, which so stays in one partition; else its id."""
    for candidate in (task_id, event_id):
        if isinstance(candidate, str) and candidate:
            return candidate.encode("utf-8", errors="surrogatepass")
    return None


def timestamp_of(occurred_at: object) -> int | None:
    """Return the time of an event, or None when it is not RFC 3339 with a zone.

    Returns:
        Unit: Milliseconds since 1970-01-01T00:00:00Z, rounded down.
    """
    if not isinstance(occurred_at, str):
        return None
    try:
        moment = datetime.fromisoformat(occurred_at)
        return None if moment.tzinfo is None else milliseconds_of(moment)
    except (ValueError, OverflowError):
        return None


def milliseconds_of(moment: datetime) -> int:
    """Return an aware time in milliseconds since 1970-01-01T00:00:00Z, rounded down."""
    return (moment - EPOCH) // _MILLISECOND
