"""Lines that no decoder may accept.

Each kind of bad record that a file of lines can hold. Two kinds cannot stand in one: an empty value (a line without
bytes is no record) and a raw line feed within a value (it would be two lines). They must be sent by other means.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tollbook.simulate.randomness import Chance

Event = dict[str, Any]


def poisoned(event: Event, chance: Chance) -> tuple[str, bytes]:
    """Return the reason and the bytes of a bad line, made from a good event."""
    reason, make = chance.pick(_KINDS)
    return reason, make(dict(event, event_id=f"{event['event_id']}-bad"))


def _invalid_utf8(event: Event) -> bytes:
    return _encoded(event | {"agent": "caf\x00e"}).replace(b"\\u0000", b"\xe9")


def _two_documents(event: Event) -> bytes:
    return _encoded(event) + b" " + _encoded(event)


def _cut_off(event: Event) -> bytes:
    encoded = _encoded(event)
    return encoded[: len(encoded) * 2 // 3]


def _no_json(event: Event) -> bytes:
    return f"{event['occurred_at']} INFO call {event['event_id']} done".encode()


def _repeated_field(event: Event) -> bytes:
    return _encoded(event)[:-1] + b',"model":"another"}'


def _time_without_zone(event: Event) -> bytes:
    return _encoded(event | {"occurred_at": event["occurred_at"].removesuffix("Z")})


def _without(event: Event, field: str) -> bytes:
    return _encoded({name: value for name, value in event.items() if name != field})


def _encoded(event: Event) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def _whole(event: Event, tokens: int) -> Event:
    """Return an event of so many input tokens, all parts of the input taken away."""
    parts = ("uncached_input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
    return {name: value for name, value in event.items() if name not in parts} | {"input_tokens": tokens}


_KINDS: tuple[tuple[str, Callable[[Event], bytes]], ...] = (
    ("invalid_utf8", _invalid_utf8),
    ("invalid_json", _two_documents),
    ("invalid_json", _cut_off),
    ("invalid_json", _no_json),
    ("not_an_object", lambda _: b"null"),
    ("not_an_object", lambda event: b"[" + _encoded(event) + b"]"),
    ("duplicate_field", _repeated_field),
    ("missing_field", lambda event: _without(event, "event_id")),
    ("missing_field", lambda event: _without(event, "model")),
    ("wrong_type", lambda event: _encoded(event | {"output_tokens": "many"})),
    ("wrong_type", lambda event: _encoded(event | {"output_tokens": 1.5})),
    ("out_of_range", lambda event: _encoded(_whole(event, -7))),
    ("part_exceeds_whole", lambda event: _encoded(_whole(event, 100) | {"cache_read_tokens": 101})),
    ("invalid_value", lambda event: _encoded(event | {"action": "erase"})),
    ("invalid_time", _time_without_zone),
    ("time_out_of_range", lambda event: _encoded(event | {"occurred_at": "2199-01-01T00:00:00Z"})),
)
"""Reason and how to make such a line. The reasons are the product's codes, written down here apart from it."""
